"""Cookies a client keeps (RFC 6265bis section 5), in memory and bounded. It does no I/O.

There is no list of public suffixes here: a server can set a cookie for its own host and for the domains above it that
have a dot in them, so that ``a.example.co.uk`` could set one for ``co.uk``. Keep one jar for servers that trust each
other.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple

from framework.net.client.url import URL

__all__ = ["CookieJar"]

_is_age = re.compile(r"-?[0-9]{1,12}").fullmatch
_is_ip = re.compile(r"[0-9.]+|.*:.*").fullmatch
_has_control = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]").search
MAX_PAIR: Final = 4096
NEVER: Final = float("inf")
MAX_AGE: Final = 400 * 86_400.0  # section 5.5


class _Cookie(NamedTuple):
    name: str
    value: str
    domain: str
    host_only: bool
    path: str
    secure: bool
    expires: float


class CookieJar:
    """Keeps what Set-Cookie says, and says what Cookie has to.

    Args:
        max_cookies: of one domain; the oldest goes for one more.
        max_domains: domains; the one that was set first goes for one more.
        clock: Unix time in seconds.
    """

    def __init__(
        self, *, max_cookies: int = 50, max_domains: int = 500, clock: Callable[[], float] = time.time
    ) -> None:
        self._max_cookies = max_cookies
        self._max_domains = max_domains
        self._clock = clock
        self._domains: dict[str, dict[tuple[str, str], _Cookie]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._domains.values()))

    def clear(self) -> None:
        """Forgets all."""
        self._domains.clear()

    def keep(self, url: URL, set_cookie: str) -> bool:
        """Takes up one Set-Cookie value of a response from ``url``; returns whether it was accepted."""
        cookie = self._parse(url, set_cookie)
        if cookie is None:
            return False
        kept = self._domains.get(cookie.domain)
        key = (cookie.path, cookie.name)
        if cookie.expires <= self._clock():
            if kept is not None:
                kept.pop(key, None)
                if not kept:
                    del self._domains[cookie.domain]
            return True
        if kept is None:
            if len(self._domains) >= self._max_domains:
                del self._domains[next(iter(self._domains))]
            kept = self._domains[cookie.domain] = {}
        if key not in kept and len(kept) >= self._max_cookies:
            del kept[next(iter(kept))]
        kept[key] = cookie
        return True

    def cookie_field(self, url: URL) -> str | None:
        """The value of the Cookie field of a request to ``url``; None where there is nothing to say."""
        if not self._domains:
            return None
        now = self._clock()
        path = url.target.partition("?")[0]
        found: list[_Cookie] = []
        domain = url.host
        while domain:
            kept = self._domains.get(domain, {})
            for key, cookie in list(kept.items()):
                if cookie.expires <= now:
                    del kept[key]
                elif (
                    (domain == url.host or not cookie.host_only)
                    and (url.is_secure or not cookie.secure)
                    and _covers(cookie.path, path)
                ):
                    found.append(cookie)
            domain = "" if _is_ip(url.host) else domain.partition(".")[2]
        found.sort(key=lambda cookie: -len(cookie.path))
        return (
            "; ".join(f"{cookie.name}={cookie.value}" if cookie.name else cookie.value for cookie in found)
            or None
        )

    def _parse(self, url: URL, text: str) -> _Cookie | None:
        """Sections 5.6 and 5.7 of the draft; None for what browsers ignore."""
        pair, *rest = text.split(";")
        name, equals, value = pair.partition("=")
        name, value = (name.strip(" \t"), value.strip(" \t")) if equals else ("", name.strip(" \t"))
        if (not name and not value) or len(name) + len(value) > MAX_PAIR or _has_control(pair):
            return None
        attributes: dict[str, str] = {}
        for part in rest:
            key, _, content = part.partition("=")
            attributes[key.strip(" \t").lower()] = content.strip(" \t")
        secure = "secure" in attributes
        domain = attributes.get("domain", "").lower().removeprefix(".")
        path = attributes.get("path", "")
        given_path = path.startswith("/")
        if not given_path:
            path = url.target.partition("?")[0].rpartition("/")[0] or "/"
        if secure and not url.is_secure:
            return None
        if domain and not _may_set(url.host, domain):
            return None
        low = (name or value).lower()
        if low.startswith("__secure-") and not secure:
            return None
        if low.startswith("__host-") and (not secure or domain or path != "/" or not given_path):
            return None
        host_only = not domain or (domain == url.host and "." not in domain)
        return _Cookie(name, value, domain or url.host, host_only, path, secure, self._expiry(attributes))

    def _expiry(self, attributes: dict[str, str]) -> float:
        now = self._clock()
        age = attributes.get("max-age")
        if age is not None and _is_age(age):
            return now + min(float(age), MAX_AGE) if not age.startswith("-") else 0.0
        date = attributes.get("expires")
        if date is not None:
            try:
                return min(parsedate_to_datetime(date).timestamp(), now + MAX_AGE)
            except (ValueError, OverflowError):
                return NEVER
        return NEVER


def _may_set(host: str, domain: str) -> bool:
    """Whether a server at ``host`` may set a cookie for ``domain`` (section 5.1.3)."""
    if host == domain:
        return True
    return "." in domain and not _is_ip(host) and host.endswith("." + domain)


def _covers(path: str, request: str) -> bool:
    """Section 5.1.4."""
    if not request.startswith(path):
        return False
    return len(request) == len(path) or path.endswith("/") or request[len(path)] == "/"
