"""Field blocks (RFC 9110 section 5): the request's, read only and lazy; the response's, checked at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar, overload

from framework.errors import LocalProtocolError
from framework.http.multimap import MultiMap

__all__ = ["Headers", "MutableHeaders"]

T = TypeVar("T")

# RFC 9110 section 5.6.2, and 5.5: visible characters and obs-text, with blanks between them but not around.
_is_token = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++").fullmatch
_is_value = re.compile(r"(?:[!-~\x80-\xff]++(?:[ \t]++(?=[!-~\x80-\xff]))?+)*+").fullmatch


class Headers(MultiMap):
    """The fields of a received message: immutable, looked up without regard to case.

    Args:
        pairs: name and value of each field line, names already in lower case, values decoded as latin-1.
            Adopted without a copy.
    """

    __slots__ = ()

    @property
    def raw(self) -> Sequence[tuple[str, str]]:
        """The pairs as they were received."""
        return self._pairs

    @overload
    def get(self, name: str) -> str | None: ...
    @overload
    def get(self, name: str, default: T) -> str | T: ...
    def get(self, name: str, default: T | None = None) -> str | T | None:
        """The first field line called ``name``; for a list over several lines see ``combined``."""
        index = self._first()
        value = index.get(name)
        return index.get(name.lower(), default) if value is None else value

    def get_all(self, name: str) -> list[str]:
        """The value of every field line called ``name``, in order."""
        return super().get_all(name.lower())

    def combined(self, name: str) -> str | None:
        """The field's lines joined by commas (RFC 9110 section 5.3): for lists, not for Cookie."""
        values = self.get_all(name)
        return ", ".join(values) if values else None


class MutableHeaders:
    """The fields of a message to send. Nothing gets in that could end a line early (response splitting).

    ``pairs`` is what the serialiser reads: names in lower case, values that encode as latin-1.

    Args:
        pairs: the first fields, checked like all that follow.

    Raises:
        LocalProtocolError: by every method that adds: the name is no token (RFC 9110 section 5.6.2), or the
        value
            has control characters, blanks around it, or characters beyond latin-1 (section 5.5).
    """

    __slots__ = ("pairs",)

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self.pairs: list[tuple[str, str]] = []
        self.extend(pairs)

    def set(self, name: str, value: str) -> None:
        """Makes this the only field called ``name``."""
        pair = _checked(name, value)
        self.delete(name)
        self.pairs.append(pair)

    def add(self, name: str, value: str) -> None:
        """Adds a field line beside those already called ``name``."""
        self.pairs.append(_checked(name, value))

    def setdefault(self, name: str, value: str) -> str:
        """Adds the field unless there is one called ``name``; returns the value that stands."""
        pair = _checked(name, value)
        present = self.get(name)
        if present is not None:
            return present
        self.pairs.append(pair)
        return value

    def delete(self, name: str) -> None:
        """Removes every field line called ``name``; none is no error."""
        key = name.lower()
        self.pairs[:] = [pair for pair in self.pairs if pair[0] != key]

    def extend(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Adds every pair, or none where one is refused."""
        self.pairs += [_checked(name, value) for name, value in pairs]

    def vary(self, *names: str) -> None:
        """Adds request fields the response depends on to Vary (RFC 9110 section 12.5.5); "*" is all."""
        listed = [name.strip() for value in self.get_all("vary") for name in value.split(",")]
        merged: dict[str, str] = {}
        for name in [*listed, *names]:
            merged.setdefault(name.lower(), name)
        self.set("vary", "*" if "*" in merged else ", ".join(merged.values()))

    def get(self, name: str) -> str | None:
        """The first value called ``name``."""
        key = name.lower()
        for known, value in self.pairs:
            if known == key:
                return value
        return None

    def get_all(self, name: str) -> list[str]:
        """The value of every field line called ``name``, in order."""
        key = name.lower()
        return [value for known, value in self.pairs if known == key]

    def items(self) -> Sequence[tuple[str, str]]:
        """All pairs in order, repeated names included."""
        return self.pairs

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __setitem__(self, name: str, value: str) -> None:
        self.set(name, value)

    def __delitem__(self, name: str) -> None:
        self.delete(name)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def __iter__(self) -> Iterator[str]:
        """The distinct names, in the order they first appear."""
        return iter(dict(self.pairs))

    def __len__(self) -> int:
        """The number of distinct names."""
        return len(dict(self.pairs))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {', '.join(self)}>"


def _checked(name: str, value: str) -> tuple[str, str]:
    if _is_token(name) is None:
        raise LocalProtocolError(f"{name!r} is not a field name")
    if _is_value(value) is None:
        # The value itself stays out of the text: it may be a secret, and this text is logged.
        raise LocalProtocolError(f"the value for the field {name} holds characters that no field may carry")
    return name.lower(), value
