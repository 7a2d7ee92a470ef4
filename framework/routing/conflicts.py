"""What is wrong with routes taken together: requests claimed twice, and routes that no request can reach."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Generic, NamedTuple, TypeVar

from framework.routing.converters import claim, takes_rest
from framework.routing.pattern import Host, Param, Pattern

__all__ = ["Route", "find_conflicts"]

T = TypeVar("T")


class Route(NamedTuple, Generic[T]):
    """One registration, as it was made."""

    pattern: Pattern
    methods: tuple[str, ...]
    value: T
    host: Host | None
    name: str | None

    @property
    def label(self) -> str:
        """What errors and listings call it: its host, if it has one, and its pattern."""
        return (self.host.text if self.host else "") + self.pattern.text

    @property
    def param_names(self) -> tuple[str, ...]:
        """The names of the host's parameter and the pattern's, in their order."""
        of_host = (self.host.name,) if self.host and self.host.name else ()
        return *of_host, *(param.name for param in self.pattern.params)


def find_conflicts(routes: Iterable[Route[T]], ranks: Mapping[str, int]) -> list[str]:
    """Return every conflict in words, each with the patterns that it is between.

    ``ranks`` gives the precedence of each kind of parameter; the lower comes first.
    """
    problems: list[str] = []
    named: dict[str, Route[T]] = {}
    by_host: dict[str, list[Route[T]]] = {}
    for route in routes:
        by_host.setdefault(route.host.shape if route.host else "", []).append(route)
        if route.name is not None and named.setdefault(route.name, route).label != route.label:
            problems.append(f"{named[route.name].label!r} and {route.label!r} are both called {route.name!r}")
    for site in by_host.values():
        problems += [*_claimed_twice(site), *_outranked(site, ranks), *_covered(site)]
    return problems


def _claimed_twice(site: Iterable[Route[T]]) -> Iterator[str]:
    first: dict[tuple[str, str], Route[T]] = {}
    for route in site:
        for method in route.methods:
            other = first.setdefault((method, route.pattern.shape), route)
            if other is not route:
                yield f"{method} {route.label!r} claims the requests of {method} {other.label!r}"


def _outranked(site: Iterable[Route[T]], ranks: Mapping[str, int]) -> Iterator[str]:
    """Find patterns that differ only in kinds of parameters, where those kinds claim the same texts."""
    rivals: dict[tuple[str, ...], dict[str, Route[T]]] = {}
    for route in site:
        claims = (f"{{{claim(s.converter)}}}" if isinstance(s, Param) else s for s in route.pattern.segments)
        rivals.setdefault(tuple(claims), {}).setdefault(route.pattern.shape, route)
    for by_shape in rivals.values():
        first, *others = sorted(by_shape.values(), key=lambda r: [ranks[p.kind] for p in r.pattern.params])
        for other in others:
            yield f"{other.label!r} can never be reached: {first.label!r} claims its paths and comes first"


def _covered(site: Iterable[Route[T]]) -> Iterator[str]:
    """Find catch-alls whose every path belongs to one of several patterns that come first."""
    by_shape: dict[str, Route[T]] = {}
    for route in site:
        by_shape.setdefault(route.pattern.shape, route)

    def cover(text: str, rests: Collection[str]) -> list[Route[T]]:
        """Return the patterns that together take every path below ``text``; none if some path is left."""
        empty, one, *more = (
            by_shape.get(text + tail) for tail in ("/", "/{str}", *(f"/{{str}}{rest}" for rest in rests))
        )
        if empty is None or one is None:
            return []
        deeper = [found for found in more if found][:1] or cover(text + "/{str}", rests)
        return [empty, one, *deeper] if deeper else []

    for shape, route in by_shape.items():
        params = route.pattern.params
        if params and takes_rest(params[-1].converter):
            rest = f"/{{{params[-1].kind}}}"
            # What a path takes an escaped takes too; a path takes but a part of what an escaped does.
            takers = cover(shape.removesuffix(rest), dict.fromkeys((rest, "/{escaped}")))
            if takers:
                labels = ", ".join(repr(taker.label) for taker in takers)
                yield f"{route.label!r} can never be reached: {labels} together claim all its paths"
