"""A line for each request, past the general way: that would cost more than the request itself."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from time import perf_counter, time
from typing import Final, cast

import msgspec

from framework.http.request import Request, StateKey
from framework.http.response import STREAM, Response, StreamingResponse
from framework.middleware.chain import Hooks
from framework.middleware.observed import ObservedBody, answered
from framework.middleware.trace_context import trace_of
from framework.net.stream import EVENT_STREAM
from framework.plugins.logs.pipeline import Pipeline
from framework.plugins.logs.sink import LineBuffer

__all__ = ["LOGGER", "AccessLines"]

LOGGER: Final = "framework.access"
_STARTED: Final[StateKey[float]] = StateKey("logs.started")


class _Access(msgspec.Struct, gc=False, omit_defaults=True):
    """One line, in the order of its members."""

    timestamp: str
    level: str
    logger: str
    event: str
    request_id: str
    trace_id: str
    span_id: str
    method: str
    route: str | None
    path: str
    status: int
    ms: float | None
    client: str | None = None


class AccessLines(Hooks):
    """Writes method, route, path without its query, status, milliseconds and client of each request.

    For phase EDGE. The milliseconds end when the response's head is ready; there are none where a hook further out
    answered.

    Args:
        skip: patterns of routes that are left out.
        flush_interval: seconds that lines may wait to be written together.
    """

    def __init__(self, skip: Iterable[str], flush_interval: float) -> None:
        self._skip = frozenset(skip)
        self._flush_interval = flush_interval
        self._encode = msgspec.json.Encoder().encode
        self._buffer: LineBuffer | None = None
        self._pipeline: Pipeline | None = None
        self._is_json = False
        self._silent = False

    def be_silent(self, silent: bool) -> None:
        """Leaves the lines to another access log that is installed too."""
        self._silent = silent

    def open(self, pipeline: Pipeline, *, is_json: bool) -> LineBuffer:
        """Writes to the pipeline's sink from now on, by way of the buffer that is returned."""
        if self._silent or pipeline.level_of(LOGGER) > logging.INFO:
            return LineBuffer(pipeline.sink, 0)
        self._pipeline = pipeline
        self._is_json = is_json
        self._buffer = LineBuffer(pipeline.sink, self._flush_interval)
        return self._buffer

    def close(self) -> None:
        """Writes nothing any more."""
        self._pipeline = self._buffer = None

    def before(self, request: Request) -> None:
        """Starts the clock."""
        request[_STARTED] = perf_counter()

    def after(self, request: Request, response: Response) -> None:
        """Writes the line; that of a stream when its head goes out."""
        if self._buffer is None or request.endpoint.pattern in self._skip:
            return
        if response.kind == STREAM and response.media_type != EVENT_STREAM:
            streamed = cast("StreamingResponse", response)
            streamed.content = _LoggedBody(streamed, lambda status: self._write(request, status))
        else:
            self._write(request, response.status)

    def _write(self, request: Request, status: int) -> None:
        pipeline, buffer = self._pipeline, self._buffer
        if pipeline is None or buffer is None:
            return
        started = request.get(_STARTED)
        trace = trace_of(request)
        client = request.client
        line = _Access(
            pipeline.timestamps.of(time()),
            "info",
            LOGGER,
            "request",
            request.id,
            trace.trace_id,
            trace.span_id,
            request.method,
            request.endpoint.pattern or None,
            request.raw_path,
            status,
            None if started is None else int((perf_counter() - started) * 1e6) / 1e3,
            None if client is None else client.host,
        )
        if self._is_json:
            buffer.add(self._encode(line).decode())
        else:
            buffer.add(pipeline.line(msgspec.structs.asdict(line)))


class _LoggedBody(ObservedBody):
    """A streamed body that tells when the head of its response goes out, and with which status."""

    __slots__ = ("_status", "_write")

    def __init__(self, response: StreamingResponse, write: Callable[[int], None]) -> None:
        super().__init__(response.content)
        self._status = response.status
        self._write = write

    def began(self) -> None:
        self._write(self._status)

    def ended(self, error: BaseException | None) -> None:
        if not self.begun:
            self._write(answered(self._status, error))
