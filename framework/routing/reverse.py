"""The way back: from a pattern and the values of its parameters to a path that a client may ask for."""

from __future__ import annotations

import re
from collections.abc import Mapping

from framework.errors import CodecError
from framework.routing.converters import ESCAPED, REFUSED, is_remainder, is_segment, matcher, takes_rest
from framework.routing.pattern import Param, Pattern

__all__ = ["reverse"]

# All but what RFC 3986 section 3.3 allows as it is; "%" is here only in the escapes of a canonical path.
_quote = re.compile(r"[^A-Za-z0-9\-._~!$&'()*+,;=:@%/]+").sub


def reverse(pattern: Pattern, params: Mapping[str, object]) -> str:
    """Return the percent-encoded path of ``pattern`` with ``params`` in it. Its canonical form matches.

    A slash in a ``str`` is encoded, one in a ``path`` separates; an ``escaped`` is written as it is.

    Raises:
        CodecError: a parameter is missing or unknown, or a value has no text that the pattern would match: it
            is of another type, out of range, empty, a dot segment, or holds a control character or, in a
            ``path``, an empty segment.
    """
    if set(params) != {param.name for param in pattern.params}:
        wanted = ", ".join(param.name for param in pattern.params) or "none"
        raise CodecError(
            f"{pattern.text} takes the parameters: {wanted}; given: {', '.join(params) or 'none'}"
        )
    path = "".join(
        f"/{_write(pattern, segment, params[segment.name])}" if isinstance(segment, Param) else f"/{segment}"
        for segment in pattern.segments
    )
    try:
        return _quote(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), path)
    except UnicodeEncodeError:
        raise CodecError(f"{pattern.text}: a value holds a surrogate, which UTF-8 has no bytes for") from None


def _write(pattern: Pattern, param: Param, value: object) -> str:
    """Return the canonical text of one parameter."""
    try:
        text = param.converter.to_text(value)
    except ValueError as error:
        raise CodecError(f"{pattern.text}: {param.name}: {error}") from error
    if param.converter is not ESCAPED:
        text = text.replace("%", "%25")
    if takes_rest(param.converter):
        is_good = is_remainder(text)
    else:
        text = text.replace("/", "%2F")
        is_good = is_segment(text) and matcher(param.converter)(text) is not REFUSED
    if not is_good:
        raise CodecError(f"{pattern.text}: {param.name}: {value!r} has no text that matches {param.kind!r}")
    return text
