"""multipart/form-data: parts as they arrive, and what is refused."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from framework.errors import HTTPError
from framework.http.multipart import MultipartLimits, Part, read_multipart
from framework.http.request import Request
from framework.testing import fake_request

pytestmark = pytest.mark.anyio

FORM = (
    b'--B\r\ncontent-disposition: form-data; name="title"\r\n\r\nHello\r\n'
    b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n'
    b"Content-Type: text/plain; charset=latin-1\r\nX-More: 1\r\n\r\nline\r\n--\xe9\r\n--B--\r\n"
)


def form(
    body: bytes | Iterable[bytes] = FORM, media_type: str = "multipart/form-data; boundary=B", **more: Any
) -> Request:
    pieces = [body] if isinstance(body, bytes) else body
    return fake_request("POST", headers={"content-type": media_type}, body=pieces, **more)


def part(head: bytes, content: bytes = b"x") -> bytes:
    return b"--B\r\n" + head + b"\r\n\r\n" + content + b"\r\n"


FIELD = b'Content-Disposition: form-data; name="a"'
FILE = FIELD + b'; filename="f"'


async def read_all(request: Request, limits: MultipartLimits | None = None) -> list[tuple[str, bytes]]:
    return [(each.name, await each.read()) async for each in read_multipart(request, limits)]


async def refused(request: Request, limits: MultipartLimits | None = None) -> HTTPError:
    with pytest.raises(HTTPError) as caught:
        await read_all(request, limits)
    return caught.value


async def test_fields_and_files() -> None:
    seen: list[Part] = []
    async for each in read_multipart(form()):
        seen.append(each)
        if each.name == "title":
            assert each.filename is None
            assert (each.media_type, each.charset) == ("text/plain", "utf-8")
            assert await each.text() == "Hello"
        else:
            assert each.filename == "a.txt"
            assert (each.media_type, each.charset) == ("text/plain", "latin-1")
            assert each.headers["x-more"] == "1"
            assert await each.text() == "line\r\n--é"
            assert await each.read() == b""
            assert each.size == 9
    assert [each.name for each in seen] == ["title", "file"]


@pytest.mark.parametrize("cut", [1, 2, 3, 7, 50])
async def test_any_cut_of_the_bytes_gives_the_same_parts(cut: int) -> None:
    pieces = [FORM[at : at + cut] for at in range(0, len(FORM), cut)]
    assert await read_all(form(pieces)) == [("title", b"Hello"), ("file", b"line\r\n--\xe9")]


async def test_parts_that_are_not_read_are_skipped() -> None:
    body = b"".join(part(FIELD, bytes([65 + at]) * 1000) for at in range(5)) + b"--B--"
    pieces = [body[at : at + 100] for at in range(0, len(body), 100)]
    read: list[bytes] = []
    async for each in read_multipart(form(pieces)):
        if len(read) == 2:
            read.append(await anext(each))
        elif len(read) % 2 == 0:
            read.append(await each.read())
        else:
            read.append(b"")
    assert len(read) == 5
    assert read[0] == b"A" * 1000
    assert read[1] == b""
    assert 0 < len(read[2]) < 1000
    assert set(read[2]) == {67}
    assert read[4] == b"E" * 1000


async def test_a_part_is_not_read_late() -> None:
    parts = [each async for each in read_multipart(form())]
    with pytest.raises(RuntimeError, match="before the next"):
        await parts[0].read()


async def test_a_slow_consumer_slows_the_client_down() -> None:
    pieces = [b"--B\r\n" + FILE + b"\r\n\r\n", *[b"x" * 1000] * 50, b"\r\n--B--"]
    request = form(pieces)
    source: Any = request.source
    parts = read_multipart(request)
    each = await anext(parts)
    for taken in range(1, 10):
        await anext(each)
        assert source.taken <= taken + 2
    await parts.aclose()


async def test_nothing_but_the_end_is_no_part() -> None:
    assert await read_all(form(b"--B--\r\n")) == []


@pytest.mark.parametrize(
    "epilogue", [[], [b"\r\n"], [b"\r", b"\n"], [b"\r\n", b"epi", b"logue"], [b"x" * 10_000] * 5]
)
async def test_what_follows_the_last_boundary_is_ignored_however_it_is_cut(epilogue: list[bytes]) -> None:
    body = [part(FIELD), b"--B--", *epilogue]
    request = form(body)
    assert await read_all(request) == [("a", b"x")]


@pytest.mark.parametrize(
    "media_type", ["application/x-www-form-urlencoded", "multipart/mixed; boundary=B", "text/plain"]
)
async def test_another_media_type_is_415(media_type: str) -> None:
    assert (await refused(form(media_type=media_type))).status == 415


async def test_no_media_type_is_415() -> None:
    assert (await refused(fake_request("POST", body=[FORM]))).status == 415


@pytest.mark.parametrize(
    "parameters",
    [
        "",
        "; boundary=",
        '; boundary=""',
        '; boundary="B "',
        "; boundary=" + "b" * 71,
        '; boundary="a\\"b"',
        "; boundary=B; boundary=C",
    ],
)
async def test_no_valid_boundary_is_400(parameters: str) -> None:
    assert (await refused(form(media_type=f"multipart/form-data{parameters}"))).status == 400


@pytest.mark.parametrize(
    "boundary", ["B", '"B"', "----WebKitFormBoundaryx", "'()+_,-./:=?", '"with space inside"', "b" * 70]
)
async def test_boundaries_of_all_kinds(boundary: str) -> None:
    plain = boundary.strip('"').encode()
    media_type = f'multipart/form-data; boundary="{boundary.strip(chr(34))}"'
    body = b"--" + plain + b"\r\n" + FIELD + b"\r\n\r\nx\r\n--" + plain + b"--\r\n"
    assert await read_all(form(body, media_type)) == [("a", b"x")]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--B",
        b"--B\r\n",
        part(FIELD),
        FORM[:-6],
        b"no boundary at all" * 10,
        b"preamble\r\n" + FORM,
        b"--B\n" + FIELD + b"\n\nx\n--B--\n",
        part(b"Content-Disposition: form-data") + b"--B--",
        part(b'Content-Disposition: attachment; name="a"') + b"--B--",
        part(b"Content-Type: text/plain") + b"--B--",
        part(FIELD + b"\r\nno colon") + b"--B--",
        part(FIELD + b"\r\n folded: line") + b"--B--",
        part(FIELD + b"\r\nb\xc3\xa4d: name") + b"--B--",
        part(FIELD + b"\r\nX: \xff") + b"--B--",
        part(FIELD + b"\r\nContent-Length: 7") + b"--B--",
        part(FIELD)[:-2] + b"\r\n--Bx\r\n--B--",
    ],
)
async def test_a_form_that_breaks_the_grammar_is_400(body: bytes) -> None:
    for pieces in ([body], [body[at : at + 1] for at in range(len(body))]):
        error = await refused(form(pieces))
        assert error.status == 400
        assert error.detail is not None
        assert error.detail.startswith("malformed form: ")


@pytest.mark.parametrize(
    ("body", "limits"),
    [
        (part(FIELD) * 4, MultipartLimits(max_parts=3)),
        (part(FIELD, b"x" * 101), MultipartLimits(max_field_size=100)),
        (part(FILE, b"x" * 101), MultipartLimits(max_file_size=100)),
        (part(FIELD + b"\r\nX: " + b"y" * 100), MultipartLimits(max_header=100)),
        (part(FIELD + b"\r\nX: y" * 3), MultipartLimits(max_headers=3)),
    ],
)
async def test_the_limits_are_413(body: bytes, limits: MultipartLimits) -> None:
    assert (await refused(form(body + b"--B--"), limits)).status == 413
    await read_all(form(body + b"--B--"))


async def test_a_limit_holds_for_a_part_that_is_skipped() -> None:
    request = form(part(FILE, b"x" * 101) + part(FIELD) + b"--B--")
    with pytest.raises(HTTPError) as caught:
        [each.name async for each in read_multipart(request, MultipartLimits(max_file_size=100))]
    assert caught.value.status == 413


async def test_a_field_and_a_file_have_limits_of_their_own() -> None:
    limits = MultipartLimits(max_field_size=10, max_file_size=None)
    assert await read_all(form(part(FILE, b"x" * 1000) + b"--B--"), limits) == [("a", b"x" * 1000)]


async def test_the_body_has_the_limit_of_its_route() -> None:
    body = [part(FILE, b"x" * 1000), b"--B--"]
    assert (await refused(form(body, max_body=500))).status == 413
    request = form(body, max_body=500)
    assert [each.name async for each in read_multipart(request, max_size=5000)] == ["a"]


async def test_a_part_larger_than_asked_for_is_413() -> None:
    parts = read_multipart(form(part(FILE, b"x" * 100) + b"--B--"))
    with pytest.raises(HTTPError) as caught:
        await (await anext(parts)).read(99)
    assert caught.value.status == 413
    await parts.aclose()


@pytest.mark.parametrize("charset", ["utf-8", "no-such-charset", "zlib"])
async def test_text_in_another_charset_than_told_is_400(charset: str) -> None:
    head = FIELD + f"\r\nContent-Type: text/plain; charset={charset}".encode()
    parts = read_multipart(form(part(head, b"\xff") + b"--B--"))
    with pytest.raises(HTTPError) as caught:
        await (await anext(parts)).text()
    assert caught.value.status == 400
    await parts.aclose()


@pytest.mark.parametrize(
    ("sent", "filename"),
    [
        (b"plain.txt", "plain.txt"),
        (b"caf\xc3\xa9.txt", "café.txt"),
        (b"a%22b.txt", 'a"b.txt'),
        (b"../../etc/passwd", "../../etc/passwd"),
        (b"C:\\\\Windows\\\\win.ini", "win.ini"),
        (b"", ""),
    ],
)
async def test_file_names_are_as_the_client_says(sent: bytes, filename: str) -> None:
    parts = read_multipart(form(part(FIELD + b'; filename="' + sent + b'"') + b"--B--"))
    assert (await anext(parts)).filename == filename
    await parts.aclose()


async def test_python_multipart_cve_2024_24762_options_by_the_thousand_cost_linear_time() -> None:
    head = FIELD + b'\r\nContent-Type: text/plain; x="' + b"\\" * 3900
    await read_all(form(part(head) + b"--B--"))


async def test_python_multipart_cve_2026_40347_a_huge_preamble_is_refused_at_once() -> None:
    request = form([b"\r\n" * 1000] * 100)
    source: Any = request.source
    assert (await refused(request)).status == 400
    assert source.taken == 1


async def test_python_multipart_cve_2026_42561_a_head_that_never_ends_is_refused() -> None:
    request = form([b"--B\r\n", *[b"X: y\r\n"] * 1000])
    assert (await refused(request)).status == 413
    request = form([b"--B\r\nX: ", *[b"y" * 1000] * 1000])
    source: Any = request.source
    assert (await refused(request)).status == 413
    assert source.taken < 10


async def test_a_part_is_saved_as_it_arrives(tmp_path: Path) -> None:
    async for each in read_multipart(form()):
        if each.filename is not None:
            assert await each.save_to(tmp_path / "saved") == 9
    assert (tmp_path / "saved").read_bytes() == b"line\r\n--\xe9"
