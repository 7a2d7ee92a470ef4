"""The opening handshake, the client's side."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from framework.errors import RemoteProtocolError
from framework.wire.leaves import (
    Limits,
    RequestHead,
    ResponseHead,
    encode_fields,
    parse_request,
    parse_response,
)
from framework.wire.websocket.deflate import ClientDeflation, ServerDeflation
from framework.wire.websocket.handshake import Accepted, accept_key, check_upgrade_request, upgrade_response
from framework.wire.websocket.handshake_client import (
    Agreed,
    UpgradeRefused,
    check_upgrade_response,
    make_key,
    upgrade_request_fields,
)

KEY = "dGhlIHNhbXBsZSBub25jZQ=="


def response(status: str = "101 Switching Protocols", *more: str, **changed: str | None) -> ResponseHead:
    """A good answer to KEY with fields changed (named with _ for -), left out (None) or added."""
    fields = {"upgrade": "websocket", "connection": "Upgrade", "sec-websocket-accept": accept_key(KEY)} | {
        name.replace("_", "-"): value for name, value in changed.items()
    }
    lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
    text = "".join(f"{each}\r\n" for each in (f"HTTP/1.1 {status}", *lines, *more, ""))
    head = parse_response(text.encode("latin-1"), 0, Limits())
    assert head is not None
    return head


def test_keys_are_new_each_time() -> None:
    keys = {make_key() for _ in range(100)}
    assert len(keys) == 100
    assert {len(base64.b64decode(key, validate=True)) for key in keys} == {16}


def test_good_answers() -> None:
    assert check_upgrade_response(response(), KEY) == Agreed(None, None)
    assert check_upgrade_response(response(upgrade="WebSocket"), KEY) == Agreed(None, None)
    chosen = response(sec_websocket_protocol="b")
    assert check_upgrade_response(chosen, KEY, subprotocols=("a", "b")) == Agreed("b", None)
    assert check_upgrade_response(
        response(), KEY, subprotocols=("a",), deflation=ClientDeflation()
    ) == Agreed(None, None)


@pytest.mark.parametrize("status", ["200 OK", "302 Found", "403 Forbidden", "426 Upgrade Required"])
def test_a_refusal_carries_its_status(status: str) -> None:
    with pytest.raises(UpgradeRefused) as caught:
        check_upgrade_response(response(status), KEY)
    assert caught.value.response_status == int(status[:3])
    assert caught.value.status == 502


@pytest.mark.parametrize(
    ("head", "options"),
    [
        (response(upgrade=None), {}),
        (response(upgrade="h2c"), {}),
        (response(upgrade="websocket, h2c"), {}),
        (response(connection=None), {}),
        (response(connection="close"), {}),
        (response(sec_websocket_accept=None), {}),
        (response(sec_websocket_accept=accept_key("another")), {}),
        (response("101 x", f"Sec-WebSocket-Accept: {accept_key(KEY)}"), {}),
        (response(sec_websocket_protocol="a"), {}),
        (response(sec_websocket_protocol="a"), {"subprotocols": ("b",)}),
        (response(sec_websocket_protocol="a, b"), {"subprotocols": ("a", "b")}),
        (
            response("101 x", "Sec-WebSocket-Protocol: a", sec_websocket_protocol="a"),
            {"subprotocols": ("a",)},
        ),
        (response(sec_websocket_extensions="permessage-deflate"), {}),
        (response(sec_websocket_extensions="x-other"), {"deflation": ClientDeflation()}),
        (response(sec_websocket_extensions="permessage-deflate;"), {"deflation": ClientDeflation()}),
    ],
)
def test_answers_that_do_not_fit(head: ResponseHead, options: dict[str, Any]) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        check_upgrade_response(head, KEY, **options)
    assert not isinstance(caught.value, UpgradeRefused)
    assert caught.value.status == 502


def test_our_own_server_accepts() -> None:
    key, deflation = make_key(), ClientDeflation()
    pairs = upgrade_request_fields(key, subprotocols=("a", "b"), deflation=deflation, origin="http://h")
    data = b"GET / HTTP/1.1\r\n" + encode_fields([("host", "h"), *pairs]) + b"\r\n"
    request = parse_request(data, 0, Limits(), RequestHead)
    assert request is not None
    outcome = check_upgrade_request(request, subprotocols=("b",), deflation=ServerDeflation())
    assert isinstance(outcome, Accepted)
    head = parse_response(upgrade_response(outcome), 0, Limits())
    assert head is not None
    agreed = check_upgrade_response(head, key, subprotocols=("a", "b"), deflation=deflation)
    assert agreed.subprotocol == "b"
    assert agreed.compression is not None
