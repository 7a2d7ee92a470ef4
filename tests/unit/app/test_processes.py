"""What one process alone has is refused where several serve."""

from __future__ import annotations

from typing import Any

import pytest

from framework import App, Handler
from framework.app.plugin import NoConfig, Setup
from framework.app.processes import PerProcess
from framework.errors import SetupError
from framework.middleware.session_store import MemorySessionStore
from framework.middleware.sessions import StoredSessions


class Counter:
    """An engine."""

    per_process_hint = "count in Redis"

    def __init__(self, *, per_process: bool) -> None:
        self.per_process = per_process


class Counting:
    """A plugin with an engine."""

    name = "counting"
    requires: frozenset[str] = frozenset()
    config_type = NoConfig

    def __init__(self, engine: object) -> None:
        self.engine = engine

    def setup(self, setup: Setup, config: NoConfig) -> None:
        setup.engine(self.engine)


class Limiter:
    """A middleware that is its own engine."""

    per_process = True
    per_process_hint = "limit by Redis"

    def __call__(self, handler: Handler) -> Handler:
        return handler


def refusals(app: App, workers: int = 2) -> tuple[str, ...]:
    try:
        app.build(environ={}, overrides={"server.workers": workers})
    except SetupError as error:
        return error.problems
    return ()


def with_plugin(engine: Any) -> App:
    app = App()
    app.install(Counting(engine))
    return app


def test_a_memory_store_of_sessions_serves_one_process_only() -> None:
    app = App()
    app.use(StoredSessions(MemorySessionStore()))
    assert refusals(app, 1) == ()
    assert refusals(app, 3) == (
        "MemorySessionStore is in the memory of one process, and 3 workers would each have their own: keep sessions in "
        "signed cookies (SignedSessions), or in a store that the workers share, or set server.workers to 1",
    )


def test_an_engine_of_a_plugin() -> None:
    (problem,) = refusals(with_plugin(Counter(per_process=True)))
    assert "Counter is in the memory of one process" in problem
    assert "count in Redis" in problem
    assert refusals(with_plugin(Counter(per_process=False))) == ()
    assert refusals(with_plugin(object())) == ()


def test_an_engine_is_of_the_build_it_was_named_in() -> None:
    plugin = Counting(Counter(per_process=True))
    app = App()
    app.install(plugin)
    assert refusals(app) != ()
    plugin.engine = Counter(per_process=False)
    assert refusals(app) == ()


@pytest.mark.parametrize("place", ["app", "group", "route", "mounted"])
def test_layers_are_found_wherever_they_are(place: str) -> None:
    app, inner = App(), App()
    layer = Limiter()
    if place == "app":
        app.use(layer)
    group = app.group(middleware=[layer] if place == "group" else [])

    @group.get("/", middleware=[layer] if place == "route" else [])
    async def handler() -> None: ...

    if place == "mounted":
        inner.use(layer)
        app.mount("/inner", inner)
    (problem,) = refusals(app)
    assert "Limiter" in problem


def test_all_are_told_at_once_and_each_once() -> None:
    app = with_plugin(Counter(per_process=True))
    layer = Limiter()
    app.use(layer)

    @app.get("/a")
    async def a() -> None: ...

    @app.get("/b", threaded=True)
    async def b() -> None: ...

    found = refusals(app)
    assert len(found) == 3
    assert [sum(name in each for each in found) for name in ("Counter", "Limiter", "threaded")] == [1, 1, 1]


def test_what_declares_itself() -> None:
    assert isinstance(MemorySessionStore(), PerProcess)
    assert not isinstance(StoredSessions(MemorySessionStore()), PerProcess)
