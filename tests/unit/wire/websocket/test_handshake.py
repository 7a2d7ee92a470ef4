"""The opening handshake, the server's side."""

from __future__ import annotations

from typing import Any

import pytest

from framework.errors import LocalProtocolError
from framework.wire.leaves import Limits, RequestHead, ResponseHead, parse_request, parse_response
from framework.wire.websocket.deflate import ServerDeflation
from framework.wire.websocket.handshake import (
    Accepted,
    Refusal,
    accept_key,
    check_upgrade_request,
    origin_allowed,
    select_subprotocol,
    upgrade_response,
)

# RFC 6455 section 1.3.
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
GOOD = {
    "Host": "server.example.com",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}


def request(line: str = "GET /chat HTTP/1.1", *more: str, **changed: str | None) -> RequestHead:
    """A good request with fields changed (named with _ for -), left out (None) or added."""
    fields: dict[str, str | None] = {name.lower(): value for name, value in GOOD.items()}
    fields |= {name.replace("_", "-"): value for name, value in changed.items()}
    lines = [line, *(f"{name}: {value}" for name, value in fields.items() if value is not None), *more]
    head = parse_request(
        "".join(f"{each}\r\n" for each in (*lines, "")).encode("latin-1"), 0, Limits(), RequestHead
    )
    assert head is not None
    return head


def accepted(head: RequestHead, **options: Any) -> Accepted:
    outcome = check_upgrade_request(head, **options)
    assert isinstance(outcome, Accepted), outcome
    return outcome


def refused(head: RequestHead) -> Refusal:
    outcome = check_upgrade_request(head, origins=frozenset({"https://a"}), deflation=ServerDeflation())
    assert isinstance(outcome, Refusal), outcome
    return outcome


def parsed(data: bytes) -> ResponseHead:
    head = parse_response(data, 0, Limits())
    assert head is not None
    assert head.end == len(data)
    return head


def test_the_key_of_the_rfc() -> None:
    assert accept_key(KEY) == ACCEPT


def test_the_request_of_the_rfc() -> None:
    """RFC 6455 section 1.2."""
    head = request(
        origin="http://server.example.com",
        sec_websocket_protocol="chat, superchat",
        sec_websocket_extensions="x",
    )
    outcome = accepted(head, subprotocols=("superchat", "chat"))
    assert outcome == Accepted(
        ACCEPT, ["chat", "superchat"], "superchat", None, None, "http://server.example.com"
    )
    answer = parsed(upgrade_response(outcome, [("set-cookie", "a=b")]))
    assert (answer.status, answer.upgrade) == (101, True)
    assert answer.fields() == [
        ("upgrade", "websocket"),
        ("connection", "upgrade"),
        ("sec-websocket-accept", ACCEPT),
        ("sec-websocket-protocol", "superchat"),
        ("set-cookie", "a=b"),
    ]


@pytest.mark.parametrize(
    "changed",
    [
        {"upgrade": "WebSocket"},
        {"upgrade": "h2c, websocket"},
        {"connection": "keep-alive, Upgrade"},
        {"origin": None},
        {"content_length": "0"},
        {"sec_websocket_protocol": "a,, b"},
        {"sec_websocket_extensions": "x-other; a=b"},
    ],
)
def test_good_requests(changed: dict[str, Any]) -> None:
    assert accepted(request(**changed)).accept == ACCEPT


@pytest.mark.parametrize(
    "head",
    [
        request(upgrade=None),
        request(connection=None),
        request(connection="close"),
        request(upgrade="h2c"),
        request(upgrade="websocket/13"),
        request("GET / HTTP/1.0"),
        request("POST / HTTP/1.1", upgrade=None),
    ],
)
def test_no_upgrade_to_websocket(head: RequestHead) -> None:
    refusal = refused(head)
    assert refusal.status == 426
    assert dict(refusal.fields) == {
        "upgrade": "websocket",
        "connection": "upgrade",
        "sec-websocket-version": "13",
    }


@pytest.mark.parametrize("version", ["8", "0", "14", "013", "13, 8", "+13", "¹³"])
def test_another_version_is_told_ours(version: str) -> None:
    """RFC 6455 section 4.4."""
    refusal = refused(request(sec_websocket_version=version))
    assert refusal.status == 426
    assert ("sec-websocket-version", "13") in refusal.fields


def test_a_missing_or_doubled_version() -> None:
    for head in (
        request(sec_websocket_version=None),
        request("GET / HTTP/1.1", "Sec-WebSocket-Version: 13"),
    ):
        refusal = refused(head)
        assert (refusal.status, refusal.fields) == (400, [("sec-websocket-version", "13")])


