"""The base of a middleware that only looks. Compiled, so that hooks which see every request can be compiled too."""

from __future__ import annotations

from framework.http.request import Request
from framework.http.response import Response

__all__ = ["Hooks"]


class Hooks:
    """A middleware that only looks: it awaits nothing, and so costs no coroutine.

    Override one or both. All ``before`` hooks of a route run ahead of every onion, in the order of their phases; the
    first that returns a response, or raises, ends the request there. Whatever the response is then (the handler's, a
    hook's, a rendered error), **all** ``after`` hooks run on it, in reverse order, those included whose ``before`` was
    never reached; what one returns replaces the response.

    A subclass that can be called is an onion too.
    """

    def before(self, request: Request) -> Response | None:
        """Looks at the request; a response answers it."""
        return None

    def after(self, request: Request, response: Response) -> Response | None:
        """Looks at the response, may change its fields; a response replaces it."""
        return None
