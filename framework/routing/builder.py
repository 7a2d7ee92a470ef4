"""The builder: routes are recorded, checked together, and compiled into a router."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Generic, TypeVar

from framework.errors import RouteConflict, SetupError
from framework.routing.conflicts import Route, find_conflicts
from framework.routing.converters import NARROW, WIDE, Converter
from framework.routing.pattern import Pattern, parse, parse_host
from framework.routing.router import Router
from framework.routing.tree import Entry, Leaf, Section, compile_tree

__all__ = ["RouterBuilder"]

T = TypeVar("T")

_is_method = re.compile(r"[A-Z][A-Z0-9-]*").fullmatch


class RouterBuilder(Generic[T]):
    """Records routes for values of one type.

    Args:
        converters: the application's own kinds of parameters, by the name that patterns use, in order of
            precedence; after ``int``, ``uuid`` and ``float``, before ``str`` and ``path``.

    Raises:
        SetupError: a kind has the name of a built-in one, or its regex is none.
    """

    def __init__(self, converters: Mapping[str, Converter] = MappingProxyType({})) -> None:
        problems: list[str] = []
        for kind, converter in converters.items():
            if kind in NARROW or kind in WIDE:
                problems.append(f"converter {kind!r}: this name is built in")
            try:
                re.compile(converter.regex)
            except re.error as error:
                problems.append(f"converter {kind!r}: {converter.regex!r} is no regular expression: {error}")
        if problems:
            raise SetupError(problems)
        self._converters: dict[str, Converter] = {**NARROW, **converters, **WIDE}
        self._routes: list[Route[T]] = []

    def parse(self, pattern: str) -> Pattern:
        """Parse ``pattern`` with this builder's converters; see ``framework.routing.pattern.parse``."""
        return parse(pattern, self._converters)

    def add(
        self,
        pattern: str,
        methods: Iterable[str],
        value: T,
        *,
        host: str | None = None,
        name: str | None = None,
    ) -> Route[T]:
        """Record that ``methods`` on the paths of ``pattern`` are answered by ``value``.

        Args:
            pattern: see ``framework.routing.pattern``. A slash at its end counts.
            methods: in upper case, at least one.
            host: to answer only requests for it: ``example.com``, ``*.example.com``, ``{name}.example.com``.
            name: for ``Router.reverse``; does not start with a slash.

        Raises:
            SetupError: with the faults of the pattern, the host or a method.
        """
        parsed = self.parse(pattern)
        parsed_host = None if host is None else parse_host(host)
        wanted = tuple(dict.fromkeys(methods))
        problems = [f"{method!r} is no method in upper case" for method in wanted if not _is_method(method)]
        if not wanted:
            problems.append("no methods")
        if parsed_host is not None and parsed_host.name in {param.name for param in parsed.params}:
            problems.append(f"{parsed_host.name!r} is a parameter of the host too")
        if name is not None and name.startswith("/"):
            problems.append(f"the name {name!r} would be taken for a pattern")
        if problems:
            raise SetupError([f"pattern {pattern!r}: {problem}" for problem in problems])
        route = Route(parsed, wanted, value, parsed_host, name)
        self._routes.append(route)
        return route

    def check(self) -> None:
        """Look at the routes together, without compiling them.

        Raises:
            RouteConflict: with every two routes that claim the same requests, and every route never reached.
        """
        conflicts = find_conflicts(self._routes, self._ranks())
        if conflicts:
            raise RouteConflict(conflicts)

    def _ranks(self) -> dict[str, int]:
        return {kind: rank for rank, kind in enumerate(self._converters)}

    def build(
        self,
        fallback: Callable[[tuple[str, ...]], T],
        options: Callable[[tuple[str, ...]], T],
        miss: T,
        *,
        head: Callable[[T], T],
        beside: Callable[[T, Sequence[T]], T] | None = None,
    ) -> Router[T]:
        """Compile what was recorded. May be called again, after more was recorded too.

        Args:
            fallback: called once for each pattern; answers all methods but the allowed ones.
            options: called once for each pattern that has no OPTIONS route; answers OPTIONS.
            miss: answers on a path without a route.
            head: called once for each pattern with GET and without HEAD; turns GET's value into HEAD's.
            beside: called with what ``fallback`` and ``options`` made and the values of the pattern's routes, returns
                what is put in its place.

        ``fallback`` and ``options`` get the allowed methods, sorted, automatic HEAD and OPTIONS included.

        Raises:
            RouteConflict: see ``check``.
        """
        self.check()
        ranks = self._ranks()
        sites: dict[str, dict[str, list[Route[T]]]] = {"": {}}
        for route in self._routes:
            site = sites.setdefault(route.host.shape if route.host else "", {})
            site.setdefault(route.pattern.shape, []).append(route)
        sections: dict[str, Section[T]] = {}
        for host, shapes in sites.items():
            leaves = [_leaf(same, fallback, options, head, beside or _alone) for same in shapes.values()]
            segments = [same[0].pattern.segments for same in shapes.values()]
            sections[host] = compile_tree(zip(segments, leaves, strict=True), ranks)
        return Router(self._routes, sections.pop(""), sections, miss)


def _leaf(
    routes: Sequence[Route[T]],
    fallback: Callable[[tuple[str, ...]], T],
    options: Callable[[tuple[str, ...]], T],
    head: Callable[[T], T],
    beside: Callable[[T, Sequence[T]], T],
) -> Leaf[T]:
    """Gather the routes of one shape. What is made here has the names of the first route's parameters."""
    by_method: dict[str, Entry[T]] = {
        method: (route.value, route.param_names) for route in routes for method in route.methods
    }
    if "GET" in by_method and "HEAD" not in by_method:
        value, names = by_method["GET"]
        by_method["HEAD"] = head(value), names
    allowed = tuple(sorted(by_method.keys() | {"OPTIONS"}))
    names = routes[0].param_names
    values = [route.value for route in routes]
    if "OPTIONS" not in by_method:
        by_method["OPTIONS"] = beside(options(allowed), values), names
    return Leaf(by_method, (beside(fallback(allowed), values), names))


def _alone(value: T, _: Sequence[T]) -> T:
    return value
