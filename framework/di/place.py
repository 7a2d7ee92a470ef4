"""A kind of live scope: what is handed in there and around it. Scopes of one kind share compiled builders."""

from __future__ import annotations

from collections.abc import Mapping

from framework.di.check import check
from framework.di.graph import View
from framework.di.key import Key
from framework.di.plan import Builder, compile_builder
from framework.di.registry import Registry
from framework.di.scope import Scope

__all__ = ["Place"]


class Place:
    """Compiles on first use, and anew after the graph has changed."""

    def __init__(
        self, registry: Registry, scope: Scope, given: Mapping[Key, Scope], *, connection: bool
    ) -> None:
        self.registry = registry
        self.scope = scope
        self._given = given
        self._connection = connection or scope is Scope.CONNECTION
        self._inner: dict[tuple[Scope, tuple[Key, ...]], Place] = {}
        self._builders: dict[Key, Builder] = {}
        self._graph = registry.graph

    def enter(self, scope: Scope, keys: Mapping[Key, object]) -> Place:
        """The place inside this one where ``keys`` are handed in."""
        kind = (scope, tuple(keys))
        if kind not in self._inner:
            given = {**self._given, **dict.fromkeys(keys, scope)}
            self._inner[kind] = Place(self.registry, scope, given, connection=self._connection)
        return self._inner[kind]

    def builder(self, key: Key) -> Builder:
        """What makes ``key`` here.

        Raises:
            GraphError: it cannot be made here.
        """
        if self._graph is not self.registry.graph:
            self._graph = self.registry.graph
            self._builders.clear()
        builder = self._builders.get(key)
        if builder is None:
            view = View(self._graph, self.scope, self._given, self._connection)
            check(view, [key], f"{self.scope.word} scope")
            builder = self._builders[key] = compile_builder(view, key)
        return builder
