"""The container: where factories are registered, checked, overridden, planned and run."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from framework.di.check import Need, check, check_all
from framework.di.key import Key
from framework.di.live import AppScope
from framework.di.plan import Plan, write_plan
from framework.di.registry import Registry
from framework.di.scope import Scope

if TYPE_CHECKING:
    from typing_extensions import TypeForm

__all__ = ["Container"]

T = TypeVar("T")


class Container:
    """Factories by what they provide. Nothing is read, checked or built before it is needed."""

    def __init__(self) -> None:
        self._registry = Registry()
        self._app: AppScope | None = None
        self._deriving = False
        self._subscribers: list[Callable[[], None]] = []

    def provide(
        self, factory: Callable[..., Any], *, scope: Scope = Scope.REQUEST, provides: Key = None
    ) -> None:
        """Registers a factory under what it returns or yields.

        Args:
            factory: a class, a function, a coroutine function, or a generator function (also asynchronous)
                that yields the object once and cleans up after the yield, in a ``finally``: the exception
                that ends the scope is raised at the yield. The parameters are provided in turn.
            scope: how long one object is shared.
            provides: the key, where the annotation is missing or too narrow.
        """
        self._registry.add(factory, scope, provides)
        self._changed()

    def value(self, key: TypeForm[T], instance: T) -> None:
        """Registers an object that exists already; whoever made it closes it."""
        self._registry.add_value(key, instance)
        self._changed()

    @contextmanager
    def derived(self) -> Generator[None]:
        """Registers what is made anew by each build, such as the values of settings.

        What is provided within the ``with`` replaces what was provided within the last one; subscribers hear of it
        once, at the end. When the block raises, all stays as it was.
        """
        self._deriving = True
        try:
            with self._registry.derived():
                yield
        finally:
            self._deriving = False
        self._changed()

    def expect(self, key: Key, *, scope: Scope = Scope.REQUEST) -> None:
        """Declares that whoever enters ``scope`` hands in an object of ``key``; validation counts on it."""
        self._registry.expect(key, scope)
        self._changed()

    def provides(self, key: Key) -> bool:
        """Whether ``key`` can be injected: a factory or a value is registered for it, or it is expected."""
        try:
            return key in self._registry.graph.providers or key in self._registry.graph.expected
        except TypeError:  # an annotation that is not hashable is no key
            return False

    @contextmanager
    def override(self, key: Key, replacement: object, *, scope: Scope | None = None) -> Generator[None]:
        """Provides ``key`` otherwise within the ``with``; overrides nest.

        An app-scoped object built before, and all made from it, comes back unharmed at the end. What was
        built meanwhile is closed with the app scope. Narrower scopes that are open already keep what they
        have built.

        Args:
            replacement: a class or function is a factory, with its clean-up; any other object is the value.
            scope: that of the factory; by default of the one it replaces.

        Raises:
            GraphError: nothing provides ``key``, or the replacement cannot be read.
        """
        override = self._registry.push(key, replacement, scope)
        app = self._app
        hidden = app.hide(override.affected) if app is not None else {}
        try:
            self._changed()
            yield
        finally:
            self._registry.pop(override)
            if self._app is not None:
                self._app.hide(override.affected)
            if app is not None and app is self._app:
                app.show(hidden)
            self._changed()

    def on_change(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Calls ``callback`` whenever plans made so far are out of date. Returns what ends that."""
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback)

    def validate(self, needs: Iterable[Need] = ()) -> None:
        """Checks all that ``needs`` reach and every other provider.

        Raises:
            GraphError: every fault, each with the path to it: missing or duplicate providers, cycles, wide
                scopes that need narrow ones, factories without annotations.
        """
        check_all(self._registry.graph, needs)

    def plan(
        self,
        needs: Sequence[Key],
        *,
        scope: Scope = Scope.REQUEST,
        given: Mapping[Key, str] | None = None,
        outer: str | None = None,
        label: str = "",
    ) -> Plan:
        """Writes the code that provides ``needs``, for the caller to embed; see ``Plan``.

        Args:
            needs: keys, in the order of ``Plan.args``.
            scope: where the code will run.
            given: the local names of the keys that the caller has at hand.
            outer: the local name of the live connection scope (``AppScope.enter``), from which
                connection-scoped objects are then had.
            label: names the caller in errors.

        Raises:
            GraphError: every fault on the way to ``needs``.
        """
        given = given or {}
        view = Need(label, needs, scope, frozenset(given), outer is not None).view(self._registry.graph)
        check(view, needs, label)
        app = self._app if self._app is not None and self._app.is_started else None
        return write_plan(view, needs, given, cell=self._registry.cell, outer=outer, app=app)

    @property
    def opened(self) -> AppScope | None:
        """The app scope while it is open."""
        return self._app

    def open(self) -> AppScope:
        """Opens the app scope, to be left by ``async with`` or ``close``. It can be opened again after that.

        Raises:
            RuntimeError: it is open already: compiled code can read one app scope only.
        """
        if self._app is not None:
            raise RuntimeError(
                "the app scope of this container is open already: close it first; "
                "what is to run beside it needs a container of its own"
            )
        self._app = AppScope(self._registry, self._forget_app)
        return self._app

    def _forget_app(self) -> None:
        self._app = None

    def _changed(self) -> None:
        if self._deriving:
            return
        for callback in tuple(self._subscribers):
            callback()
