"""The canonical path: one reading of a request's path for the router, the policies and the files.

Knows nothing of requests or routes: a string goes in, a string comes out.
"""

from __future__ import annotations

import re

from framework.errors import HTTPError

__all__ = ["canonical_path", "unescape_segment"]

# Printable ASCII without "%", no empty segment, none that starts with a dot: most paths, told in one pass.
_is_plain = re.compile(r"(?:/[!-$&-\-0-~][!-$&-.0-~]*+)++/?+|/").fullmatch
# Neighbouring escapes are decoded together, for a character may be several; a lone "%" is refused.
_decode_escapes = re.compile(r"(?:%[0-9A-Fa-f]{2})++|%").sub
_find_control = re.compile(r"[\x00-\x1f\x7f-\x9f]").search


def canonical_path(raw: str) -> str:
    """Return the one spelling of ``raw``, the path of a request target without its query.

    Escapes are decoded as UTF-8 (RFC 3986 section 2.1), except ``%2F`` and ``%25``, which stay, in upper
    case: an encoded slash never becomes a separator, and no two resources become one path. ``//`` is merged,
    then the segments ``.`` and ``..`` are resolved, also those written with ``%2e`` (section 5.2.4).

    The result starts with a slash and has no empty segment, no dot segment and no control character. It ends
    with a slash only if ``raw`` ends with one or with a dot segment. A backslash is an ordinary character,
    however it was written.

    Raises:
        HTTPError: 400, when ``raw`` does not start with a slash, has a bad escape, bad UTF-8, a character
            outside ASCII, a control character (NUL is one), or a ``..`` above the root.
    """
    if _is_plain(raw):
        return raw
    if not raw.startswith("/") or not raw.isascii():
        raise HTTPError(400, "The path must start with a slash and be written in ASCII with percent-escapes.")
    path = _decode_escapes(_decode, raw) if "%" in raw else raw
    if _find_control(path):
        raise HTTPError(400, "The path contains a control character.")
    return _resolve(path) if "//" in path or "/." in path else path


def unescape_segment(value: str) -> str:
    """Turn the two escapes that a canonical path keeps back into ``/`` and ``%``.

    The result is a value, no longer a path: it may hold slashes and must not be split or joined as one.
    """
    # In this order: "%252F" holds no "%2F", but would after its "%25" became "%".
    return value.replace("%2F", "/").replace("%25", "%") if "%" in value else value


def _decode(escapes: re.Match[str]) -> str:
    try:
        text = bytes.fromhex(escapes[0].replace("%", "") or "?").decode()
    except ValueError:
        raise HTTPError(400, "The path contains a percent-escape that is malformed or not UTF-8.") from None
    return text.replace("%", "%25").replace("/", "%2F")


def _resolve(path: str) -> str:
    kept: list[str] = []
    segments = path.split("/")
    for segment in segments:
        if segment == "..":
            if not kept:
                raise HTTPError(400, "The path climbs above the root.")
            kept.pop()
        elif segment not in ("", "."):
            kept.append(segment)
    if segments[-1] in ("", ".", ".."):
        kept.append("")
    return "/" + "/".join(kept)
