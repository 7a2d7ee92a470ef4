"""State that one process alone has, refused where several processes serve the app: it would be silently wrong there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, runtime_checkable

from framework.app.compiler import ReadRoute, Site
from framework.errors import SetupError
from framework.middleware.chain import Layer

__all__ = ["PerProcess", "refuse_per_process"]


@runtime_checkable
class PerProcess(Protocol):
    """An engine or store whose state lives in the memory of one process: a limit it keeps would be as many times too
    loose as there are workers, and a session begun in one worker unknown to the others.

    It declares so by ``per_process``, and says by ``per_process_hint`` which rung to take instead. A middleware lists
    what holds its state as ``engines``, a plugin names it by ``Setup.engine``. The build then refuses several
    workers, before anything is opened.
    """

    @property
    def per_process(self) -> bool:
        """Whether that is so; it may depend on how the engine was made."""
        ...

    @property
    def per_process_hint(self) -> str:
        """What to do instead, to be read after a colon: "keep sessions in signed cookies (SignedSessions)"."""
        ...


def refuse_per_process(worker_count: int, sites: Iterable[Site], routes: Iterable[ReadRoute]) -> None:
    """Looks at the layers of every app and route, and at the engines that plugins have named.

    Raises:
        SetupError: one of them is per process, and there are several; each is named once, with its hint.
    """
    if worker_count < 2:
        return
    problems = [
        f"{type(engine).__qualname__} is in the memory of one process, and {worker_count} workers would each have "
        f"their own: {engine.per_process_hint}, or set server.workers to 1"
        for engine in _engines(sites, routes)
        if isinstance(engine, PerProcess) and engine.per_process
    ]
    if problems:
        raise SetupError(list(dict.fromkeys(problems)))


def _engines(sites: Iterable[Site], routes: Iterable[ReadRoute]) -> Iterator[object]:
    layers: list[Layer] = []
    for site in sites:
        yield from site.app.derived.engines
        layers += site.layers
    for route in routes:
        layers += route.layers
    for layer in layers:
        yield layer.middleware
        yield from getattr(layer.middleware, "engines", ())
