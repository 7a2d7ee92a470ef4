"""The answers that are nobody's handler: 404, 405, OPTIONS, a path that is none."""

from __future__ import annotations

from collections.abc import Callable

from framework.errors import HTTPError
from framework.http.path import canonical_path
from framework.http.request import Request
from framework.http.response import Response

__all__ = ["bad_path", "miss", "not_allowed", "options"]


def not_allowed(allowed: tuple[str, ...]) -> Callable[[Request], Response]:
    """Answers methods that a path does not have (RFC 9110 section 15.5.6)."""
    allow = ", ".join(allowed)

    def refuse(request: Request) -> Response:
        raise HTTPError(405, f"{request.method} is not allowed here", headers={"allow": allow})

    return refuse


def options(allowed: tuple[str, ...]) -> Callable[[Request], Response]:
    """Answers OPTIONS (RFC 9110 section 9.3.7)."""
    allow = ", ".join(allowed)

    def tell(request: Request) -> Response:
        return Response(status=204, headers={"allow": allow})

    return tell


def miss(request: Request) -> Response:
    """Answers what no route has: ``OPTIONS *``, CONNECT, and unknown paths."""
    if request.method == "OPTIONS" and request.raw_path == "*":
        return Response(status=204)
    if request.method == "CONNECT":
        raise HTTPError(501, "this server is no proxy")
    raise HTTPError(404, f"nothing is at {request.raw_path[:200]}")


def bad_path(request: Request) -> Response:
    """Answers targets that have no canonical path."""
    if request.method == "CONNECT":
        raise HTTPError(501, "this server is no proxy")
    canonical_path(request.raw_path)
    raise HTTPError(400, "the path is malformed")
