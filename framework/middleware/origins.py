"""Origins (RFC 6454) and hosts, as CORS, CSRF and trusted hosts compare them: never by pieces of text."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

__all__ = ["DEFAULT_PORTS", "WebOrigin", "parse_origin", "split_host"]

DEFAULT_PORTS: Final = {"http": "80", "https": "443"}

# As browsers serialise one (section 6.2): lower case, no path, no userinfo.
_origin: Final = re.compile(
    r"([a-z][a-z0-9+.-]*+)://([a-z0-9._~-]++|\[[0-9a-f:.]++\])(?::([0-9]{1,5}))?+"
).fullmatch
_host: Final = re.compile(r"(\[[0-9a-f:.]++\]|[^:\[\]]*+)(?::([0-9]*+))?+").fullmatch


class WebOrigin(NamedTuple):
    """The three parts; ``port`` is None where it is not written."""

    scheme: str
    host: str
    port: str | None


def parse_origin(text: str) -> WebOrigin | None:
    """The parts of an Origin field; None for "null" and for what no browser writes."""
    found = _origin(text)
    return None if found is None else WebOrigin(found[1], found[2], found[3])


def split_host(host: str) -> tuple[str, str] | None:
    """Name, in lower case, and port, "" where there is none, of a Host field; None where it is no host."""
    found = _host(host.lower())
    return None if found is None else (found[1], found[2] or "")
