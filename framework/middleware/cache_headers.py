"""Cache-Control for responses that do not say it themselves (RFC 9111 section 5.2.2)."""

from __future__ import annotations

import re
from typing import Final

from framework.errors import SetupError
from framework.http.request import Request
from framework.http.response import Response
from framework.middleware.chain import Hooks

__all__ = ["CacheHeaders"]

# RFC 9111 section 5.2.2, RFC 5861 and RFC 8246: whether each takes seconds.
_DIRECTIVES: Final = {
    "max-age": True,
    "s-maxage": True,
    "stale-while-revalidate": True,
    "stale-if-error": True,
    "immutable": False,
    "must-revalidate": False,
    "must-understand": False,
    "no-cache": False,
    "no-store": False,
    "no-transform": False,
    "private": False,
    "proxy-revalidate": False,
    "public": False,
}
_CONFLICTS: Final = (
    ("public", "private"),
    ("public", "no-store"),
    ("no-store", "max-age"),
    ("private", "s-maxage"),
)
_is_seconds: Final = re.compile(r"[0-9]{1,10}").fullmatch
_CACHED: Final = frozenset({200, 203, 204, 206, 304})


class CacheHeaders(Hooks):
    """Says how long responses may be kept. Hooks for phase CONTENT, of an app, a group or a route.

    Only answers to GET and HEAD of 200, 203, 204, 206 and 304 get it: no error is kept for a year. A response with a
    Cache-Control or Expires of its own keeps that; so an inner layer goes before an outer one.

    Args:
        policy: the field's value: "public, max-age=31536000, immutable".
        personal: instead of ``policy`` for what is meant for one user: the request had Authorization, or the response
            sets a cookie or varies by Cookie or Authorization (as it does once the session was asked for). None: the
            policy holds for these too.

    Raises:
        SetupError: an unknown directive, or directives that contradict each other.
    """

    def __init__(self, policy: str, *, personal: str | None = "no-store") -> None:
        texts = [policy] if personal is None else [policy, personal]
        problems = [problem for text in texts for problem in _faults(text)]
        if problems:
            raise SetupError([f"cache headers: {problem}" for problem in problems])
        # Checked already: neither can break the head.
        self._policy = ("cache-control", policy)
        self._personal = ("cache-control", policy if personal is None else personal)

    def after(self, request: Request, response: Response) -> None:
        """Adds the field where there is none."""
        if response.status not in _CACHED or request.method not in ("GET", "HEAD"):
            return
        pairs = response.headers.pairs
        personal = request.field("authorization") is not None
        for name, value in pairs:
            if name in ("cache-control", "expires"):
                return
            personal = personal or name == "set-cookie" or (name == "vary" and _varies_by_user(value))
        pairs.append(self._personal if personal else self._policy)

    def __repr__(self) -> str:
        return f"<CacheHeaders {self._policy[1]!r}>"


def _varies_by_user(vary: str) -> bool:
    return any(name.strip(" \t") in ("cookie", "authorization") for name in vary.lower().split(","))


def _faults(policy: str) -> list[str]:
    problems: list[str] = []
    names: list[str] = []
    for directive in policy.split(","):
        name, equals, value = directive.strip().partition("=")
        names.append(name)
        takes_seconds = _DIRECTIVES.get(name)
        if takes_seconds is None:
            problems.append(f"{name!r} is no directive; known are {', '.join(sorted(_DIRECTIVES))}")
        elif takes_seconds and not _is_seconds(value):
            problems.append(f"{name} takes seconds, not {value!r}")
        elif equals and not takes_seconds:
            problems.append(f"{name} takes no value")
    pairs = [pair for pair in _CONFLICTS if set(pair) <= set(names)]
    return problems + [f"{one} and {other} contradict each other" for one, other in pairs]
