"""The opening handshake as pure functions, the server's side (RFC 6455 section 4.2)."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha1
from typing import Final, NamedTuple

from framework.errors import LocalProtocolError, RemoteProtocolError
from framework.wire._pure_grammar import TOKEN
from framework.wire.leaves import RequestHead, encode_fields
from framework.wire.websocket.compression import Compression, Negotiator

__all__ = [
    "Accepted",
    "Refusal",
    "accept_key",
    "check_upgrade_request",
    "origin_allowed",
    "read_tokens",
    "select_subprotocol",
    "upgrade_response",
]

_GUID: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY = re.compile(r"[A-Za-z0-9+/]{22}==").fullmatch  # 16 bytes in base64
_ORIGIN = re.compile(r"(https?)://([^/?#@\s]+)").fullmatch

_VERSION = ("sec-websocket-version", "13")
_UPGRADE = [("upgrade", "websocket"), ("connection", "upgrade")]

# Of a response that changes the protocol: what the handshake itself says, and what frames a body it has not.
_OWN_FIELDS: Final = frozenset(
    {
        "connection",
        "content-length",
        "sec-websocket-accept",
        "sec-websocket-extensions",
        "sec-websocket-protocol",
        "sec-websocket-version",
        "transfer-encoding",
        "upgrade",
    }
)


class Accepted(NamedTuple):
    """A good request. An endpoint may put its own choice among ``offered`` in place of ``subprotocol``."""

    accept: str
    offered: list[str]
    subprotocol: str | None
    extensions: str | None
    compression: Compression | None
    origin: str | None


class Refusal(NamedTuple):
    """What answers a request that is refused; ``fields`` belong to the response (RFC 6455 section 4.2.2)."""

    status: int
    reason: str
    fields: list[tuple[str, str]]


def accept_key(key: str) -> str:
    """The value of Sec-WebSocket-Accept for that of Sec-WebSocket-Key (RFC 6455 section 4.2.2, step 5.4)."""
    return b64encode(sha1(f"{key}{_GUID}".encode("latin-1"), usedforsecurity=False).digest()).decode("ascii")


def check_upgrade_request(
    head: RequestHead,
    *,
    origins: frozenset[str] | None = None,
    subprotocols: tuple[str, ...] = (),
    deflation: Negotiator | None = None,
) -> Accepted | Refusal:
    """Judges a request to change to WebSocket.

    Args:
        origins: those allowed, see origin_allowed.
        subprotocols: what the server speaks, the best first.
        deflation: agrees on compression where the client offers it.

    A refusal has the status 426 (no upgrade to WebSocket asked for, or to another version), 403 (origin) or 400.
    """
    values: dict[str, list[str]] = {}
    for name, value in head.fields():
        values.setdefault(name, []).append(value)
    if (refusal := _refusal(head, values)) is not None:
        return refusal
    origin = values.get("origin", [None])
    if len(origin) > 1:
        return Refusal(400, "several Origin fields", [])
    if not origin_allowed(origin[0], head.host, origins):
        return Refusal(403, "the origin is not allowed", [])
    offered = read_tokens(values.get("sec-websocket-protocol", []))
    if offered is None or len(set(offered)) < len(offered):
        return Refusal(400, "a malformed Sec-WebSocket-Protocol field", [])
    extensions: str | None = None
    compression: Compression | None = None
    offers = ", ".join(values.get("sec-websocket-extensions", []))
    if offers and deflation is not None:
        try:
            agreed = deflation.accept(offers)
        except RemoteProtocolError as error:
            return Refusal(400, error.reason, [])
        if agreed is not None:
            extensions, compression = agreed
    return Accepted(
        accept_key(values["sec-websocket-key"][0]),
        offered,
        select_subprotocol(offered, subprotocols),
        extensions,
        compression,
        origin[0],
    )


def _refusal(head: RequestHead, values: dict[str, list[str]]) -> Refusal | None:
    """Of the request itself, whoever sends it and whatever it offers."""
    upgrades = read_tokens(values.get("upgrade", []))
    if head.minor == 0 or not head.upgrade or "websocket" not in map(str.lower, upgrades or []):
        return Refusal(426, "this resource speaks WebSocket", [*_UPGRADE, _VERSION])
    if head.method != "GET":
        return Refusal(400, "a WebSocket is asked for by GET", [])
    if head.chunked or head.content_length > 0:
        return Refusal(400, "an upgrade with a body", [])
    versions = values.get("sec-websocket-version", [])
    if len(versions) != 1:
        return Refusal(400, "one Sec-WebSocket-Version field is needed", [_VERSION])
    if versions[0] != "13":
        return Refusal(426, "an unknown version of WebSocket", [*_UPGRADE, _VERSION])
    keys = values.get("sec-websocket-key", [])
    if len(keys) != 1 or _KEY(keys[0]) is None:
        return Refusal(400, "one Sec-WebSocket-Key field of 16 bytes is needed", [])
    return None


def origin_allowed(origin: str | None, host: str, allowed: frozenset[str] | None = None) -> bool:
    """Whether a page of ``origin`` may open a WebSocket at ``host``, the value of the Host field.

    Args:
        origin: the value of Origin; None comes from no browser, and is allowed.
        allowed: lower-case origins as browsers write them ("https://example.com", "null"); "*" allows all. None
            allows those with the host and port of ``host``: the scheme is not compared, because a proxy
            may have taken TLS off.
    """
    if origin is None:
        return True
    origin = origin.lower()
    if allowed is not None:
        return origin in allowed or "*" in allowed
    match = _ORIGIN(origin)
    if match is None:
        return False
    port = ":443" if match[1] == "https" else ":80"
    return match[2].removesuffix(port) == host.lower().removesuffix(port)


def select_subprotocol(offered: Sequence[str], supported: Sequence[str]) -> str | None:
    """The first of ``supported`` that the client offers; None goes on without one (RFC 6455 section 4.2.2)."""
    return next((name for name in supported if name in offered), None)


def read_tokens(values: Sequence[str]) -> list[str] | None:
    """The members of a list of tokens over all its fields, None where one is no token (RFC 9110 section 5.6.1)."""
    members = [member.strip(" \t") for value in values for member in value.split(",")]
    found = [member for member in members if member]
    return found if all(map(TOKEN, found)) else None


def upgrade_response(accepted: Accepted, fields: Sequence[tuple[str, str]] = ()) -> bytes:
    """The whole 101 response, behind which frames follow. ``fields`` are further ones, such as cookies.

    Raises LocalProtocolError for a field that the handshake itself decides, one that is malformed, and a
    subprotocol that was not offered.
    """
    for name, _ in fields:
        if name.lower() in _OWN_FIELDS:
            raise LocalProtocolError(f"the field {name!r} belongs to the handshake")
    pairs = [*_UPGRADE, ("sec-websocket-accept", accepted.accept)]
    if accepted.subprotocol is not None:
        if accepted.subprotocol not in accepted.offered:
            raise LocalProtocolError(f"the subprotocol {accepted.subprotocol!r} was not offered")
        pairs.append(("sec-websocket-protocol", accepted.subprotocol))
    if accepted.extensions is not None:
        pairs.append(("sec-websocket-extensions", accepted.extensions))
    return b"HTTP/1.1 101 Switching Protocols\r\n" + encode_fields([*pairs, *fields]) + b"\r\n"
