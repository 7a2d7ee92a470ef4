"""Responses to bytes: prefixes and tails made once, one buffer for head and body."""

from __future__ import annotations

import time
from typing import Final

from framework.errors import LocalProtocolError
from framework.http.dates import http_date
from framework.http.response import Response, StreamingResponse
from framework.http.status import phrase
from framework.http.upgrade import Upgrade
from framework.wire.leaves import encode_fields, encode_response

__all__ = ["BODILESS", "ResponseEncoder", "asks_to_close"]

MAX_PREFIXES: Final = 1024
FRAMING: Final = frozenset(
    {"content-length", "transfer-encoding", "connection", "date", "keep-alive", "upgrade"}
)
BODILESS: Final = frozenset({204, 205, 304})
"""Statuses whose responses have no content (RFC 9110 sections 15.3.5, 15.3.6 and 15.4.5)."""
ANY: Final = -1
UPGRADE_REQUIRED: Final = 426


class ResponseEncoder:
    """Serialises the responses of one server. ``refresh`` keeps the Date field true; the timer wheel calls it."""

    __slots__ = ("_prefixes", "_second", "closing", "keeping", "keeping_1_0")

    def __init__(self) -> None:
        self._prefixes: dict[tuple[int, str | None], bytes] = {}
        self._second = -1
        self.refresh()

    def refresh(self) -> None:
        """Renews the ends of heads when the second has changed (RFC 9110 section 6.6.1)."""
        second = int(time.time())
        if second == self._second:
            return
        self._second = second
        date = f"date: {http_date(second)}\r\n".encode()
        self.keeping = date + b"\r\n"
        self.keeping_1_0 = date + b"connection: keep-alive\r\n\r\n"
        self.closing = date + b"connection: close\r\n\r\n"

    def tail(self, keep_alive: bool, minor: int) -> bytes:
        """The end of a head: Date, Connection where it says something, and the empty line."""
        if keep_alive:
            return self.keeping if minor else self.keeping_1_0
        return self.closing

    def prefix(self, status: int, media_type: str | None) -> bytes:
        """Status line and Content-Type. Raises LocalProtocolError on a status outside 200 to 599."""
        key = (status, media_type)
        made = self._prefixes.get(key)
        if made is None:
            if not 200 <= status <= 599:
                raise LocalProtocolError(f"{status} is no status of a final response")
            made = b"HTTP/1.1 %d %b\r\n" % (status, phrase(status).encode())
            if media_type is not None:
                made += encode_fields([("content-type", media_type)])
            if len(self._prefixes) >= MAX_PREFIXES:
                self._prefixes.clear()
            self._prefixes[key] = made
        return made

    def whole(self, response: Response, head: bool, tail: bytes) -> bytes:
        """Head and body of a plain response in one buffer; no body for HEAD (``head``), 204, 205 and 304.

        Raises LocalProtocolError where a field would break the message.
        """
        prefix = self._prefixes.get((response.status, response.media_type))
        if prefix is None or response.fields is not None or response.status in BODILESS:
            return self._whole(response, head, tail)
        return encode_response(prefix, None, response.body, tail, not head)

    def _whole(self, response: Response, head: bool, tail: bytes) -> bytes:
        status = response.status
        prefix = self.prefix(status, response.media_type)
        pairs = _pairs(response)
        if status in BODILESS:
            length = b"content-length: 0\r\n" if status == 205 else b""
            return prefix + length + encode_fields(_checked(pairs, ANY)) + tail
        if head and not response.body and any(name == "content-length" for name, _ in pairs):
            return prefix + encode_fields(_told_length(pairs)) + tail
        offered = [pair for pair in pairs if pair[0] == "upgrade"] if status == UPGRADE_REQUIRED else []
        if offered:
            # What has to be upgraded to is named (RFC 9110 section 15.5.22).
            pairs = [pair for pair in pairs if pair[0] != "upgrade" and pair != ("connection", "upgrade")]
            prefix += encode_fields([*offered, ("connection", "upgrade")])
        return encode_response(prefix, _checked(pairs, len(response.body)), response.body, tail, not head)

    def opening(self, response: StreamingResponse, *, chunked: bool, tail: bytes) -> bytes:
        """The head of a streamed response; ``chunked`` false and no length means the close ends the body."""
        status, length = response.status, response.length
        if length is not None and length < 0:
            raise LocalProtocolError(f"a body of {length} bytes")
        pairs = list(_checked(_pairs(response), ANY if status in BODILESS else length))
        if status == 205:
            pairs.append(("content-length", "0"))
        elif status in BODILESS:
            pass
        elif length is not None:
            pairs.append(("content-length", str(length)))
        elif chunked:
            pairs.append(("transfer-encoding", "chunked"))
        return self.prefix(status, response.media_type) + encode_fields(pairs) + tail

    def switching(self, upgrade: Upgrade) -> bytes:
        """The whole 101 response. Raises LocalProtocolError where a field would break the message."""
        pairs = [
            ("upgrade", upgrade.protocol),
            ("connection", "upgrade"),
            *_checked(_pairs(upgrade), ANY),
        ]
        return b"HTTP/1.1 101 Switching Protocols\r\n" + encode_fields(pairs) + b"\r\n"


def _pairs(response: Response) -> list[tuple[str, str]]:
    return [] if response.fields is None else response.fields.pairs


def _checked(pairs: list[tuple[str, str]], length: int | None) -> list[tuple[str, str]]:
    """Refuses fields that contradict the framing; a Content-Length that says ``length`` is dropped, or any, if ANY."""
    if not any(name in FRAMING for name, _ in pairs):
        return pairs
    kept: list[tuple[str, str]] = []
    for name, value in pairs:
        if name == "content-length" and (length == ANY or value == str(length)):
            continue
        if name == "connection" and value.lower() == "close":
            continue
        if name in FRAMING:
            raise LocalProtocolError(f"the server writes the field {name}, not the response")
        kept.append((name, value))
    return kept


def _told_length(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The fields of the response to HEAD whose handler tells the length of the body that GET would have."""
    lengths = {value for name, value in pairs if name == "content-length"}
    (length,) = lengths if len(lengths) == 1 else ("",)
    if not (length.isascii() and length.isdigit()):
        raise LocalProtocolError("a Content-Length that is no single number")
    return [*_checked(pairs, ANY), ("content-length", length)]


def asks_to_close(response: Response) -> bool:
    """The handler wants the connection closed after this response."""
    fields = response.fields
    return fields is not None and any(
        name == "connection" and value.lower() == "close" for name, value in fields.pairs
    )
