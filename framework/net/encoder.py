"""Responses to bytes: prefixes and tails made once, one buffer for head and body."""

from __future__ import annotations

import time
from typing import Final

from framework.errors import LocalProtocolError
from framework.http.dates import http_date
from framework.http.response import Response, StreamingResponse
from framework.http.status import phrase
from framework.wire.leaves import encode_fields, encode_response

__all__ = ["ResponseEncoder"]

MAX_PREFIXES: Final = 1024
FRAMING: Final = frozenset(
    {"content-length", "transfer-encoding", "connection", "date", "keep-alive", "upgrade"}
)
BODILESS: Final = frozenset({204, 304})


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
        """Head and body of a plain response in one buffer; no body for HEAD (``head``), 204 and 304.

        Raises LocalProtocolError where a field would break the message.
        """
        prefix = self._prefixes.get((response.status, response.media_type))
        if prefix is None or response.fields is not None or response.status in BODILESS:
            return self._whole(response, head, tail)
        return encode_response(prefix, None, response.body, tail, not head)

    def _whole(self, response: Response, head: bool, tail: bytes) -> bytes:
        prefix = self.prefix(response.status, response.media_type)
        fields = response.fields
        pairs = _checked(fields.pairs, response, head) if fields is not None else None
        if response.status in BODILESS:
            return prefix + encode_fields(pairs or []) + tail
        return encode_response(prefix, pairs, response.body, tail, not head)

    def opening(self, response: StreamingResponse, *, chunked: bool, tail: bytes) -> bytes:
        """The head of a streamed response; ``chunked`` false and no length means the close ends the body."""
        pairs = [] if response.fields is None else list(response.fields.pairs)
        for name, _ in pairs:
            if name in FRAMING:
                raise LocalProtocolError(f"the server writes the field {name}, not the response")
        if response.status not in BODILESS:
            if response.length is not None:
                pairs.append(("content-length", str(response.length)))
            elif chunked:
                pairs.append(("transfer-encoding", "chunked"))
        return self.prefix(response.status, response.media_type) + encode_fields(pairs) + tail


def _checked(pairs: list[tuple[str, str]], response: Response, head: bool) -> list[tuple[str, str]]:
    """Refuses fields that contradict the framing; a Content-Length that says the same is dropped."""
    if not any(name in FRAMING for name, _ in pairs):
        return pairs
    kept: list[tuple[str, str]] = []
    for name, value in pairs:
        if name == "content-length" and (head or value == str(len(response.body))):
            continue
        if name == "connection" and value.lower() == "close":
            continue
        if name in FRAMING:
            raise LocalProtocolError(f"the server writes the field {name}, not the response")
        kept.append((name, value))
    return kept


def asks_to_close(response: Response) -> bool:
    """The handler wants the connection closed after this response."""
    fields = response.fields
    return fields is not None and any(
        name == "connection" and value.lower() == "close" for name, value in fields.pairs
    )
