"""From a request to its route. What it costs hangs on the depth of the path, not on the number of routes.

The most specific match decides, whatever the order in the file: host before path (exact, ``*.b.c``, ``*.c``, any), path
(exact, then pattern, then the longest prefix) before the rest, and of routes for one path the one that asks for more:
methods, headers and query parameters, counted. Two that ask for as much and could both take a request are a conflict,
told when the gateway is built.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Generic, NamedTuple, TypeVar

from framework.errors import SetupError
from framework.http.request import Request
from framework.plugins.gateway.config import Match
from framework.routing import Router, RouterBuilder

__all__ = ["Found", "Matcher", "MatcherBuilder"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
_METHOD: Final = "GET"


class Found(NamedTuple, Generic[T_co]):
    """A route's value; ``rest``: what is behind its prefix; ``params``: of its pattern."""

    value: T_co
    rest: str
    params: Mapping[str, object]


class _Candidate(Generic[T]):
    """A route among those of one path."""

    __slots__ = ("headers", "match", "methods", "name", "query", "rank", "value")

    def __init__(self, name: str, match: Match, value: T) -> None:
        self.name = name
        self.match = match
        self.value = value
        self.methods = frozenset(match.methods)
        self.headers = [(key.lower(), _test_of(name, want)) for key, want in sorted(match.headers.items())]
        self.query = [(key, _test_of(name, want)) for key, want in sorted(match.query.items())]
        self.rank = (len(self.headers) + len(self.query), bool(self.methods))

    def takes(self, request: Request) -> bool:
        if self.methods and request.method not in self.methods:
            return False
        return all(test(request.field(key)) for key, test in self.headers) and all(
            test(request.query.get(key)) for key, test in self.query
        )

    def overlaps(self, other: _Candidate[T]) -> bool:
        """Whether some request could be taken by both, neither being more specific."""
        if self.rank != other.rank or (
            self.methods and other.methods and self.methods.isdisjoint(other.methods)
        ):
            return False
        mine, theirs = self.match, other.match
        return not any(
            _exclusive(one.get(key), two.get(key))
            for one, two in ((mine.headers, theirs.headers), (mine.query, theirs.query))
            for key in one.keys() & two.keys()
        )


def _test_of(route: str, want: str) -> Callable[[str | None], bool]:
    if want == "*":
        return lambda value: value is not None
    if want == "!":
        return lambda value: value is None
    if want.startswith("~"):
        try:
            matches = re.compile(want[1:]).fullmatch
        except re.error as error:
            raise SetupError(f"routes.{route}: {want[1:]!r} is no regular expression: {error}") from None
        return lambda value: value is not None and matches(value) is not None
    return lambda value: value == want


def _exclusive(one: str | None, other: str | None) -> bool:
    """Whether no value can be what both want."""
    if one is None or other is None or one == other or "~" in (one[:1], other[:1]):
        return False
    return "!" in (one, other) or "*" not in (one, other)


class _Host(Generic[T]):
    """The routes of one host."""

    __slots__ = ("exact", "patterns", "prefixes")

    def __init__(self) -> None:
        self.exact: dict[str, list[_Candidate[T]]] = {}
        self.prefixes: dict[str, list[_Candidate[T]]] = {}
        self.patterns: Router[list[_Candidate[T]] | None] | None = None


