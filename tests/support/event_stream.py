"""Reads an event stream as a browser does (WHATWG HTML, section 9.2.6)."""

from __future__ import annotations

import re

__all__ = ["EventParser"]


class EventParser:
    """``events`` are (event, data, last event id), ``comments`` the lines without a name, ``retry`` in milliseconds."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, str]] = []
        self.comments: list[str] = []
        self.retry: int | None = None
        self._text = ""
        self._data: list[str] = []
        self._event = ""
        self._id = ""

    def feed(self, data: bytes | str) -> None:
        """Takes whole lines: what is behind the last line's end waits for more."""
        self._text += data if isinstance(data, str) else data.decode("utf-8-sig")
        *lines, self._text = re.split(r"\r\n|\r|\n", self._text)
        for line in lines:
            self._line(line)

    def _line(self, line: str) -> None:
        if not line:
            if self._data:
                self.events.append((self._event or "message", "\n".join(self._data), self._id))
            self._data, self._event = [], ""
            return
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self.retry = int(value)
        elif not name:
            self.comments.append(value)
