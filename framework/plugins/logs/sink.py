"""Where lines go: a standard stream of the process. Writing to it never fails whoever logs."""

from __future__ import annotations

import sys
from asyncio import AbstractEventLoop, TimerHandle
from threading import Lock
from typing import Final, Literal, TextIO

__all__ = ["LineBuffer", "Sink"]

_MAX_BUFFERED: Final = 512


class Sink:
    """Writes whole lines to standard error or output, from any thread.

    Args:
        name: of the stream; it is looked up for each write, because programs put others in its place.
    """

    def __init__(self, name: Literal["stderr", "stdout"]) -> None:
        self._name = name
        self._lock = Lock()

    @property
    def stream(self) -> TextIO | None:
        """The stream as it is now; None in a process that has none."""
        stream: TextIO | None = getattr(sys, self._name)
        return stream

    @property
    def is_terminal(self) -> bool:
        """Somebody watches."""
        try:
            return self.stream is not None and self.stream.isatty()
        except ValueError:  # it was closed
            return False

    def write(self, lines: str) -> None:
        """Writes lines, each with its end."""
        stream = self.stream
        if stream is None:
            return
        with self._lock:
            try:
                stream.write(lines)
                stream.flush()
            except (OSError, ValueError):
                pass  # the reader is gone, or the stream is closed: there is nobody left to tell


class LineBuffer:
    """Lines of the loop's thread that are written together, a moment later.

    Args:
        interval: seconds until they are written; 0 waits for nothing.
    """

    def __init__(self, sink: Sink, interval: float) -> None:
        self._sink = sink
        self._interval = interval
        self._lines: list[str] = []
        self._loop: AbstractEventLoop | None = None
        self._timer: TimerHandle | None = None

    def open(self, loop: AbstractEventLoop) -> None:
        """From now on lines wait; before, and after ``close``, they are written at once."""
        self._loop = loop if self._interval else None

    def add(self, line: str) -> None:
        """Takes a line without its end."""
        lines = self._lines
        lines.append(line)
        if len(lines) >= _MAX_BUFFERED or self._loop is None:
            self.flush()
        elif self._timer is None:
            self._timer = self._loop.call_later(self._interval, self.flush)

    def flush(self) -> None:
        """Writes what has come."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._lines:
            lines, self._lines = self._lines, []
            lines.append("")
            self._sink.write("\n".join(lines))

    def close(self) -> None:
        """Writes what is left."""
        self.flush()
        self._loop = None
