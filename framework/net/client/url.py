"""Where a URL leads, and what is asked for there (RFC 9110 section 4.2, RFC 3986). It does no I/O."""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import quote

from framework.errors import LocalProtocolError
from framework.wire._pure_lines import AUTHORITY

__all__ = ["URL", "parse_url"]

DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}

_split = re.compile(r"([A-Za-z]++)://([^/?#]*+)([^#]*+)(?:#.*+)?", re.DOTALL).fullmatch
_is_plain = re.compile(r"[!-~]*+").fullmatch
_has_control = re.compile(r"[\x00-\x1f\x7f]").search
# All that may stand in a target as it is; "%" because what is escaped already stays so.
_SAFE: Final = "!#$%&'()*+,/:;=?@[]~"


class URL(NamedTuple):
    """``host`` is in lower case and without brackets, ``target`` in origin-form, percent-encoded."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def is_secure(self) -> bool:
        """https or wss."""
        return self.scheme in ("https", "wss")


def parse_url(url: str) -> URL:
    """Takes an absolute http, https, ws or wss URL apart; the fragment is dropped.

    Blanks and characters beyond ASCII are percent-encoded in the target, and the host's put into IDNA.

    Raises LocalProtocolError: another scheme, no host, credentials, control characters, or a port out of range.
    """
    found = None if _has_control(url) else _split(url)
    if found is None:
        raise LocalProtocolError(f"{url!r} is not an absolute URL")
    scheme = found[1].lower()
    if scheme not in DEFAULT_PORTS:
        raise LocalProtocolError(f"the scheme {scheme} is none of {', '.join(DEFAULT_PORTS)}")
    authority, target = found[2], found[3]
    if "@" in authority:
        raise LocalProtocolError("credentials belong into the Authorization field, not into a URL")
    host, port = _host_and_port(authority, url)
    if not _is_plain(target):
        target = quote(target, safe=_SAFE)
    if not target.startswith("/"):
        target = "/" + target
    return URL(scheme, host, DEFAULT_PORTS[scheme] if port is None else port, target)


def _host_and_port(authority: str, url: str) -> tuple[str, int | None]:
    if not authority.isascii():
        name, colon, port = authority.partition(":")
        try:
            authority = name.encode("idna").decode("ascii") + colon + port
        except UnicodeError:
            raise LocalProtocolError(f"the host of {url!r} is no name") from None
    host, bracket, rest = authority.partition("]")
    if bracket:
        host, rest = host[1:], rest
    else:
        host, colon, port = authority.partition(":")
        rest = colon + port
    if not AUTHORITY(authority) or not host:
        raise LocalProtocolError(f"the host of {url!r} is none")
    digits = rest[1:]
    if not digits:
        return host.lower(), None
    number = int(digits)  # ASCII digits, at most five: AUTHORITY has seen to it
    if not 0 < number < 65_536:
        raise LocalProtocolError(f"the port of {url!r} is out of range")
    return host.lower(), number
