"""What a test says of a request, and the bytes it becomes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from framework.errors import LocalProtocolError
from framework.testing.composing import compose


class Point(msgspec.Struct):
    x: int


def composed(method: str = "POST", target: str = "/", **options: Any) -> tuple[str, dict[str, str], Any]:
    request = compose(method, target, options.pop("base", {}), options, options.pop("cookies", {}))  # type: ignore[arg-type]
    line, *fields = request.head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    pairs = [field.split(": ", 1) for field in fields]
    assert len(dict(pairs)) == len(pairs)
    return line, dict(pairs), request.body


def test_a_request_without_a_body() -> None:
    assert composed("GET", "/x") == ("GET /x HTTP/1.1", {"host": "testserver"}, b"")


@pytest.mark.parametrize(
    ("options", "kind", "body"),
    [
        ({"json": {"a": 1}}, "application/json", b'{"a":1}'),
        ({"json": Point(1)}, "application/json", b'{"x":1}'),
        ({"json": None}, "application/json", b"null"),
        ({"form": {"a": ["1", "ü"]}}, "application/x-www-form-urlencoded", b"a=1&a=%C3%BC"),
        ({"content": "ü"}, None, "ü".encode()),
        ({"content": b""}, None, b""),
    ],
)
def test_bodies(options: dict[str, Any], kind: str | None, body: bytes) -> None:
    _, fields, sent = composed(**options)
    assert (sent, fields.get("content-type"), fields["content-length"]) == (body, kind, str(len(body)))


def test_a_body_in_pieces_is_chunked() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b""

    given = pieces()
    _, fields, sent = composed(content=given)
    assert (sent, fields) == (given, {"host": "testserver", "transfer-encoding": "chunked"})


def test_files_are_a_multipart_form() -> None:
    files = {"a": b"1", "b": ('x"\r\n.txt', b"2"), "c": ("c.png", b"3", "image/png")}
    _, fields, sent = composed(form={"title": ["t", "u"]}, files=files)
    boundary = fields["content-type"].removeprefix("multipart/form-data; boundary=")
    octets = "Content-Type: application/octet-stream"
    parts = [
        'name="title"\r\n\r\nt',
        'name="title"\r\n\r\nu',
        f'name="a"; filename="a"\r\n{octets}\r\n\r\n1',
        f'name="b"; filename="x%22%0D%0A.txt"\r\n{octets}\r\n\r\n2',
        'name="c"; filename="c.png"\r\nContent-Type: image/png\r\n\r\n3',
    ]
    expected = "".join(f"--{boundary}\r\nContent-Disposition: form-data; {part}\r\n" for part in parts)
    assert sent.decode() == f"{expected}--{boundary}--\r\n"


@pytest.mark.parametrize(
    "options", [{"json": 1, "form": {}}, {"content": b"", "json": None}, {"files": {}, "content": b"x"}]
)
def test_two_bodies_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(LocalProtocolError, match="a request has one body, not"):
        composed(**options)


def test_what_is_said_of_a_request_comes_before_what_is_always_sent() -> None:
    _, fields, _ = composed(
        "GET", base={"X-A": "base", "Host": "h"}, headers={"x-a": "mine", "Cookie": "a=b"}, cookies={"c": "d"}
    )
    assert fields == {"host": "h", "x-a": "mine", "cookie": "a=b"}
    _, fields, _ = composed(json=1, headers={"Content-Type": "application/x+json", "content-length": "5"})
    assert (fields["content-type"], fields["content-length"]) == ("application/x+json", "5")
    assert composed("GET", cookies={"a": "1", "b": "2"})[1]["cookie"] == "a=1; b=2"


def test_a_field_may_come_twice() -> None:
    request = compose("GET", "/", {}, {"headers": [("Accept", "a"), ("accept", "b")]}, {})
    assert request.head.endswith(b"\r\naccept: a\r\naccept: b\r\n\r\n")


def test_params_are_added_to_the_query() -> None:
    assert composed("GET", "/x", params={"a": "b c", "d": [1, 2]})[0] == "GET /x?a=b+c&d=1&d=2 HTTP/1.1"
    assert composed("GET", "/x?y", params={"a": 1})[0] == "GET /x?y&a=1 HTTP/1.1"
