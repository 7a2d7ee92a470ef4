"""The plugin contract, and the order in which an app sets its plugins up.

Knows neither HTTP nor the app: what a plugin records is typed only as far as that allows; ``setup`` has the
recorder itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from framework.app.schema import near_miss
from framework.errors import PluginError

__all__ = ["NoConfig", "Plugin", "Setup", "order_plugins"]

# A plugin states its config type and takes configs of that type, so neither variance would be sound.
C = TypeVar("C", bound=msgspec.Struct)
E = TypeVar("E", bound=BaseException)
F = TypeVar("F", bound=Callable[..., Any])


class NoConfig(msgspec.Struct, frozen=True):
    """The config type of a plugin that has nothing to set."""


class Setup(Protocol):
    """What a plugin's ``setup`` records its parts with. Nothing is opened or started by it.

    Attributes:
        worker_count: how many processes will serve the app, each with a memory of its own.
    """

    worker_count: int

    def routes(self, prefix: str = "") -> Any:
        """A route group below ``prefix``, to register handlers on."""
        ...

    def use(self, middleware: Any, *, phase: Any = ...) -> None:
        """Adds a middleware, or hooks that only look, to the given phase."""
        ...

    def provide(self, factory: Callable[..., Any], *, scope: Any = ..., provides: Any = None) -> None:
        """Adds a factory to the app's container."""
        ...

    def lifespan(self, manager: Any) -> Any:
        """Adds what is entered when the app starts and left when it ends (see ``LifespanStack``)."""
        ...

    def on_error(self, kind: type[E], render: Callable[[Any, E], Any]) -> None:
        """Answers errors of a class, raised anywhere in the app, by ``render(request, error)``."""
        ...

    def command(self, name: str, function: Callable[..., Any]) -> None:
        """Adds a command to the plugin's group on the command line."""
        ...

    def check(self, name: str, probe: Callable[..., Any]) -> None:
        """Adds a health probe, sync or async; it raises when something is wrong."""
        ...

    def engine(self, engine: object) -> None:
        """Names what holds the plugin's state. One that declares itself ``per_process``, with ``per_process_hint`` (see
        ``framework.app.processes.PerProcess``), is refused by the build where several workers serve the app."""
        ...

    def on_built(self, callback: Callable[[Any], None]) -> None:
        """Calls back at the end of the build with the routes (``BuiltRoute``) of the app and those mounted in it."""
        ...


class Plugin(Protocol[C]):
    """A part of an app that others can install: one object, its state private to the app it is installed in.

    Attributes:
        name: its section of the settings, its group of commands, the prefix of its checks and metrics.
        requires: names of the plugins that must be installed too, and are set up before it.
        config_type: a frozen ``msgspec.Struct``; ``NoConfig`` when there is nothing to set.
    """

    name: str
    requires: frozenset[str]
    config_type: type[C]

    def setup(self, setup: Setup, config: C) -> None:
        """Records the plugin's parts. Synchronous and without I/O."""
        ...


P = TypeVar("P", bound=Plugin[Any])


def order_plugins(plugins: Iterable[P]) -> list[P]:
    """The plugins, each after all that it requires; otherwise in the order given.

    Raises:
        PluginError: two plugins have one name, one is required and not installed, or some require each other
            in a circle. All such faults are named, each with the path that leads to it.
    """
    by_name: dict[str, P] = {}
    problems: list[str] = []
    for plugin in plugins:
        if plugin.name in by_name:
            both = f"{type(by_name[plugin.name]).__qualname__} and {type(plugin).__qualname__}"
            problems.append(f"two plugins are named {plugin.name}: {both}")
        by_name.setdefault(plugin.name, plugin)
    ordered = _Ordering(by_name, problems)
    for plugin in by_name.values():
        ordered.place(plugin, ())
    if problems:
        raise PluginError(problems)
    return ordered.placed


class _Ordering:
    """Depth-first over the requirements; ``path`` is how the search came to the plugin at hand."""

    def __init__(self, by_name: dict[str, Any], problems: list[str]) -> None:
        self.placed: list[Any] = []
        self._by_name = by_name
        self._problems = problems
        self._done: set[str] = set()

    def place(self, plugin: Any, path: Sequence[str]) -> None:
        if plugin.name in self._done:
            return
        if plugin.name in path:
            circle = [*path[path.index(plugin.name) :], plugin.name]
            self._problems.append(f"plugins require each other in a circle: {' -> '.join(circle)}")
            return
        here = (*path, plugin.name)
        for name in self._in_order(plugin.requires):
            if name in self._by_name:
                self.place(self._by_name[name], here)
            else:
                drawn = " -> ".join([*here, name])
                hint = near_miss(name, self._by_name)
                self._problems.append(f"plugin {name} is not installed, but required: {drawn}{hint}")
        self._done.add(plugin.name)
        self.placed.append(plugin)

    def _in_order(self, names: Iterable[str]) -> list[str]:
        # A set has no order of its own; that in which the plugins were installed makes each start the same.
        installed = {name: index for index, name in enumerate(self._by_name)}
        return sorted(names, key=lambda name: (installed.get(name, len(installed)), name))
