"""The opening handshake as pure functions, the client's side (RFC 6455 section 4.1)."""

from __future__ import annotations

import os
from base64 import b64encode
from typing import NamedTuple

from framework.errors import RemoteProtocolError
from framework.wire.leaves import ResponseHead
from framework.wire.websocket.compression import Compression, Offerer
from framework.wire.websocket.handshake import accept_key, read_tokens

__all__ = ["Agreed", "UpgradeRefused", "check_upgrade_response", "make_key", "upgrade_request_fields"]


class Agreed(NamedTuple):
    """What the server agreed to."""

    subprotocol: str | None
    compression: Compression | None


class UpgradeRefused(RemoteProtocolError):
    """The server answered with something else than 101: ``response_status``. Its body follows the head as usual."""

    def __init__(self, response_status: int) -> None:
        super().__init__(f"the server refused the WebSocket with {response_status}", 502)
        self.response_status = response_status
        self.args = (response_status,)


def make_key() -> str:
    """A new value for Sec-WebSocket-Key: 16 random bytes in base64."""
    return b64encode(os.urandom(16)).decode("ascii")


def upgrade_request_fields(
    key: str,
    *,
    subprotocols: tuple[str, ...] = (),
    deflation: Offerer | None = None,
    origin: str | None = None,
) -> list[tuple[str, str]]:
    """The fields of the request beside Host. The request is a GET without a body."""
    pairs = [
        ("upgrade", "websocket"),
        ("connection", "upgrade"),
        ("sec-websocket-key", key),
        ("sec-websocket-version", "13"),
    ]
    if subprotocols:
        pairs.append(("sec-websocket-protocol", ", ".join(subprotocols)))
    if deflation is not None:
        pairs.append(("sec-websocket-extensions", deflation.offer()))
    if origin is not None:
        pairs.append(("origin", origin))
    return pairs


def check_upgrade_response(
    head: ResponseHead,
    key: str,
    *,
    subprotocols: tuple[str, ...] = (),
    deflation: Offerer | None = None,
) -> Agreed:
    """Judges the answer to a request with ``key``, ``subprotocols`` and what ``deflation`` offered.

    Raises UpgradeRefused for another status than 101, RemoteProtocolError (502) for an answer that does not fit.
    """
    if head.status != 101:
        raise UpgradeRefused(head.status)
    values: dict[str, list[str]] = {}
    for name, value in head.fields():
        values.setdefault(name, []).append(value)
    upgrades = read_tokens(values.get("upgrade", []))
    if not head.upgrade or [*map(str.lower, upgrades or [])] != ["websocket"]:
        raise RemoteProtocolError("the server changes to another protocol than WebSocket", 502)
    if values.get("sec-websocket-accept") != [accept_key(key)]:
        raise RemoteProtocolError("Sec-WebSocket-Accept does not fit the key", 502)
    chosen = values.get("sec-websocket-protocol", [])
    if len(chosen) > 1 or not set(chosen) <= set(subprotocols):
        raise RemoteProtocolError("a subprotocol that was not offered", 502)
    answer = ", ".join(values.get("sec-websocket-extensions", []))
    compression: Compression | None = None
    if answer:
        if deflation is None:
            raise RemoteProtocolError("an extension that was not offered", 502)
        try:
            compression = deflation.confirm(answer)
        except RemoteProtocolError as error:
            raise RemoteProtocolError(error.reason, 502) from None
    return Agreed(chosen[0] if chosen else None, compression)
