"""Sessions kept on the server: whose they are, and what concurrent requests do to them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any

import pytest

from framework import Handler, Phase, Request, Response
from framework.middleware.sessions import MemorySessionStore, StoredSessions
from framework.testing import Answer, TestClient
from tests.unit.middleware.session_app import NAME, Clock, app_with, stored

pytestmark = pytest.mark.anyio


async def test_a_stored_session_has_its_size(caplog: pytest.LogCaptureFixture) -> None:
    async with TestClient(app_with(stored(max_size=1000))) as client:
        browser = client.visitor()
        await browser.get("/big/900")
        assert (await browser.get("/big/1000")).status == 500
        assert (await client.get("/big/1000")).status == 500
    assert "more than the 1000 allowed" in caplog.text


async def test_session_fixation() -> None:
    """An id that nobody handed out begins no session, and one from before the login is worth nothing after it."""
    async with TestClient(app_with(stored())) as client:
        planted = "A" * 43
        victim = client.visitor()
        victim.cookies[NAME] = planted
        await victim.get("/set/a/1")
        assert victim.cookies[NAME] != planted

        attacker = client.visitor()
        await attacker.get("/set/a/1")
        known = attacker.cookies[NAME]
        victim.cookies[NAME] = known
        await victim.get("/login/victim")
        assert victim.cookies[NAME] != known
        assert (await attacker.get("/show")).json() == {}
        assert (await victim.get("/show")).json() == {"a": 1, "user": "victim"}


async def test_the_store_does_not_know_the_cookie() -> None:
    clock = Clock()
    store = MemorySessionStore(clock=clock)
    async with TestClient(app_with(StoredSessions(store, clock=clock))) as client:
        browser = client.visitor()
        await browser.get("/set/a/1")
    value = browser.cookies[NAME]
    assert await store.get(value) is None
    assert await store.get(sha256(value.encode()).hexdigest()) is not None


class Race:
    """Two requests of one browser: the slow one has read the session when the quick one comes, and ends after it."""

    def __init__(self, client: TestClient) -> None:
        self.quick, self.slow = client.visitor(), client.visitor()
        self.answer: Answer | None = None

    async def run(self, begin: str, slow_path: str, quick_path: str, gate: Gate) -> None:
        await self.quick.get(begin)
        self.slow.cookies = dict(self.quick.cookies)
        running = asyncio.ensure_future(self.slow.get(slow_path, headers={"x-slow": "1"}))
        await gate.arrived.wait()
        await self.quick.get(quick_path)
        gate.go_on.set()
        self.answer = await running


class Gate:
    """Holds the slow request between its session and its handler."""

    def __init__(self) -> None:
        self.arrived, self.go_on = asyncio.Event(), asyncio.Event()

    def __call__(self, handler: Handler) -> Handler:
        async def waiting(request: Request) -> Response:
            if request.field("x-slow"):
                self.arrived.set()
                await self.go_on.wait()
            return await handler(request)

        return waiting


@asynccontextmanager
async def race(begin: str, *, slow: str, quick: str) -> AsyncIterator[Race]:
    app, gate = app_with(stored()), Gate()
    app.use(gate, Phase.HANDLER)
    async with TestClient(app) as client:
        racing = Race(client)
        await racing.run(begin, slow, quick, gate)
        yield racing


async def test_concurrent_requests_write_only_what_they_changed() -> None:
    async with race("/set/start/0", slow="/set/b/2", quick="/set/a/1") as racing:
        assert (await racing.quick.get("/show")).json() == {"start": 0, "a": 1, "b": 2}


async def test_the_last_write_of_a_value_wins() -> None:
    async with race("/set/start/0", slow="/set/a/2", quick="/set/a/1") as racing:
        assert (await racing.quick.get("/show")).json() == {"start": 0, "a": 2}


async def test_a_request_that_only_reads_writes_nothing_back() -> None:
    async with race("/set/start/0", slow="/show", quick="/drop/start") as racing:
        assert (await racing.quick.get("/show")).json() == {}


async def test_a_slow_request_does_not_bring_a_session_back_that_was_ended() -> None:
    async with race("/set/secret/1", slow="/set/b/2", quick="/logout") as racing:
        assert racing.answer is not None
        assert "set-cookie" not in racing.answer.headers
        assert (await racing.slow.get("/show")).json() == {}


async def test_a_login_beside_a_logout_takes_nothing_of_the_old_session_along() -> None:
    async with race("/set/secret/1", slow="/login/ann", quick="/logout") as racing:
        assert (await racing.slow.get("/show")).json() == {"user": "ann"}
        assert (await racing.quick.get("/show")).json() == {}


async def test_a_renewal_elsewhere_ends_what_slow_requests_write() -> None:
    async with race("/set/start/0", slow="/set/b/2", quick="/login/ann") as racing:
        assert racing.answer is not None
        assert "set-cookie" not in racing.answer.headers
        assert (await racing.quick.get("/show")).json() == {"start": 0, "user": "ann"}
        assert (await racing.slow.get("/show")).json() == {}


async def test_the_store_is_asked_only_where_there_is_a_cookie() -> None:
    calls: list[str] = []

    class Watched(MemorySessionStore):
        async def get(self, key: str) -> Any:
            calls.append("get")
            return await super().get(key)

        async def touch(self, key: str, *, ttl: float) -> bool:
            calls.append("touch")
            return await super().touch(key, ttl=ttl)

    async with TestClient(app_with(StoredSessions(Watched()))) as client:
        browser = client.visitor()
        await browser.get("/show")
        await browser.get("/set/a/1")
        assert calls == []
        await browser.get("/show")
        assert calls == ["get", "touch"]


async def test_an_absolute_end_is_not_the_stores_to_forget() -> None:
    """A store that keeps time badly does not make a session immortal."""
    clock = Clock()
    store = MemorySessionStore(clock=lambda: 0.0)
    async with TestClient(
        app_with(StoredSessions(store, clock=clock, absolute_timeout=100, idle_timeout=100))
    ) as client:
        browser = client.visitor()
        await browser.get("/set/a/1")
        clock.now += 100
        assert (await browser.get("/show")).json() == {}
    assert len(store) == 0
