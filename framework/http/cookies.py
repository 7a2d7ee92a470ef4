"""Cookies (RFC 6265bis): those a request brings, and the Set-Cookie value for those a response leaves."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final, Literal, TypeAlias

from framework.errors import HTTPError, LocalProtocolError
from framework.http.dates import http_date

__all__ = ["MAX_COOKIES", "SameSite", "parse_cookies", "set_cookie"]

SameSite: TypeAlias = Literal["strict", "lax", "none"]

# Browsers keep up to 180 cookies for a site; nobody comes with more by accident.
MAX_COOKIES: Final = 200
# What browsers ignore: section 5.6 of the draft.
_MAX_PAIR: Final = 4096
_MAX_ATTRIBUTE: Final = 1024

_is_name = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++").fullmatch
_is_value = re.compile(r'[!#-+\--:<-\[\]-~]*+|"[!#-+\--:<-\[\]-~]*+"').fullmatch
_is_domain = re.compile(
    r"[0-9A-Za-z](?:[-0-9A-Za-z]*[0-9A-Za-z])?(?:\.[0-9A-Za-z](?:[-0-9A-Za-z]*[0-9A-Za-z])?)*"
).fullmatch
_is_path = re.compile(r"/(?:[ -:<-~]*[!-:<-~])?").fullmatch
_is_age = re.compile(r"[0-9]{1,10}").fullmatch

_SAME_SITE: Final = {"strict": "Strict", "lax": "Lax", "none": "None"}


def parse_cookies(field: str, max_cookies: int = MAX_COOKIES) -> dict[str, str]:
    """The cookies of a Cookie field, read as browsers write them (RFC 6265bis sections 4.2 and 5.8.3).

    The first "=" splits; of equal names the first stays, which is the one with the longest path. Only
    spaces and tabs are trimmed: whatever else counts as a blank in Unicode is part of the name, so that it
    cannot pass for another (``__Host-`` forgery). Quotes belong to the value, nothing is unescaped, and
    what has no name is skipped.

    Args:
        field: the value; several lines joined by "; ".

    Raises:
        HTTPError: 431, before any work, when there are more than ``max_cookies``.
    """
    cookies: dict[str, str] = {}
    if field.count(";") >= max_cookies:
        raise HTTPError(431, f"more than {max_cookies} cookies")
    for pair in field.split(";"):
        name, equals, value = pair.partition("=")
        name = name.strip(" \t")
        if equals and name and name not in cookies:
            cookies[name] = value.strip(" \t")
    return cookies


def set_cookie(
    name: str,
    value: str = "",
    *,
    max_age: int | None = None,
    expires: datetime | None = None,
    domain: str | None = None,
    path: str | None = "/",
    secure: bool = False,
    http_only: bool = True,
    same_site: SameSite | None = "lax",
    partitioned: bool = False,
) -> str:
    """The value of a Set-Cookie field (RFC 6265bis section 4.1).

    Args:
        value: visible ASCII without comma, semicolon, backslash and inner quotes; encode what has others.
        max_age: seconds; 0 deletes the cookie. It goes before ``expires``.
        expires: an aware time.
        domain: also send to its subdomains; only to this host when None.
        partitioned: one jar per embedding site (CHIPS).

    Raises:
        LocalProtocolError: a part breaks the grammar; the cookie is larger than browsers take; or they refuse
            it: SameSite=None or Partitioned without Secure, ``__Secure-`` without Secure, ``__Host-`` without
            Secure and Path=/ or with a Domain (section 4.1.3).
    """
    _require(_is_name(name), "name", name)
    # The value itself stays out of the text: it is a secret more often than not, and this text is logged.
    _require(_is_value(value), "value of the cookie", name)
    _require(len(name) + len(value) <= _MAX_PAIR, "size of the cookie", name)
    _require_consistent(name, domain, path, same_site, secure=secure, partitioned=partitioned)
    parts = [f"{name}={value}"]
    if max_age is not None:
        _require(_is_age(str(max_age)), "Max-Age", max_age)
        parts.append(f"Max-Age={max_age}")
    if expires is not None:
        parts.append(f"Expires={_http_date(expires)}")
    if domain is not None:
        _require(len(domain) <= _MAX_ATTRIBUTE and _is_domain(domain), "Domain", domain)
        parts.append(f"Domain={domain}")
    if path is not None:
        _require(len(path) <= _MAX_ATTRIBUTE and _is_path(path), "Path", path)
        parts.append(f"Path={path}")
    if secure:
        parts.append("Secure")
    if http_only:
        parts.append("HttpOnly")
    if same_site is not None:
        parts.append(f"SameSite={_SAME_SITE[same_site]}")
    if partitioned:
        parts.append("Partitioned")
    return "; ".join(parts)


def _require_consistent(
    name: str,
    domain: str | None,
    path: str | None,
    same_site: SameSite | None,
    *,
    secure: bool,
    partitioned: bool,
) -> None:
    """What browsers would drop without a word (sections 4.1.2.7, 4.1.3; the CHIPS draft for Partitioned)."""
    _require(same_site is None or same_site in _SAME_SITE, "SameSite", same_site)
    prefix = name.lower()
    reasons = {
        "SameSite=None": same_site == "none",
        "Partitioned": partitioned,
        "the prefix __Secure-": prefix.startswith("__secure-"),
        "the prefix __Host-": prefix.startswith("__host-"),
    }
    for reason, applies in reasons.items():
        if applies and not secure:
            raise LocalProtocolError(f"the cookie {name} needs Secure for {reason}")
    if prefix.startswith("__host-") and (domain is not None or path != "/"):
        raise LocalProtocolError(f"the cookie {name} needs Path=/ and no Domain for the prefix __Host-")


def _http_date(moment: datetime) -> str:
    _require(moment.tzinfo is not None and moment.year > 1600, "Expires", moment)
    return http_date(moment.timestamp())


def _require(holds: object, part: str, value: object) -> None:
    if not holds:
        raise LocalProtocolError(f"browsers do not take this {part}: {value!r}")
