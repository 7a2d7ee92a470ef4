"""What is registered and overridden, read into a graph when it is first needed."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import msgspec

from framework.di.cell import Cell
from framework.di.graph import Graph
from framework.di.key import Key, name_of, nearest
from framework.di.provider import Provider, is_factory, parse, value
from framework.di.scope import Scope
from framework.errors import GraphError

__all__ = ["Override", "Registry"]


class _Entry:
    """A factory as registered. Read late, so that its annotations may name what is defined after it."""

    def __init__(self, factory: Callable[..., Any], scope: Scope, provides: Key) -> None:
        self._factory = factory
        self._scope = scope
        self._provides = provides

    @cached_property
    def provider(self) -> Provider:
        return parse(self._factory, self._scope, self._provides)


class Override(msgspec.Struct, frozen=True, eq=False):
    """A provider that stands in for another of the same key, and all keys that are made differently by it."""

    provider: Provider
    affected: frozenset[Key]


class Registry:
    """The registrations of one container."""

    def __init__(self) -> None:
        self._entries: list[_Entry | Provider] = []
        self._derived: list[_Entry | Provider] = []
        self._target = self._entries
        self._expected: dict[Key, Scope] = {}
        self._overrides: list[Override] = []
        self._cells: dict[Key, Cell] = {}
        self._graph: Graph | None = None

    def add(self, factory: Callable[..., Any], scope: Scope, provides: Key) -> None:
        """Registers a factory, without reading it yet."""
        self._target.append(_Entry(factory, scope, provides))
        self._graph = None

    def add_value(self, key: Key, instance: object) -> None:
        """Registers an object that exists."""
        self._target.append(value(key, instance))
        self._graph = None

    @contextmanager
    def derived(self) -> Generator[None]:
        """What is added within the ``with`` replaces what was added within the last one, if it succeeds."""
        before, self._derived = self._derived, []
        self._target = self._derived
        self._graph = None
        try:
            yield
        except BaseException:
            self._derived = before
            raise
        finally:
            self._target = self._entries
            self._graph = None

    def expect(self, key: Key, scope: Scope) -> None:
        """Declares a key that is handed in."""
        self._expected[key] = scope
        self._graph = None

    def push(self, key: Key, replacement: object, scope: Scope | None) -> Override:
        """Overrides ``key``.

        Raises:
            GraphError: nothing provides ``key``, or the replacement cannot be read.
        """
        original = self.graph.providers.get(key)
        if original is None:
            near = nearest(key, self.graph.providers)
            hint = f"; did you mean {near}?" if near else ""
            raise GraphError(f"{name_of(key)} (override: nothing provides it{hint})")
        affected = self.graph.dependents(key)
        if is_factory(replacement):
            provider = parse(replacement, original.scope if scope is None else scope, key)
        else:
            provider = value(key, replacement)
        override = Override(provider, frozenset(affected))
        self._overrides.append(override)
        self._graph = None
        return override

    def pop(self, override: Override) -> None:
        """Ends an override.

        Raises:
            RuntimeError: it is not the latest one: what it replaced could not be told any more.
        """
        if self._overrides[-1] is not override:
            raise RuntimeError("overrides must end in the reverse order of their beginning")
        self._overrides.pop()
        self._graph = None

    @property
    def graph(self) -> Graph:
        """All registrations, with the overrides in force. The same object until something changes."""
        if self._graph is None:
            self._graph = self._read()
        return self._graph

    def cell(self, key: Key) -> Cell:
        """Where the app-scoped object of ``key`` is: the same cell for as long as the container lives."""
        if key not in self._cells:
            self._cells[key] = Cell(name_of(key))
        return self._cells[key]

    def clear_cells(self) -> None:
        """Lets go of every app-scoped object."""
        for cell in self._cells.values():
            cell.clear()

    def _read(self) -> Graph:
        problems: list[str] = []
        providers: dict[Key, Provider] = {}
        for entry in (*self._entries, *self._derived):
            try:
                provider = entry if isinstance(entry, Provider) else entry.provider
            except GraphError as error:
                problems += error.problems
                continue
            rival = providers.setdefault(provider.key, provider)
            if rival is not provider:
                problems.append(
                    f"{name_of(provider.key)} (duplicate: provided by {rival.label} and by {provider.label})"
                )
        for override in self._overrides:
            providers[override.provider.key] = override.provider
        return Graph(providers, dict(self._expected), problems)
