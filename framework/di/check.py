"""Finds every fault in what a place needs, and draws the path to it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence

import msgspec

from framework.di.graph import Graph, View
from framework.di.key import Key, name_of, nearest
from framework.di.provider import Kind, Provider
from framework.di.scope import Scope
from framework.errors import GraphError

__all__ = ["Need", "check", "check_all"]


class Need(msgspec.Struct, frozen=True):
    """What one place, such as a handler, takes from the container.

    Args:
        label: how errors name the place, for example ``"GET /users"``.
        keys: what it takes.
        scope: the scope it runs in.
        given: keys it has at hand anyway.
        outer: whether a connection scope is open around it.
    """

    label: str
    keys: Sequence[Key]
    scope: Scope = Scope.REQUEST
    given: frozenset[Key] = frozenset()
    outer: bool = False

    def view(self, graph: Graph) -> View:
        trusted = frozenset({Scope.CONNECTION}) if self.outer else frozenset[Scope]()
        return View(graph, self.scope, dict.fromkeys(self.given, self.scope), self.outer, trusted)


def check(view: View, keys: Iterable[Key], label: str = "") -> None:
    """Checks what one place needs.

    Raises:
        GraphError: every fault on the way from ``label`` to ``keys``, and those of the registrations.
    """
    walk = _Walk(view, label)
    walk.follow(keys)
    _raise([*view.graph.problems, *walk.problems.values()])


def check_all(graph: Graph, needs: Iterable[Need]) -> None:
    """Checks every need, then every provider that none of them reaches. A fault is told once, with one path.

    Raises:
        GraphError: every fault found.
    """
    found: dict[Hashable, str] = {}
    given: dict[Key, Scope] = {}
    for need in needs:
        walk = _Walk(need.view(graph), need.label)
        walk.follow(need.keys)
        found |= {identity: text for identity, text in walk.problems.items() if identity not in found}
        for key in need.given:
            given[key] = min(need.scope, given.get(key, need.scope))
    everywhere = frozenset({Scope.CONNECTION, Scope.REQUEST})
    for scope in (Scope.APP, Scope.CONNECTION, Scope.REQUEST):
        walk = _Walk(View(graph, scope, given, connection=True, trusted=everywhere), "")
        walk.follow(key for key, one in graph.providers.items() if min(one.scope, Scope.REQUEST) is scope)
        found |= {identity: text for identity, text in walk.problems.items() if identity not in found}
    _raise([*graph.problems, *found.values()])


def _raise(problems: list[str]) -> None:
    if problems:
        raise GraphError(problems)


def _existing(keys: Iterable[Key | None]) -> Iterator[Key]:
    return (key for key in keys if key is not None)


class _Step(msgspec.Struct, frozen=True):
    """A provider on the path. ``holder`` is the lifetime its parameters are held for."""

    provider: Provider
    holder: Scope


class _Walk:
    """Depth first with a stack of its own, so that neither a cycle nor a deep graph overflows Python's."""

    def __init__(self, view: View, label: str) -> None:
        self.view = view
        self.label = label
        self.problems: dict[Hashable, str] = {}
        self._path: list[_Step] = []
        self._seen: set[tuple[Key, Scope]] = set()

    def follow(self, keys: Iterable[Key]) -> None:
        scope = self.view.scope
        pending = [_existing(self.view.choose(key, scope) for key in keys)]
        while pending:
            for key in pending[-1]:
                step = self._step(key)
                if step is not None:
                    self._path.append(step)
                    pending.append(self._needed(step))
                    break
            else:
                pending.pop()
                if pending:
                    self._path.pop()

    def _needed(self, step: _Step) -> Iterator[Key]:
        return _existing(
            self.view.choose(dependency.key, step.holder, has_default=dependency.has_default)
            for dependency in step.provider.dependencies
        )

    def _step(self, key: Key) -> _Step | None:
        """The provider of ``key``, if the walk must go on through it."""
        holder = self._path[-1].holder if self._path else self.view.scope
        if self.view.is_handed_in(key, holder):
            return None
        provider = self.view.graph.providers.get(key)
        if provider is None:
            self._missing(key, holder)
            return None
        if provider.kind is Kind.VALUE:
            return None
        lifetime = holder if provider.scope is Scope.TRANSIENT else provider.scope
        if lifetime > holder:
            self._captured(key, lifetime)
            return None
        if not self.view.can_open(lifetime):
            fault = f"{name_of(key)} is connection-scoped, and no connection is open"
            self._problem("connection", key, f"scope: {fault}")
            return None
        if (key, lifetime) in self._seen:
            if any(step.provider is provider and step.holder is lifetime for step in self._path):
                self._cycle(key)
            return None
        self._seen.add((key, lifetime))
        return _Step(provider, lifetime)

    def _missing(self, key: Key, holder: Scope) -> None:
        scope = self.view.given.get(key, self.view.graph.expected.get(key))
        if scope is None:
            near = nearest(key, [*self.view.graph.providers, *self.view.graph.expected, *self.view.given])
            hint = f"; did you mean {near}?" if near else ""
            self._problem("missing", key, f"missing: no provider for {name_of(key)}{hint}")
        elif scope > holder:
            self._captured(key, scope)
        else:
            fault = f"missing: {name_of(key)} is handed in with the {scope.word} scope, and here it was not"
            self._problem("missing", key, fault)

    def _captured(self, key: Key, scope: Scope) -> None:
        """``key`` lives shorter than what would hold it: the nearest on the path that is not transient."""
        holders = (step.provider for step in reversed(self._path) if step.provider.scope != Scope.TRANSIENT)
        holder = next(holders, None)
        fault = f"{name_of(key)} is {scope.word}-scoped"
        if holder is None:
            fault += f", and only the {self.view.scope.word} scope is open"
        else:
            fault += f" and would be captured by {name_of(holder.key)}, which is {holder.scope.word}-scoped"
        self._problem("scope", key, f"scope: {fault}")

    def _cycle(self, key: Key) -> None:
        keys = [step.provider.key for step in self._path]
        circle = frozenset(keys[keys.index(key) :])
        self._draw(("cycle", circle), key, f"cycle: {name_of(key)} needs itself")

    def _problem(self, kind: Hashable, key: Key, fault: str) -> None:
        parent = self._path[-1].provider.key if self._path else self.label
        self._draw((kind, parent, key), key, fault)

    def _draw(self, identity: Hashable, key: Key, fault: str) -> None:
        names = [name_of(step.provider.key) for step in self._path]
        path = " -> ".join([self.label, *names, name_of(key)] if self.label else [*names, name_of(key)])
        self.problems.setdefault(identity, f"{path} ({fault})")
