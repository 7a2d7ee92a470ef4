"""What every bus does: carries to all others, in order, and says when it may have missed something."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from framework.errors import ConfigError, SetupError
from framework.plugins.chat.bus import Bus, LocalBus
from framework.plugins.chat.bus.choosing import bus_of
from framework.plugins.chat.bus.workers import WorkersBus
from tests.support.postgres import Postgres, database, postgres
from tests.support.redis import RedisServer, redis_server

__all__ = ["Postgres", "RedisServer", "database", "postgres", "redis_server"]

pytestmark = pytest.mark.anyio

Make = Callable[[], Bus]


class Ear:
    """What one process hears."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.heard: list[bytes] = []
        self.losses = 0
        self._news = asyncio.Event()

    async def __aenter__(self) -> Ear:
        await self.bus.open(self._hear, self._lost)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.bus.close()

    def _hear(self, data: bytes) -> None:
        self.heard.append(data)
        self._news.set()

    def _lost(self) -> None:
        self.losses += 1
        self._news.set()

    async def until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(15):
            while not done():
                self._news.clear()
                await self._news.wait()


@pytest.fixture(params=["workers", "redis", "postgresql"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    if request.param == "workers":
        return lambda: WorkersBus(tmp_path / "bus", scan_interval=0.02)
    fixture = "redis_server" if request.param == "redis" else "database"
    found: Any = request.getfixturevalue(fixture)
    url: str = found if isinstance(found, str) else found.url
    return lambda: bus_of(url)


async def joined(*ears: Ear) -> None:
    """All hear each other."""
    for speaker in ears:
        for listener in ears:
            if speaker is listener:
                continue
            async with asyncio.timeout(15):
                mark = b"hello from %d" % id(speaker)
                while mark not in listener.heard:
                    speaker.bus.publish(mark)
                    await asyncio.sleep(0.02)
    for ear in ears:
        ear.heard.clear()


def numbers(ear: Ear) -> list[bytes]:
    return [data for data in ear.heard if data.startswith(b"n")]


async def test_all_others_hear_everything_in_order(make: Make) -> None:
    async with Ear(make()) as one, Ear(make()) as two, Ear(make()) as three:
        await joined(one, two, three)
        sent = [b"n%d \x00\xff" % number for number in range(500)]
        for data in sent:
            one.bus.publish(data)
        for ear in (two, three):
            await ear.until(lambda ear=ear: len(numbers(ear)) >= len(sent))  # type: ignore[misc]
            assert numbers(ear) == sent
        await one.bus.ping()
        assert not one.bus.alone


async def test_the_largest_message_arrives(make: Make) -> None:
    async with Ear(make()) as one, Ear(make()) as two:
        await joined(one, two)
        data = b"n" + bytes(range(256)) * (one.bus.max_bytes // 256 - 1)
        one.bus.publish(data)
        await two.until(lambda: bool(numbers(two)))
        assert numbers(two) == [data]


async def test_who_comes_later_hears_from_then_on(make: Make) -> None:
    async with Ear(make()) as one:
        one.bus.publish(b"nobody is there")
        async with Ear(make()) as two:
            await joined(one, two)
            one.bus.publish(b"n1")
            await two.until(lambda: bool(numbers(two)))
        one.bus.publish(b"gone again")


async def test_a_lost_bus_is_told_when_it_is_back(make: Make, request: pytest.FixtureRequest) -> None:
    kind = request.node.callspec.params["make"]
    async with Ear(make()) as one:
        if kind == "workers":
            async with Ear(make()) as two:
                await joined(one, two)
            before = one.losses
            await one.until(lambda: one.losses >= 1)
            assert before >= 1, "one that ends may have said something that was not heard"
        else:
            server: Any = request.getfixturevalue("redis_server" if kind == "redis" else "postgres")
            before = one.losses
            await asyncio.to_thread(server.restart)
            await one.until(lambda: one.losses > before)
        async with Ear(make()) as three:
            await joined(one, three)
            three.bus.publish(b"n after")
            await one.until(lambda: bool(numbers(one)))


async def test_publishing_never_waits_and_never_raises(make: Make) -> None:
    bus = make()
    ear = Ear(bus)
    async with ear:
        for _ in range(20_000):
            bus.publish(b"x" * 100)
    bus.publish(b"after the end")


# -- workers only -----------------------------------------------------------------------------------------------------


async def test_sockets_of_the_killed_are_tidied_up(tmp_path: Path) -> None:
    folder = tmp_path / "bus"
    folder.mkdir(mode=0o700)
    dead = folder / "dead.sock"
    server = await asyncio.get_running_loop().create_unix_server(asyncio.Protocol, dead)
    server.close()
    await server.wait_closed()
    dead.touch()
    async with Ear(WorkersBus(folder, scan_interval=0.02)) as one:
        async with asyncio.timeout(5):
            while dead.exists():  # noqa: ASYNC110 - a file tells nobody
                await asyncio.sleep(0.01)
        assert one.bus.peers == 0  # type: ignore[attr-defined]
    assert not folder.exists()


async def test_one_that_does_not_read_is_cut_off_and_the_others_are_unharmed(tmp_path: Path) -> None:
    folder = tmp_path / "bus"

    deaf: list[asyncio.BaseTransport] = []

    class Deaf(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            transport.pause_reading()  # type: ignore[attr-defined]
            deaf.append(transport)

    async with (
        Ear(WorkersBus(folder, scan_interval=0.02)) as one,
        Ear(WorkersBus(folder, scan_interval=0.02)) as two,
    ):
        server = await asyncio.get_running_loop().create_unix_server(Deaf, folder / "deaf.sock")
        await joined(one, two)
        async with asyncio.timeout(5):
            while one.bus.peers < 2:  # type: ignore[attr-defined]  # noqa: ASYNC110 - found by a scan
                await asyncio.sleep(0.01)
        for count in range(1, 41):
            one.bus.publish(b"n" + b"x" * 500_000)
            await two.until(lambda count=count: len(numbers(two)) == count)  # type: ignore[misc]
        assert one.bus.peers <= 2  # type: ignore[attr-defined]
        server.close()
        for transport in deaf:
            transport.close()
        await server.wait_closed()


@pytest.mark.parametrize("mode", [0o755, 0o777])
async def test_a_folder_that_others_can_use_is_refused(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "bus"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(SetupError, match="of this user alone"):
        await WorkersBus(folder).open(lambda _: None, lambda: None)


@pytest.mark.parametrize("url", ["", "memory", "memory://x", "kafka://h"])
def test_what_is_no_bus_lists_those_that_are(url: str) -> None:
    with pytest.raises(ConfigError, match="known are memory://, workers://, redis://"):
        bus_of(url)


def test_memory_is_alone_and_says_what_to_take_instead() -> None:
    bus = bus_of("memory://")
    assert isinstance(bus, LocalBus)
    assert bus.alone
    assert "workers://" in bus.per_process_hint