class Matcher(Generic[T]):
    """Made by ``MatcherBuilder.build``; never changes."""

    def __init__(
        self,
        hosts: Mapping[str, _Host[T]],
        wild: Sequence[tuple[str, _Host[T]]],
        any_host: _Host[T] | None,
        candidates: Sequence[_Candidate[T]] = (),
    ) -> None:
        self._candidates = tuple(candidates)
        self._hosts = dict(hosts)
        self._wild = list(wild)
        self._any = any_host
        self._only = any_host if not hosts and not wild else None

    def find(self, request: Request, path: str | None = None) -> Found[T] | frozenset[str] | None:
        """The route of a request; where only the method does not fit, the methods that would; else None.

        ``path``: looked for in place of the request's. Raises HTTPError 400 for a path that has no canonical form.
        """
        if path is None:
            path = request.path
        allowed: set[str] = set()
        if self._only is not None:
            found = self._on(self._only, path, request, allowed)
        else:
            found = None
            for host in self._hosts_of(request):
                found = self._on(host, path, request, allowed)
                if found is not None:
                    break
        if found is None and allowed:
            return frozenset(allowed)
        return found

    def judge(self, request: Request) -> list[tuple[str, tuple[int, ...], str]]:
        """What each route says to a request, those that fit first: its name, its score, and why it does not fit, or "".

        The score compares host, kind of path, length of path, and conditions. For people: ``find`` decides."""
        judged = [
            (candidate.name, _score(candidate), self._why_not(candidate, request))
            for candidate in self._candidates
        ]
        return sorted(judged, key=lambda one: (not one[2], one[1]), reverse=True)

    def _why_not(self, candidate: _Candidate[T], request: Request) -> str:
        match, path, name = candidate.match, request.path, host_name(request.origin.host)
        host = None if match.host is None else match.host.lower().removesuffix(".")
        if host is not None and (name != host if not host.startswith("*") else not name.endswith(host[1:])):
            return f"its host is {match.host}"
        if match.exact is not None and path != match.exact:
            return f"its path is {match.exact}"
        if match.pattern is not None and not self._fits_pattern(candidate, path):
            return f"its pattern is {match.pattern}"
        prefix = (match.path or "/").rstrip("/")
        if match.exact is None and match.pattern is None and not f"{path}/".startswith(f"{prefix}/"):
            return f"its path begins with {match.path}"
        if candidate.methods and request.method not in candidate.methods:
            return f"it takes {', '.join(sorted(candidate.methods))}"
        wrong = [key for key, test in candidate.headers if not test(request.field(key))]
        wrong += [f"?{key}" for key, test in candidate.query if not test(request.query.get(key))]
        return f"{', '.join(wrong)} does not fit" if wrong else ""

    def _fits_pattern(self, candidate: _Candidate[T], path: str) -> bool:
        for host in (*self._hosts.values(), *(one for _, one in self._wild), self._any):
            if host is not None and host.patterns is not None:
                found, _ = host.patterns.find(_METHOD, path)
                if found is not None and candidate in found:
                    return True
        return False

    def _hosts_of(self, request: Request) -> list[_Host[T]]:
        name = host_name(request.origin.host)
        found: list[_Host[T]] = []
        exact = self._hosts.get(name)
        if exact is not None:
            found.append(exact)
        found += [host for suffix, host in self._wild if name.endswith(suffix)]
        if self._any is not None:
            found.append(self._any)
        return found

    def _on(self, host: _Host[T], path: str, request: Request, allowed: set[str]) -> Found[T] | None:
        exact = host.exact.get(path)
        if exact is not None:
            candidate = _first(exact, request, allowed)
            if candidate is not None:
                return Found(candidate.value, "", {})
        if host.patterns is not None:
            candidates, params = host.patterns.find(_METHOD, path)
            if candidates is not None:
                candidate = _first(candidates, request, allowed)
                if candidate is not None:
                    return Found(candidate.value, "", params)
        return self._by_prefix(host.prefixes, path, request, allowed)

    def _by_prefix(
        self, prefixes: Mapping[str, list[_Candidate[T]]], path: str, request: Request, allowed: set[str]
    ) -> Found[T] | None:
        if not prefixes:
            return None
        end = len(path)
        while True:
            candidates = prefixes.get(path[:end])
            if candidates is not None:
                candidate = _first(candidates, request, allowed)
                if candidate is not None:
                    return Found(candidate.value, path[end:], {})
            if end == 0:
                return None
            end = path.rfind("/", 0, end)


def _score(candidate: _Candidate[T]) -> tuple[int, ...]:
    match = candidate.match
    host = 0 if match.host is None else 1000 if not match.host.startswith("*") else match.host.count(".")
    if match.exact is not None:
        path = (3, 0)
    elif match.pattern is not None:
        path = (2, 0)
    else:
        path = (1, len((match.path or "/").rstrip("/")))
    return (host, *path, candidate.rank[0], int(candidate.rank[1]))


