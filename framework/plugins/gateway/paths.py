"""The request target that goes on: the canonical path, changed as the route says, and the query as it came.

Router, policies and upstream see one path. What goes on is written again from the canonical form, so that no escape
can mean one thing here and another there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from framework.errors import SetupError
from framework.http.request import Request
from framework.plugins.gateway.config import RouteConfig
from framework.plugins.gateway.matching import Found

__all__ = ["Rewriter", "written"]

_SAFE: Final = "/!$&'()*+,;=:@-._~%"
_named = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


def written(path: str) -> str:
    """A canonical path as a target's: everything escaped but what a path may have; ``%2F`` and ``%25`` stay."""
    return quote(path, safe=_SAFE)


class Rewriter:
    """What a route does to paths.

    Raises:
        SetupError: ``strip`` is not the beginning of what the route matches, or ``rewrite`` names what there is not.
    """

    def __init__(self, config: RouteConfig) -> None:
        self._strip = None if config.strip is None else config.strip.rstrip("/")
        self._rewrite = config.rewrite
        self._kinds = dict(_parameters(config.match.pattern))
        if config.rewrite is None:
            return
        known = {"path", "rest", *self._kinds}
        unknown = sorted(set(_named.findall(config.rewrite)) - known)
        if unknown:
            raise SetupError(f"rewrite names {', '.join(unknown)}; there is {', '.join(sorted(known))}")

    def target(self, request: Request, found: Found[object]) -> str:
        """The target that goes on for a request."""
        if self._strip is None and self._rewrite is None and request.plain_path:
            return (
                request.target
                if request.target.startswith("/")
                else self._with_query(request, request.raw_path)
            )
        target = written(self.path(request.path, found.rest, found.params))
        if target.lower() == request.raw_path.lower() and self._strip is None and self._rewrite is None:
            target = request.raw_path  # ``%2f`` stays in lower case: signatures may cover it
        return self._with_query(request, target)

    def path(self, path: str, rest: str, params: Mapping[str, object]) -> str:
        """The canonical path that goes on."""
        strip = self._strip
        if strip is not None and (path == strip or path.startswith(strip + "/")):
            return path[len(strip) :] or "/"
        if self._rewrite is None:
            return path
        values = {"path": path, "rest": rest}  # canonical already
        values |= {name: _escaped(value, self._kinds.get(name, "")) for name, value in params.items()}
        made = _named.sub(lambda name: values[name[1]], self._rewrite)
        return re.sub(r"//+", "/", made)

    def _with_query(self, request: Request, path: str) -> str:
        return f"{path}?{request.query_string}" if request.query_string else path


def _escaped(value: object, kind: str) -> str:
    """A parameter's value in a canonical path: a slash in it stays no separator, but in what remains of a path."""
    if kind == "escaped":
        return str(value)
    text = str(value).replace("%", "%25")
    return text if kind == "path" else text.replace("/", "%2F")


def _parameters(pattern: str | None) -> list[tuple[str, str]]:
    """The names and kinds; a name alone has none."""
    return [] if pattern is None else re.findall(r"\{([A-Za-z_][A-Za-z0-9_]*)(?::([^}]*))?\}", pattern)
