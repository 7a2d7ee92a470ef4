"""The one way from a log call to a line, for structlog's loggers and for those of the standard library."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, TypeAlias, cast

import structlog

from framework.http.request import Request
from framework.plugins.logs.lines import Line, Timestamps
from framework.plugins.logs.redaction import Redaction
from framework.plugins.logs.scope import current_fields, fields_of
from framework.plugins.logs.settings import LEVELS
from framework.plugins.logs.sink import Sink

__all__ = ["Output", "Pipeline", "StandardHandler"]

ExcInfo: TypeAlias = tuple[type[BaseException], BaseException, TracebackType | None]

_STANDARD: Final = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {
    "asctime",
    "message",
    "request",
    "taskName",
}
_METHODS: Final = {"exception": "error", "warn": "warning", "fatal": "critical", "msg": "info", "log": "info"}


class Output:
    """The logger below structlog's, one for each name. It takes the finished line."""

    def __init__(self, sink: Sink, name: str | None) -> None:
        self.name = name
        self._sink = sink

    def msg(self, line: str) -> None:
        """Writes it."""
        self._sink.write(f"{line}\n")

    debug = info = warn = warning = error = exception = critical = fatal = log = msg


class Pipeline:
    """Makes lines of events: time, level, logger, event, the request's fields, their own fields, the exception.

    Args:
        levels: lowest level of loggers by name, ``""`` for all others.
    """

    def __init__(self, sink: Sink, line: Line, redaction: Redaction, levels: Mapping[str, int]) -> None:
        self.sink = sink
        self.line = line
        self.redaction = redaction
        self.timestamps = Timestamps()
        self._levels = dict(levels)

    def level_of(self, name: str) -> int:
        """The lowest level that the logger ``name`` writes: its own, or that of the nearest one above it."""
        level = self._levels.get(name)
        if level is None:
            level = self._levels[name] = self.level_of(name.rpartition(".")[0])
        return level

    def processor(self, logger: Any, method: str, event: Any) -> str:
        """The processor of structlog; the only one it needs."""
        level = _METHODS.get(method, method)
        name: str = getattr(logger, "name", None) or ""
        if LEVELS.get(level, logging.INFO) < self.level_of(name):
            raise structlog.DropEvent
        fields = structlog.contextvars.merge_contextvars(logger, method, event)
        what = fields.pop("event", None)
        exc_info = _exc_info(fields.pop("exc_info", None))
        return self._line(self.timestamps.now(), level, name, what, fields, current_fields(), exc_info)

    def record(self, record: logging.LogRecord) -> str:
        """A record of the standard library. One that has a ``request`` among its extras belongs to it."""
        fields = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        request: object = getattr(record, "request", None)
        context = fields_of(request) if isinstance(request, Request) else current_fields()
        if record.stack_info:
            fields["stack"] = record.stack_info
        exc_info = record.exc_info if record.exc_info and record.exc_info[0] is not None else None
        stamp = self.timestamps.of(record.created)
        return self._line(
            stamp, record.levelname.lower(), record.name, record.getMessage(), fields, context, exc_info
        )

    def _line(
        self,
        stamp: str,
        level: str,
        name: str,
        what: object,
        fields: Mapping[str, Any],
        context: Mapping[str, object],
        exc_info: ExcInfo | None,
    ) -> str:
        event: dict[str, Any] = {"timestamp": stamp, "level": level}
        if name:
            event["logger"] = name
        event.update(self.redaction.fields({"event": what}))
        event.update(context)
        event.update(self.redaction.fields(fields))
        if exc_info is not None:
            text = "".join(traceback.format_exception(*exc_info)).rstrip("\n")
            event["exception"] = self.redaction.text(text)
        return self.line(event)


class StandardHandler(logging.Handler):
    """Takes the records of the standard library's loggers."""

    def __init__(self, pipeline: Pipeline) -> None:
        super().__init__()
        self._pipeline = pipeline

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a record; one that cannot be formatted is reported as the standard library does."""
        try:
            self._pipeline.sink.write(f"{self._pipeline.record(record)}\n")
        except Exception:
            self.handleError(record)


def _exc_info(value: Any) -> ExcInfo | None:
    """What structlog's users may pass: an exception, a triple, or True for the one that is being handled."""
    if isinstance(value, BaseException):
        return type(value), value, value.__traceback__
    if isinstance(value, tuple):
        triple = cast("ExcInfo | tuple[None, None, None]", value)
        return None if triple[1] is None else triple
    if value:
        kind, error, trace = sys.exc_info()
        if kind is not None and error is not None:
            return kind, error, trace
    return None
