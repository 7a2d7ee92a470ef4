"""Cross-origin resource sharing (Fetch standard, section 3.2): which other sites' scripts may read the responses.

It protects no handler: a browser sends simple requests first and asks later. What must not happen at another site's
wish is ``csrf.py``'s matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from framework.errors import HTTPError, SetupError
from framework.http.headers import MutableHeaders
from framework.http.request import Request
from framework.http.response import Response
from framework.middleware.chain import Hooks
from framework.middleware.origins import DEFAULT_PORTS, parse_origin

__all__ = ["CORS"]

ANY: Final = "*"
NULL: Final = "null"
_SAFE_METHODS: Final = ("GET", "HEAD", "POST")
_METHODS: Final = frozenset({*_SAFE_METHODS, "PUT", "PATCH", "DELETE", "OPTIONS"})
_GRANTS: Final = frozenset(
    f"access-control-{name}" for name in ("allow-origin", "allow-credentials", "expose-headers")
)
_MAX_AGE: Final = 86_400

_is_token: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++").fullmatch
_is_token_list: Final = re.compile(
    r"[ \t]*+[!#$%&'*+\-.^_`|~0-9A-Za-z]++(?:[ \t]*+,[ \t]*+[!#$%&'*+\-.^_`|~0-9A-Za-z]++)*+[ \t]*+"
).fullmatch


class CORS(Hooks):
    """Lets scripts of other origins read responses, errors included. Hooks for phase POLICY (or earlier).

    Preflights are answered by 204 without asking any handler, also where the path has only other methods; OPTIONS
    without an Origin stays the automatic one. A refused origin gets 403 to its preflight and no CORS fields on other
    responses, which are served all the same. CORS fields a handler or an upstream wrote are replaced, so that each
    stands once. Vary names Origin on every response, also on those to requests without one, unless all origins get
    the same answer.

    On the app it covers all paths, also those that are none. On a group or a mounted app it covers the paths whose
    routes are all inside it: what answers OPTIONS in a path's name has the layers that its routes have in common.

    Args:
        origins: exact ones ("https://shop.example"), patterns that the whole origin has to match, or "*" alone.
        methods: those other origins may use, or "*". Names are case-sensitive.
        headers: request fields they may send besides the safelisted ones, or "*" for all they ask for.
        expose: response fields their scripts may read besides the safelisted ones, or "*".
        credentials: they may send the user's cookies, and read what comes back. Never together with any origin.
        max_age: seconds a browser may remember a preflight's answer, 0 to 86400; None leaves it to the browser.
        allow_null: the origin "null", which sandboxed frames, ``data:`` URLs and local files of anyone share.
        private_network: public sites may reach this server in a private network (Private Network Access).

    Raises:
        SetupError: with everything that is wrong.
    """

    def __init__(
        self,
        origins: str | Iterable[str | re.Pattern[str]],
        *,
        methods: str | Iterable[str] = _SAFE_METHODS,
        headers: str | Iterable[str] = (),
        expose: str | Iterable[str] = (),
        credentials: bool = False,
        max_age: int | None = 600,
        allow_null: bool = False,
        private_network: bool = False,
    ) -> None:
        listed = [origins] if isinstance(origins, str) else list(origins)
        self._exact = frozenset(one for one in listed if isinstance(one, str))
        self._patterns = [one for one in listed if isinstance(one, re.Pattern)]
        self._any = listed == [ANY]
        self._methods = _names(methods)
        self._headers = _names(headers)
        self._expose = _names(expose)
        self._credentials = credentials
        self._max_age = max_age
        self._allow_null = allow_null
        self._private_network = private_network
        self._check(listed)
        self._vary = self._preflight_vary()
        self._constant: list[tuple[str, str]] = []
        if credentials:
            self._constant.append(("access-control-allow-credentials", "true"))
        if self._expose:
            self._constant.append(("access-control-expose-headers", ", ".join(self._expose)))

    def before(self, request: Request) -> Response | None:
        """Answers a preflight. Raises HTTPError 403 for an origin that is refused."""
        return self._preflight(request) if _is_preflight(request) else None

    def after(self, request: Request, response: Response) -> None:
        """Adds the fields of a response, whatever it is the answer to."""
        headers = response.headers
        if _is_preflight(request):
            headers.vary(*self._vary)
            return
        pairs = headers.pairs
        if pairs:
            pairs[:] = [pair for pair in pairs if pair[0] not in _GRANTS]
        if not self._any:
            _vary_by_origin(headers)
        # The same answer for all is given also where no Origin asks: a cache may hand it to a script later.
        origin = ANY if self._any else request.field("origin")
        if origin is not None and self.allows(origin):
            # Checked already: none of these can break the head.
            pairs.append(("access-control-allow-origin", origin))
            pairs += self._constant

    def allows(self, origin: str) -> bool:
        """Whether scripts of ``origin`` (as an Origin field names it) may read responses."""
        if self._any:
            return True
        if origin == NULL:
            return self._allow_null
        if origin in self._exact:
            return True
        # The form comes first: "." of a pattern matches "/" and "#" too, but no origin has them.
        return parse_origin(origin) is not None and any(one.fullmatch(origin) for one in self._patterns)

    def _preflight(self, request: Request) -> Response:
        origin = request.field("origin") or ""
        if not self.allows(origin):
            # A browser needs no status to refuse; whoever looks at the exchange needs the reason.
            raise HTTPError(403, "CORS: this origin is not allowed here")
        response = Response(status=204)
        headers = response.headers
        headers.set("access-control-allow-origin", ANY if self._any else origin)
        if self._credentials:
            headers.set("access-control-allow-credentials", "true")
        method = request.field("access-control-request-method") or ""
        headers.set("access-control-allow-methods", self._allowed_methods(method))
        asked = request.field("access-control-request-headers")
        if self._headers == (ANY,):
            # Named one by one: "*" would not cover Authorization, nor anything sent with credentials.
            if asked is not None and _is_token_list(asked):
                headers.set("access-control-allow-headers", asked)
        elif self._headers:
            headers.set("access-control-allow-headers", ", ".join(self._headers))
        if self._max_age is not None:
            headers.set("access-control-max-age", str(self._max_age))
        if self._private_network and request.field("access-control-request-private-network") == "true":
            headers.set("access-control-allow-private-network", "true")
        return response

    def _allowed_methods(self, asked: str) -> str:
        if self._methods != (ANY,):
            return ", ".join(self._methods)
        return asked if _is_token(asked) else ANY

    def _preflight_vary(self) -> Sequence[str]:
        names = ["Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"]
        return [*names, "Access-Control-Request-Private-Network"] if self._private_network else names

    def _check(self, origins: Sequence[str | re.Pattern[str]]) -> None:
        problems = [
            text for one in origins if isinstance(one, str) and (text := _fault(one, alone=self._any))
        ]
        if not origins:
            problems.append("no origins: leave CORS out")
        if self._any and self._credentials:
            problems.append("any origin with credentials lets every site act as your user: list the origins")
        if self._credentials and ANY in self._expose:
            problems.append("expose='*' means nothing to a browser that sends credentials: list the fields")
        for kind, names in (("methods", self._methods), ("headers", self._headers)):
            if ANY in names and names != (ANY,):
                problems.append(f"{kind}: '*' stands alone or not at all")
        names = (*self._methods, *self._headers, *self._expose)
        problems += [f"{name!r} is no name of a method or field" for name in names if not _is_token(name)]
        problems += [
            f"method {name!r}: names of methods are case-sensitive, browsers send {name.upper()}"
            for name in self._methods
            if name != name.upper() and name.upper() in _METHODS
        ]
        if self._max_age is not None and not 0 <= self._max_age <= _MAX_AGE:
            problems.append(f"max_age is 0 to {_MAX_AGE} seconds, not {self._max_age}")
        if problems:
            raise SetupError([f"CORS: {problem}" for problem in problems])

    def __repr__(self) -> str:
        origins = [*sorted(self._exact), *(f"/{one.pattern}/" for one in self._patterns)]
        return f"<CORS {', '.join(origins)}{' with credentials' if self._credentials else ''}>"


def _is_preflight(request: Request) -> bool:
    return request.field("origin") is not None and request.field("access-control-request-method") is not None


def _vary_by_origin(headers: MutableHeaders) -> None:
    if "vary" in headers:
        headers.vary("Origin")
    else:
        headers.pairs.append(("vary", "Origin"))


def _names(names: str | Iterable[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _fault(origin: str, *, alone: bool) -> str | None:
    """What is wrong with an exact origin: written otherwise than browsers do, it would never match."""
    if origin == ANY:
        return None if alone else "'*' stands alone or not at all"
    if origin == NULL:
        return "the origin 'null' is allowed by allow_null=True"
    found = parse_origin(origin)
    if found is None:
        hint = "; for many hosts pass re.compile(...)" if ANY in origin else ""
        return f"origin {origin!r} is not written as browsers do: scheme://host[:port], lower case{hint}"
    if found.port is not None and found.port == DEFAULT_PORTS.get(found.scheme):
        return f"origin {origin!r}: browsers leave out the port {found.port}"
    return None