def host_name(host: str) -> str:
    """The name in a Host field's value: without its port, in lower case."""
    name = host.lower()
    if name.endswith("]"):
        return name
    before, colon, port = name.rpartition(":")
    return (before if colon and port.isascii() and (port.isdigit() or not port) else name).removesuffix(".")


def _first(candidates: list[_Candidate[T]], request: Request, allowed: set[str]) -> _Candidate[T] | None:
    for candidate in candidates:
        if candidate.takes(request):
            return candidate
        if candidate.methods and not candidate.headers and not candidate.query:
            allowed |= candidate.methods
    return None


class MatcherBuilder(Generic[T]):
    """Records routes and checks them together."""

    def __init__(self) -> None:
        self._candidates: list[_Candidate[T]] = []
        self._problems: list[str] = []

    def add(self, name: str, match: Match, value: T) -> None:
        """Records a route. What is wrong with it is told by ``build``."""
        try:
            self._candidates.append(_Candidate(name, match, value))
        except SetupError as error:
            self._problems += error.problems

    def build(self) -> Matcher[T]:
        """Raises SetupError with every conflict and every match that makes no sense."""
        hosts: dict[str, _Host[T]] = {}
        builders: dict[str, dict[str, list[_Candidate[T]]]] = {}
        for candidate in self._candidates:
            key = candidate.match.host.lower().removesuffix(".") if candidate.match.host is not None else ""
            if "*" in key.removeprefix("*.") or key == "*.":
                self._problems.append(
                    f"routes.{candidate.name}: {key!r} is no host: use example.com or *.example.com"
                )
                continue
            host = hosts.setdefault(key, _Host())
            self._place(candidate, host, builders.setdefault(key, {}))
        for key, patterns in builders.items():
            if patterns:
                hosts[key].patterns = self._router(patterns)
        for host in hosts.values():
            for listed in (*host.exact.values(), *host.prefixes.values()):
                self._sort(listed)
        if self._problems:
            raise SetupError(self._problems)
        wild = sorted(
            ((key[1:], host) for key, host in hosts.items() if key.startswith("*")),
            key=lambda one: -len(one[0]),
        )
        exact = {key: host for key, host in hosts.items() if key and not key.startswith("*")}
        return Matcher(exact, wild, hosts.get(""), self._candidates)

    def _place(
        self, candidate: _Candidate[T], host: _Host[T], patterns: dict[str, list[_Candidate[T]]]
    ) -> None:
        match = candidate.match
        if match.pattern is not None:
            patterns.setdefault(match.pattern, []).append(candidate)
        elif match.exact is not None:
            host.exact.setdefault(match.exact, []).append(candidate)
        else:
            host.prefixes.setdefault((match.path or "/").rstrip("/"), []).append(candidate)

    def _router(
        self, patterns: Mapping[str, list[_Candidate[T]]]
    ) -> Router[list[_Candidate[T]] | None] | None:
        builder: RouterBuilder[list[_Candidate[T]] | None] = RouterBuilder()
        for pattern, candidates in patterns.items():
            self._sort(candidates)
            try:
                builder.add(pattern, [_METHOD], candidates)
            except SetupError as error:
                self._problems += [f"routes.{candidates[0].name}: {problem}" for problem in error.problems]
        try:
            return builder.build(_nothing, _nothing, None, head=lambda value: value)
        except SetupError as error:
            self._problems += error.problems
            return None

    def _sort(self, candidates: list[_Candidate[T]]) -> None:
        candidates.sort(key=lambda candidate: candidate.rank, reverse=True)
        for index, one in enumerate(candidates):
            for other in candidates[index + 1 :]:
                if one.overlaps(other):
                    self._problems.append(f"routes.{one.name}: it takes the same requests as {other.name}")


def _nothing(methods: tuple[str, ...]) -> None:
    return None
