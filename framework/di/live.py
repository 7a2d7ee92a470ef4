"""Scopes while they are open: each shares one object per key, and closes what it built."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from framework.di.exits import Exits
from framework.di.key import Key, name_of
from framework.di.place import Place
from framework.di.provider import Kind
from framework.di.registry import Registry
from framework.di.scope import Scope

if TYPE_CHECKING:
    from typing_extensions import TypeForm

__all__ = ["AppScope", "LiveScope"]

T = TypeVar("T")


class _Build:
    """A build under way; ``done`` exists once somebody waits for it."""

    __slots__ = ("done",)

    def __init__(self) -> None:
        self.done: asyncio.Event | None = None

    async def wait(self) -> None:
        if self.done is None:
            self.done = asyncio.Event()
        await self.done.wait()

    def end(self) -> None:
        if self.done is not None:
            self.done.set()


class LiveScope:
    """An open scope. Leave it by ``async with`` or ``close``; made by ``Container.open`` and ``enter``.

    Any number of tasks may ask it at once: the first builds, the others wait for that build, and when it
    fails or is cancelled the next of them builds in its turn.
    """

    __slots__ = ("_builds", "_exits", "_is_open", "_parent", "_place", "_values", "scope")

    def __init__(self, place: Place, values: Mapping[Key, object], parent: LiveScope | None) -> None:
        self.scope = place.scope
        self._place = place
        self._parent = parent
        self._values: dict[Key, Any] = dict(values)
        self._builds: dict[Key, _Build] = {}
        self._exits = Exits()
        self._is_open = True

    async def get(self, key: TypeForm[T]) -> T:
        """The object of ``key``: of this scope, of one around it, or a new one if it is transient.

        Raises:
            GraphError: it cannot be made in this scope; the path to the fault is drawn.
            RuntimeError: the scope is closed.
        """
        live: LiveScope | None = self
        while live is not None:
            if key in live._values:
                found: T = live._values[key]
                return found
            live = live._parent
        provider = self._place.registry.graph.providers.get(key)
        if provider is not None and provider.kind is Kind.VALUE:
            value: T = provider.source
            return value
        owner = self._around(provider.scope) if provider is not None else None
        made: T = await (owner._share(key) if owner is not None else self._build(key))
        return made

    def enter(self, scope: Scope, values: Mapping[Key, object] | None = None) -> LiveScope:
        """Opens a narrower scope inside this one; ``values`` are objects that it is handed.

        Raises:
            ValueError: ``scope`` is not narrower, or is TRANSIENT, which is no place.
            RuntimeError: this scope is closed.
        """
        if not self.scope < scope < Scope.TRANSIENT:
            raise ValueError(f"a {scope.word} scope cannot be entered from a {self.scope.word} scope")
        self._require_open(f"a {scope.word} scope")
        values = values or {}
        return LiveScope(self._place.enter(scope, values), values, self)

    async def close(self, error: BaseException | None = None) -> None:
        """Cleans up in reverse order of building; see ``Exits.close`` for ``error`` and what is raised."""
        self._is_open = False
        if self._exits.is_empty:
            self._values.clear()
            return
        try:
            await self._exits.close(error)
        finally:
            self._values.clear()

    async def __aenter__(self) -> Self:
        return self

    def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Awaitable[None]:
        return self.close(error)

    def _around(self, scope: Scope) -> LiveScope | None:
        live: LiveScope | None = self
        while live is not None and live.scope is not scope:
            live = live._parent
        return live

    async def _share(self, key: Key) -> Any:
        while key not in self._values:
            build = self._builds.get(key)
            if build is not None:
                await build.wait()
                continue
            build = self._builds[key] = _Build()
            try:
                value = await self._build(key)
                if self._builds.get(key) is not build:
                    # An override came meanwhile: what was begun before it is for the one who asked before it.
                    return value
                self._keep(key, value)
            finally:
                if self._builds.get(key) is build:
                    del self._builds[key]
                build.end()
        return self._values[key]

    def _keep(self, key: Key, value: Any) -> None:
        self._values[key] = value

    async def _build(self, key: Key) -> Any:
        """Makes an object, all or nothing: its clean-ups become the scope's once it is complete."""
        self._require_open(key)
        builder = self._place.builder(key)
        if not builder.needs_exits:
            value = await builder.make(self, self._exits)
            self._require_open(key)
            return value
        exits = Exits()
        try:
            value = await builder.make(self, exits)
            self._require_open(key)
        except BaseException as error:
            await exits.close(error)
            raise
        self._exits.absorb(exits)
        return value

    def _require_open(self, key: Key | str) -> None:
        if not self._is_open:
            what = key if isinstance(key, str) else name_of(key)
            raise RuntimeError(f"{what} was asked of the {self.scope.word} scope, which is closed")


class AppScope(LiveScope):
    """The widest scope: what it builds is also put where generated code reads it."""

    __slots__ = ("_on_close", "_registry", "is_started")

    def __init__(self, registry: Registry, on_close: Callable[[], None]) -> None:
        super().__init__(Place(registry, Scope.APP, {}, connection=False), {}, None)
        self.is_started = False
        self._registry = registry
        self._on_close = on_close

    async def start(self) -> None:
        """Builds every app-scoped object, in the order of registration, needs first.

        Raises:
            GraphError: one of them cannot be made.
        """
        for key, provider in self._registry.graph.providers.items():
            if provider.scope is Scope.APP:
                await self.get(key)
        self.is_started = True

    async def close(self, error: BaseException | None = None) -> None:
        try:
            await super().close(error)
        finally:
            self._registry.clear_cells()
            self._on_close()

    def hide(self, keys: Collection[Key]) -> dict[Key, Any]:
        """Takes the objects of ``keys`` out, to be built anew when asked for; returns them for ``show``."""
        for key in keys:
            self._builds.pop(key, None)
            self._registry.cell(key).clear()
        return {key: self._values.pop(key) for key in keys if key in self._values}

    def show(self, hidden: Mapping[Key, Any]) -> None:
        """Puts back what ``hide`` took out."""
        for key, value in hidden.items():
            self._keep(key, value)

    def _keep(self, key: Key, value: Any) -> None:
        super()._keep(key, value)
        self._registry.cell(key).fill(value)
