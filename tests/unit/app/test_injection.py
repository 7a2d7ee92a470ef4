"""Objects from the container outside any request."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from framework import App, Request, Scope
from framework.app.injection import injected_parameters, injecting
from framework.errors import GraphError

pytestmark = pytest.mark.anyio


class Pool: ...


class Session:
    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.open = True


def make_session(pool: Pool) -> Iterator[Session]:
    session = Session(pool)
    try:
        yield session
    finally:
        session.open = False


async def make_pool() -> AsyncIterator[Pool]:
    yield Pool()


@pytest.fixture
def app() -> App:
    app = App()
    app.provide(make_pool, scope=Scope.APP)
    app.provide(make_session)
    return app


def function(session: Session, name: str, pool: Pool, request: Request) -> None: ...


async def test_what_the_container_provides_is_told_from_the_rest(app: App) -> None:
    assert injected_parameters(function, app.container) == {
        "session": Session,
        "pool": Pool,
        "request": Request,
    }


async def test_objects_live_until_the_block_ends(app: App) -> None:
    runtime = app.build(environ={})
    async with runtime.running():
        async with injecting({"one": Session, "two": Session, "pool": Pool}, app.container, "x") as objects:
            session = objects["one"]
            assert session is objects["two"]
            assert session.pool is objects["pool"]
            assert session.open
        assert not session.open


async def test_objects_are_cleaned_up_when_the_block_fails(app: App) -> None:
    runtime = app.build(environ={})
    async with runtime.running():
        with pytest.raises(LookupError):
            async with injecting({"one": Session}, app.container, "x") as objects:
                raise LookupError
        assert not objects["one"].open


async def test_nothing_wanted_is_nothing_made(app: App) -> None:
    async with injecting({}, app.container, "x") as objects:
        assert objects == {}


async def test_what_needs_a_request_is_refused(app: App) -> None:
    with pytest.raises(GraphError, match="x -> Request"):
        async with injecting({"request": Request}, app.container, "x"):
            pass


async def test_what_takes_nothing_is_not_read_further(app: App) -> None:
    def probe() -> Unknown:  # type: ignore[name-defined]  # noqa: F821
        raise NotImplementedError

    assert injected_parameters(probe, app.container) == {}
    assert injected_parameters(dict.fromkeys, app.container) == {}
