"""Converters: what the text of a path parameter may be, and the value that a handler gets for it.

Among siblings the narrow come first: ``int``, ``uuid``, ``float``, the application's own, ``str``, ``path``. What
``path`` takes ``escaped`` takes too, and paths with an encoded slash: a parameter of a proxy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

__all__ = [
    "ESCAPED",
    "NARROW",
    "PATH",
    "REFUSED",
    "WIDE",
    "BuiltIn",
    "Converter",
    "claim",
    "is_remainder",
    "is_segment",
    "matcher",
    "takes_rest",
]

_Type = type[Any]

REFUSED: Final = object()
"""What a match function returns when the text is not for it. None would be a legitimate value."""

_MAX_INT: Final = 2**63 - 1
_find_escape = re.compile(r"%(?!2F|25)").search
_find_control = re.compile(r"[\x00-\x1f\x7f-\x9f]").search


class Converter(Protocol):
    """A kind of path parameter. An application implements its own and gives it to the ``RouterBuilder``."""

    @property
    def name(self) -> str:
        """What errors call it."""
        ...

    @property
    def regex(self) -> str:
        """What the whole text of a segment must match; the text is not empty. Siblings must differ in it."""
        ...

    @property
    def type(self) -> _Type:
        """The type that ``to_python`` returns."""
        ...

    def to_python(self, text: str, /) -> Any:
        """Return the value. ``text`` matched ``regex``; a ValueError says that it is no match after all."""
        ...

    def to_text(self, value: Any, /) -> str:
        """Return the text, not percent-encoded, that ``to_python`` makes ``value`` of, or ValueError."""
        ...


class BuiltIn(NamedTuple):
    """A converter of the house. ``match`` does in one step what ``regex`` and ``to_python`` do in two."""

    name: str
    regex: str
    type: _Type
    match: Callable[[str], object]
    write: Callable[[Any], str]
    accepts: tuple[_Type, ...]

    def to_python(self, text: str, /) -> Any:
        value = self.match(text)
        if value is REFUSED:
            raise ValueError(f"{text!r} is no {self.name}")
        return value

    def to_text(self, value: Any, /) -> str:
        if not isinstance(value, self.accepts) or isinstance(value, bool):
            raise ValueError(f"{value!r} is no {self.type.__name__}")
        return self.write(value)


def matcher(converter: Converter) -> Callable[[str], object]:
    """Return the function that turns a canonical segment into the parameter's value, or into ``REFUSED``."""
    if isinstance(converter, BuiltIn):
        return converter.match
    is_match = re.compile(converter.regex).fullmatch
    to_python = converter.to_python

    def match(segment: str) -> object:
        text = _unescape(segment) if "%" in segment else segment
        if not text or is_match(text) is None:
            return REFUSED
        try:
            return to_python(text)
        except ValueError:
            return REFUSED

    return match


def claim(converter: Converter) -> str:
    """Return the regex, in one spelling where several match any segment. Equal claims compete for paths."""
    return _STR.regex if converter.regex in _ANY_SEGMENT and not takes_rest(converter) else converter.regex


def takes_rest(converter: Converter) -> bool:
    """Say whether the parameter is all that remains of the path."""
    return converter is PATH or converter is ESCAPED


def is_segment(text: str) -> bool:
    """Say whether a canonical path can have the segment: not empty, no dot segment, no control character."""
    return text not in ("", ".", "..") and _find_control(text) is None


def is_remainder(text: str) -> bool:
    """Say whether ``text`` can be what remains of a canonical path behind a slash; it may be nothing."""
    *parents, last = text.split("/")
    return all(map(is_segment, parents)) and (not last or is_segment(last))


def _unescape(segment: str) -> str:
    # "%25" last: "%252F" stands for the text "%2F".
    return segment.replace("%2F", "/").replace("%25", "%")


# The match functions look at the text before int(), float() or UUID() do: those accept "١", "_", "+", spaces,
# "nan", any length, braces and "urn:uuid:".


def _match_int(segment: str) -> object:
    if segment.isdecimal() and segment.isascii() and len(segment) < 20:
        value = int(segment)
        return value if value <= _MAX_INT else REFUSED
    return REFUSED


_FLOAT: Final = r"[0-9]{1,19}(?:\.[0-9]{1,19})?"
_is_float = re.compile(_FLOAT).fullmatch


def _match_float(segment: str) -> object:
    return float(segment) if _is_float(segment) else REFUSED


_UUID: Final = r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
_is_uuid = re.compile(_UUID).fullmatch


def _match_uuid(segment: str) -> object:
    return UUID(segment) if _is_uuid(segment) else REFUSED


def _match_str(segment: str) -> object:
    if "%" in segment:
        return _unescape(segment)
    return segment or REFUSED


def _match_path(rest: str) -> object:
    """Accept what remains, nothing too, but for an encoded slash: a policy for ``/private/`` did not see one there."""
    if "%" not in rest:
        return rest
    return REFUSED if "%2F" in rest else rest.replace("%25", "%")


def _match_escaped(rest: str) -> object:
    """Accept what remains, as the canonical path has it: ``%2F`` and ``%25`` are in the value."""
    return rest


def _write_escaped(value: str) -> str:
    if _find_escape(value):
        raise ValueError("it is written as in a canonical path: decoded, but for %2F and %25")
    return str.__str__(value)


def _write_float(value: float) -> str:
    if abs(value) >= 10**19:
        raise ValueError("there is no text of at most 19 digits before the point")
    text = repr(float(value))
    if "e" in text:
        text = f"{value:.19f}"
    if float(text) != value:
        raise ValueError(f"{value!r} has no exact text of at most 19 decimal places")
    return text


# The unbound methods of int and str, because str() of a member of an enumeration may be the member's name.
_STR: Final = BuiltIn("str", r"[^/]+", str, _match_str, str.__str__, (str,))
PATH: Final = BuiltIn("path", r".*", str, _match_path, str.__str__, (str,))
ESCAPED: Final = BuiltIn("escaped", r".*", str, _match_escaped, _write_escaped, (str,))
_ANY_SEGMENT: Final = frozenset({_STR.regex, r"[^/]*", r".+", r".*"})

NARROW: Final[Mapping[str, Converter]] = MappingProxyType(
    {
        "int": BuiltIn("int", r"[0-9]{1,19}", int, _match_int, int.__repr__, (int,)),
        "uuid": BuiltIn("uuid", _UUID, UUID, _match_uuid, str, (UUID,)),
        "float": BuiltIn("float", _FLOAT, float, _match_float, _write_float, (float, int)),
    }
)
"""Unsigned numbers below 2**63, UUIDs with their dashes, unsigned decimals of at most 19 + 19 digits."""

WIDE: Final[Mapping[str, Converter]] = MappingProxyType({"str": _STR, "path": PATH, "escaped": ESCAPED})
"""One segment, where an encoded slash is decoded; all that remains, maybe nothing, where it is refused."""