@pytest.mark.parametrize(
    "head",
    [
        request("POST / HTTP/1.1"),
        request("HEAD / HTTP/1.1"),
        request(content_length="1"),
        request(transfer_encoding="chunked"),
        request(sec_websocket_key=None),
        request("GET / HTTP/1.1", f"Sec-WebSocket-Key: {KEY}"),
        request(sec_websocket_key=""),
        request(sec_websocket_key=KEY[:-1]),
        request(sec_websocket_key=KEY + "="),
        request(sec_websocket_key="dGhlIHNhbXBsZSBub25jZQ__"),
        request(sec_websocket_key="dGhlIHNhbXBsZSBub25jZSE="),
        request(sec_websocket_key="dGhlIHNhbXBsZSBub25jZQ==é"),
        request(sec_websocket_protocol="a b"),
        request(sec_websocket_protocol="a, a"),
        request("GET / HTTP/1.1", "Sec-WebSocket-Protocol: a", sec_websocket_protocol="a"),
        request("GET / HTTP/1.1", "Origin: https://a", origin="https://a"),
        request(sec_websocket_extensions="permessage-deflate;"),
        request("GET / HTTP/1.1", "Sec-WebSocket-Extensions: a=", sec_websocket_extensions="a"),
    ],
)
def test_bad_requests(head: RequestHead) -> None:
    assert refused(head).status == 400


def test_extensions_are_agreed_on_over_all_their_fields() -> None:
    head = request(
        "GET / HTTP/1.1",
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
        sec_websocket_extensions="x-other",
    )
    assert accepted(head).compression is None
    outcome = accepted(head, deflation=ServerDeflation())
    assert outcome.compression is not None
    answer = parsed(upgrade_response(outcome)).field("sec-websocket-extensions")
    assert answer is not None
    assert answer.startswith("permessage-deflate; server_no_context_takeover")
    assert (
        accepted(request(sec_websocket_extensions="x-other"), deflation=ServerDeflation()).extensions is None
    )


ORIGINS: list[tuple[str | None, str, bool]] = [
    (None, "a.example", True),
    ("https://a.example", "a.example", True),
    ("https://A.example", "a.EXAMPLE", True),
    ("https://a.example", "a.example:443", True),
    ("https://a.example:443", "a.example", True),
    ("http://a.example", "a.example:80", True),
    ("http://a.example:8000", "a.example:8000", True),
    ("http://[::1]:8000", "[::1]:8000", True),
    ("http://a.example:8000", "a.example", False),
    ("http://a.example", "a.example:443", False),
    ("https://b.example", "a.example", False),
    ("https://a.example.evil.example", "a.example", False),
    ("https://evil-a.example", "a.example", False),
    ("https://user@a.example", "a.example", False),
    ("https://a.example/", "a.example", False),
    ("https://a.example https://b.example", "a.example", False),
    ("a.example", "a.example", False),
    ("file://a.example", "a.example", False),
    ("null", "a.example", False),
    ("null", "null", False),
    ("", "", False),
    ("https://", "", False),
]


@pytest.mark.parametrize(("origin", "host", "allowed"), ORIGINS)
def test_another_site_may_not_open_a_websocket_by_default(
    origin: str | None, host: str, allowed: bool
) -> None:
    """Cross-site WebSocket hijacking: the browser sends the cookies along, and asks no leave first."""
    assert origin_allowed(origin, host) == allowed


def test_listed_origins() -> None:
    listed = frozenset({"https://a.example", "null"})
    for origin, allowed in (
        ("https://a.example", True),
        ("HTTPS://A.Example", True),
        ("null", True),
        (None, True),
        ("http://a.example", False),
        ("https://a.example:8443", False),
        ("https://host", False),
    ):
        assert origin_allowed(origin, "host", listed) == allowed
    assert origin_allowed("https://b.example", "host", frozenset("*"))
    assert not origin_allowed("https://host", "host", frozenset())


def test_an_origin_that_is_not_allowed_is_forbidden() -> None:
    outcome = check_upgrade_request(request(origin="https://evil.example"))
    assert isinstance(outcome, Refusal)
    assert outcome.status == 403


def test_subprotocols_by_the_servers_preference() -> None:
    assert select_subprotocol(["a", "b"], ["b", "a"]) == "b"
    assert select_subprotocol(["a"], ["b"]) is None
    assert select_subprotocol([], ["b"]) is None
    assert select_subprotocol(["A"], ["a"]) is None


def test_an_endpoint_may_choose_among_what_was_offered() -> None:
    outcome = accepted(request(sec_websocket_protocol="a, b"))
    assert outcome.subprotocol is None
    chosen = parsed(upgrade_response(outcome._replace(subprotocol="b")))
    assert chosen.field("sec-websocket-protocol") == "b"
    with pytest.raises(LocalProtocolError, match="offered"):
        upgrade_response(outcome._replace(subprotocol="c"))


@pytest.mark.parametrize(
    "field",
    [
        ("Upgrade", "h2c"),
        ("connection", "close"),
        ("Sec-WebSocket-Accept", "x"),
        ("sec-websocket-protocol", "a"),
        ("sec-websocket-extensions", "a"),
        ("content-length", "0"),
        ("transfer-encoding", "chunked"),
        ("x", "a\r\nb: c"),
        ("a b", "c"),
    ],
)
def test_fields_that_do_not_belong_in_the_answer(field: tuple[str, str]) -> None:
    with pytest.raises(LocalProtocolError):
        upgrade_response(accepted(request()), [field])
