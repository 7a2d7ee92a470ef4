"""On which line of a TOML text each key stands: what ``tomllib`` knows while it parses, and forgets.

Knows the grammar of TOML 1.0 only as far as finding keys needs; it reads text that ``tomllib`` has
accepted and says nothing sensible about any other.
"""

from __future__ import annotations

import re

__all__ = ["KeyPath", "key_lines", "render_key", "split_key"]

KeyPath = tuple[str | int, ...]

# A run of up to two quotes is content of a multi-line string; its end is the three quotes after them.
_MULTI_LINE = r'"""(?:\\.|"{1,2}(?!")|[^\\"])*+"{3,5}' + r"|'''(?:'{1,2}(?!')|[^'])*+'{3,5}"
_ONE_LINE = r'"(?:\\.|[^"\\\n])*+"' + r"|'[^'\n]*+'"

_STRING = re.compile(f"{_MULTI_LINE}|{_ONE_LINE}", re.DOTALL)
_SCALAR = re.compile(r"[^,\]}#\n]++")
_BARE = re.compile(r"[A-Za-z0-9_-]++")
_SIMPLE_KEY = re.compile(f"{_BARE.pattern}|{_ONE_LINE}")
_BLANK = re.compile(r"(?:[ \t\n]|#[^\n]*+)*+")
_DOT = re.compile(r"[ \t]*+\.[ \t]*+")
_EQUALS = re.compile(r"[ \t]*+=[ \t]*+")


def key_lines(text: str) -> dict[KeyPath, int]:
    """The line, counted from 1, of every key, table and array item of a valid TOML text.

    A table made by several statements has the line of the first that mentions it. Items of arrays
    have an index in their path: ``("servers", 0, "port")``.
    """
    return _Scanner(text).document()


def split_key(text: str) -> tuple[str, ...]:
    """The parts of a dotted key, with TOML's quoting: ``a."b.c"`` is ``("a", "b.c")``.

    Raises:
        ValueError: the text is no TOML key.
    """
    scanner = _Scanner(text)
    try:
        parts = scanner.key()
    except (ValueError, IndexError):
        parts = ()
    if not parts or scanner.at != len(scanner.text):
        raise ValueError(f"not a dotted key: {text!r}")
    return parts


def render_key(path: KeyPath) -> str:
    """How a path is written: parts joined by dots, quoted where TOML needs it, indices in brackets."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + (part if _BARE.fullmatch(part) else _quoted(part))
    return text


def _quoted(part: str) -> str:
    escaped = part.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in escaped) + '"'


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text.replace("\r\n", "\n")
        self.at = 0
        self._counted_to = 0
        self._line = 1
        self._lines: dict[KeyPath, int] = {}
        self._items: dict[KeyPath, int] = {}

    def document(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        self._skip(_BLANK)
        while self.at < len(self.text):
            if self.text.startswith("[[", self.at):
                table = self._header(brackets=2)
            elif self.text[self.at] == "[":
                table = self._header(brackets=1)
            else:
                self._key_value(table)
            self._skip(_BLANK)
        return self._lines

    def key(self) -> tuple[str, ...]:
        parts = [self._simple_key()]
        while self._skip(_DOT):
            parts.append(self._simple_key())
        return tuple(parts)

    def _simple_key(self) -> str:
        raw = self._take(_SIMPLE_KEY)
        if raw[0] not in "\"'":
            return raw
        import tomllib

        # tomllib itself decodes the escapes of a quoted key.
        return next(iter(tomllib.loads(f"{raw} = 0")))

    def _header(self, *, brackets: int) -> KeyPath:
        line = self._line_here()
        self.at += brackets
        self._skip(_BLANK)
        path: list[str | int] = []
        parts = self.key()
        for depth, part in enumerate(parts, 1):
            path.append(part)
            table = tuple(path)
            self._lines.setdefault(table, line)
            if brackets == 2 and depth == len(parts):
                self._items[table] = self._items.get(table, 0) + 1
            if table in self._items:
                path.append(self._items[table] - 1)
                self._lines.setdefault(tuple(path), line)
        self._skip(_BLANK)
        self.at += brackets
        return tuple(path)

    def _key_value(self, table: KeyPath) -> None:
        line = self._line_here()
        path = table
        for part in self.key():
            path = (*path, part)
            self._lines.setdefault(path, line)
        self._take(_EQUALS)
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        opening = self.text[self.at]
        if opening == "[":
            self._array(path)
        elif opening == "{":
            self._inline_table(path)
        elif opening in "\"'":
            self._take(_STRING)
        else:
            self._take(_SCALAR)

    def _array(self, path: KeyPath) -> None:
        self.at += 1
        index = 0
        while not self._closed("]"):
            item = (*path, index)
            self._lines[item] = self._line_here()
            self._value(item)
            index += 1

    def _inline_table(self, path: KeyPath) -> None:
        self.at += 1
        while not self._closed("}"):
            self._key_value(path)

    def _closed(self, bracket: str) -> bool:
        self._skip(_BLANK)
        if self.text[self.at] == ",":
            self.at += 1
            self._skip(_BLANK)
        if self.text[self.at] != bracket:
            return False
        self.at += 1
        return True

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        if match is None:
            raise ValueError(f"not TOML at character {self.at}")
        self.at = match.end()
        return match.group()

    def _skip(self, pattern: re.Pattern[str]) -> bool:
        match = pattern.match(self.text, self.at)
        if match is None:
            return False
        self.at = match.end()
        return True

    def _line_here(self) -> int:
        self._line += self.text.count("\n", self._counted_to, self.at)
        self._counted_to = self.at
        return self._line
