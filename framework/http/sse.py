"""Server-sent events (WHATWG HTML, section 9.2): a stream of events that a browser's ``EventSource`` reads."""

from __future__ import annotations

import random
import re
from collections.abc import AsyncIterable, Callable
from typing import Any, Final

from msgspec import Struct

from framework.codec import encode_json
from framework.errors import LocalProtocolError
from framework.http.pump import Pump
from framework.http.request import Request
from framework.http.response import HeaderInput, StreamingResponse

__all__ = ["Event", "EventStream", "encode_event", "last_event_id"]

HEARTBEAT: Final = b":\n\n"
# The ends of lines in the grammar, and no others: splitlines() would also break at U+2028 and their like.
_split_lines = re.compile(r"\r\n|\r|\n").split
_has_line_end = re.compile(r"[\r\n]").search
_is_unfit_id = re.compile(r"[\r\n\0]").search
_DEFAULT_RETRY: Final = 3.0


class Event(Struct, frozen=True):
    """One event.

    Attributes:
        data: text as it is, over as many lines as it has; anything else as JSON; None for no data, which tells the
            browser an id or a retry without waking a listener.
        event: what listeners know it by; "message" for the browser when None.
        id: what the browser sends as Last-Event-ID when it connects again.
        retry: seconds the browser waits until then.
        comment: text that no listener sees.
    """

    data: Any = None
    event: str | None = None
    id: str | None = None
    retry: float | None = None
    comment: str | None = None


def encode_event(item: Any) -> bytes:
    """An ``Event``, or the data of one, as bytes of the stream.

    Raises:
        LocalProtocolError: an event name or an id that would not arrive: with a line's end, or an id with NUL.
        CodecError: data that has no JSON form.
    """
    if type(item) is str and _has_line_end(item) is None:
        return f"data: {item}\n\n".encode()
    if not isinstance(item, Event):
        item = Event(item)
    lines: list[str] = []
    if item.comment is not None:
        lines += [f": {line}" for line in _split_lines(item.comment)]
    if item.event is not None:
        if _has_line_end(item.event):
            raise LocalProtocolError("the name of an event is one line")
        lines.append(f"event: {item.event}")
    if item.id is not None:
        if _is_unfit_id(item.id):
            raise LocalProtocolError("the id of an event is one line without NUL")
        lines.append(f"id: {item.id}")
    if item.retry is not None:
        lines.append(_retry(item.retry))
    if item.data is not None:
        text = item.data if isinstance(item.data, str) else encode_json(item.data).decode()
        lines += [f"data: {line}" for line in _split_lines(text)]
    return ("\n".join(lines) + "\n\n").encode()


class EventStream(StreamingResponse):
    """A response that sends events as they come.

    Args:
        source: ``Event`` objects, or their data: text, or anything with a JSON form. It runs in a task of its own, at
            most ``ahead`` items ahead of the client, and is closed when the client goes away.
        retry: seconds a browser waits before it connects again; its own default when None.
        heartbeat: seconds of silence after which a comment is sent, so that no proxy takes the connection for dead,
            and a client that is gone is found out. The source notices nothing. None for never.
        headers: ``cache-control: no-cache`` and ``x-accel-buffering: no`` are set unless they are among them.
    """

    __slots__ = ("_events", "on_drain")

    def __init__(
        self,
        source: AsyncIterable[Any],
        status: int = 200,
        *,
        retry: float | None = None,
        heartbeat: float | None = 15.0,
        headers: HeaderInput | None = None,
        ahead: int = 32,
    ) -> None:
        self._events = _Events(Pump(source, ahead), retry, heartbeat)
        super().__init__(self._events, status, headers=headers, media_type="text/event-stream")
        self.on_drain: Callable[[], None] | None = self.drain
        self.headers.setdefault("cache-control", "no-cache")
        self.headers.setdefault("x-accel-buffering", "no")

    def drain(self) -> None:
        """Ends the stream after the events that are ready, and tells the browser to connect again after about
        ``retry`` seconds, spread so that they do not all come at once. The server calls it when it shuts down."""
        self._events.drain()


class _Events:
    __slots__ = ("_draining", "_heartbeat", "_opening", "_over", "_pump", "_retry")

    def __init__(self, pump: Pump[Any], retry: float | None, heartbeat: float | None) -> None:
        self._pump = pump
        self._retry = retry or _DEFAULT_RETRY
        self._heartbeat = heartbeat
        self._opening = b"" if retry is None else f"{_retry(retry)}\n\n".encode()
        self._draining = self._over = False

    def __aiter__(self) -> _Events:
        return self

    async def __anext__(self) -> bytes:
        opening, self._opening = self._opening, b""
        if opening:
            return opening
        if self._over:
            raise StopAsyncIteration
        items = [] if self._draining else await self._pump.take(self._heartbeat)
        if items is None:
            raise StopAsyncIteration
        data = b"".join(map(encode_event, items))
        if self._draining:
            self._over = True
            # Half to one and a half times: a constant delay would bring the whole crowd to the next server at once.
            data += f"{_retry(self._retry * random.uniform(0.5, 1.5))}\n\n".encode()
        return data or HEARTBEAT

    def drain(self) -> None:
        self._draining = True
        self._pump.wake()

    async def aclose(self) -> None:
        await self._pump.close()


def _retry(seconds: float) -> str:
    return f"retry: {round(seconds * 1000)}"


def last_event_id(request: Request) -> str | None:
    """The id of the last event the browser saw before it lost the connection: go on after it. None for a first visit.

    Whatever the client likes to say, so look it up rather than trust it.
    """
    value = request.field("last-event-id")
    # Browsers send UTF-8, which fields are not decoded as.
    return None if value is None else value.encode("latin-1").decode(errors="replace")
