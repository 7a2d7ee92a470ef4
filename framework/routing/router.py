"""The router: from a method, a canonical path and a host to a value and the path's parameters.

Knows no HTTP class: a value is whatever the builder was given. Built once, it only remembers hosts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, Generic, TypeVar

from framework.errors import CodecError
from framework.routing.conflicts import Route
from framework.routing.reverse import reverse
from framework.routing.tree import Section, walk

__all__ = ["Router"]

T = TypeVar("T")

_host_name = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*+)\.?(?::[0-9]*)?").fullmatch
_MAX_HOST_NAME: Final = (
    253  # RFC 1035 section 2.3.4; a longer one is nobody's, and asking for its suffixes is work
)

Candidate = tuple[Section[T], tuple[str, ...]]
"""A section, and the value of its host's parameter if it has one."""


class Router(Generic[T]):
    """Made by ``RouterBuilder.build``.

    A path belongs to the most specific pattern that matches it, whatever the method: where ``GET /users/me``
    and ``PUT /users/{id}`` exist, ``PUT /users/me`` is answered by the first one's 405. Compared segment by
    segment from the left, static text is more specific than ``int``, then come ``uuid``, ``float``, the
    application's own kinds in their order, ``str`` and ``path``. Where a path has an answer among the routes
    of its host, wider hosts are not asked; the order is ``a.b.c``, ``{x}.b.c``, ``*.b.c``, ``*.c``, none.
    """

    __slots__ = ("_candidates", "_hosts", "_miss", "_patterns", "_root", "_routes", "_static")

    def __init__(
        self, routes: Sequence[Route[T]], root: Section[T], hosts: Mapping[str, Section[T]], miss: T
    ) -> None:
        self._routes = tuple(routes)
        self._root = root
        self._static = root.static
        self._hosts = dict(hosts)
        self._miss = miss
        # Hosts come from clients and repeat: remembered, but no more of them than this.
        self._candidates = lru_cache(maxsize=1024)(self._list_candidates)
        self._patterns = {route.pattern.text: route.pattern for route in routes}
        self._patterns |= {route.name: route.pattern for route in routes if route.name is not None}

    def find(self, method: str, path: str, host: str = "") -> tuple[T, dict[str, object]]:
        """Return what answers ``method`` on the canonical ``path``, and the parameters by name.

        A method that the path's routes do not have gets the fallback made for them, a path without a route
        gets the miss. ``host`` is a Host field's value; its case, its port and a dot at its end do not count.
        Never raises, unless a converter of the application raises something other than ValueError.
        """
        if self._hosts:
            return self._find_on_host(method, path, host)
        leaf = self._static.get(path)
        if leaf is not None:
            return leaf[method][0], {}
        found = walk(self._root, path)
        if found is None:
            return self._miss, {}
        leaf, values = found
        value, names = leaf[method]
        # One parameter is the common case, and zip() costs more than the rest of this.
        return value, {names[0]: values[0]} if len(values) == 1 else dict(zip(names, values))  # noqa: B905

    def routes(self) -> tuple[Route[T], ...]:
        """Return the registrations in their order."""
        return self._routes

    def reverse(self, route: str, params: Mapping[str, object]) -> str:
        """Return the percent-encoded path of the route with that pattern or name; see ``reverse.reverse``.

        Raises:
            CodecError: there is no such route, or ``params`` do not fit it.
        """
        pattern = self._patterns.get(route)
        if pattern is None:
            raise CodecError(f"no route has the pattern or the name {route!r}")
        return reverse(pattern, params)

    def _find_on_host(self, method: str, path: str, host: str) -> tuple[T, dict[str, object]]:
        for section, host_values in self._candidates(host):
            leaf = section.static.get(path)
            found = walk(section, path) if leaf is None else (leaf, ())
            if found is not None:
                value, names = found[0][method]
                return value, dict(zip(names, host_values + found[1], strict=True))
        return self._miss, {}

    def _list_candidates(self, host: str) -> tuple[Candidate[T], ...]:
        """Return the sections to ask for ``host``, the most specific first."""
        candidates: list[Candidate[T]] = []
        known = _host_name(host)
        if known is not None and len(known[1]) <= _MAX_HOST_NAME:
            name = known[1].lower()
            label, _, suffix = name.partition(".")
            patterns = [(name, ()), (f"{{}}.{suffix}", (label,))]
            while suffix:
                patterns.append((f"*.{suffix}", ()))
                suffix = suffix.partition(".")[2]
            candidates += [(self._hosts[shape], values) for shape, values in patterns if shape in self._hosts]
        return *candidates, (self._root, ())
