"""Events to lines: JSON for machines, columns for people."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import msgspec

from framework.plugins.logs.redaction import plain

__all__ = ["Event", "Line", "Timestamps", "human_lines", "json_line"]

Event: TypeAlias = Mapping[str, Any]
Line: TypeAlias = Callable[[Event], str]

_TEXTS: Final = frozenset({"exception", "stack"})
_controls = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]").sub
_controls_in_text = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]").sub
_encoder: Final = msgspec.json.Encoder(enc_hook=plain)


class Timestamps:
    """Times as RFC 3339 has them, in UTC. What is the same for a second, or a millisecond, is made once."""

    __slots__ = ("_last", "_prefix")

    def __init__(self) -> None:
        # Pairs, replaced as a whole: threads may come at the same time.
        self._prefix = (-1, "")
        self._last = (-1, "")

    def now(self) -> str:
        """To the millisecond: ``2026-01-31T12:00:00.123Z``."""
        return self.of(time.time())

    def of(self, seconds: float) -> str:
        """Of a time since the epoch."""
        millis = int(seconds * 1000)
        last, text = self._last
        if last == millis:
            return text
        second = millis // 1000
        last, prefix = self._prefix
        if last != second:
            prefix = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._prefix = (second, prefix)
        text = f"{prefix}.{millis % 1000:03d}Z"
        self._last = (millis, text)
        return text


def json_line(event: Event) -> str:
    """One JSON object; what has no JSON is written as ``repr`` shows it. Never fails."""
    try:
        data = _encoder.encode(event)
    except Exception:
        data = _encoder.encode({_encodable(name): _encodable(value) for name, value in event.items()})
    return data.decode()


def _encodable(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    return plain(value).encode("utf-8", "backslashreplace").decode()


def human_lines(*, colors: bool) -> Line:
    """Aligned columns, tracebacks below. Control characters are escaped: a stranger's text writes no line of its own,
    and says nothing to the terminal."""
    from structlog.dev import ConsoleRenderer, plain_traceback

    render = ConsoleRenderer(colors=colors, sort_keys=False, exception_formatter=plain_traceback)

    def line(event: Event) -> str:
        try:
            harmless = {_harmless("", name): _harmless(name, value) for name, value in _short(event).items()}
            return str(render(None, "", harmless))
        except Exception:
            return json_line(event)

    return line


def _short(event: Event) -> Event:
    """Without the ids that only machines follow: the span's, and the trace's where it is the request's."""
    left_out = {"span_id", "trace_id"} if event.get("trace_id") == event.get("request_id") else {"span_id"}
    return {name: value for name, value in event.items() if name not in left_out}


def _harmless(name: str, value: Any) -> Any:
    if isinstance(value, bool | int | float) or value is None:
        return value
    text = plain(value).encode("utf-8", "backslashreplace").decode()
    return (_controls_in_text if name in _TEXTS else _controls)(_escape, text)


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
