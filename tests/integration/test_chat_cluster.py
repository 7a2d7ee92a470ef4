"""Three processes of the chat over Redis and PostgreSQL behind the gateway, one of them killed: nobody loses a message
that was acknowledged, nobody gets one twice, and every member's log is without a gap."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest

from framework.cli.chatting.link import Link, enter_as_guest, linked
from framework.errors import TransportError
from framework.net.client import HTTPClient
from framework.plugins.chat.errors import ChatError
from framework.plugins.chat.events import Entry, Posted
from framework.plugins.chat.protocol import Create, Done, Events, Join, Joined, Post, Resync, ServerFrame
from tests.support.ports import free_port
from tests.support.postgres import Postgres, database, postgres
from tests.support.redis import RedisServer, redis_server
from tests.support.served import ROOT

__all__ = ["Postgres", "RedisServer", "database", "postgres", "redis_server"]

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(150)]

POSTS = 40
ROOM = "hall"


@asynccontextmanager
async def program(folder: Path, *command: str) -> AsyncGenerator[asyncio.subprocess.Process]:
    """A process that is ended with the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), 15)
        if process.returncode is None:
            process.kill()
            await process.wait()


async def answers(client: HTTPClient, url: str) -> None:
    async with asyncio.timeout(40):
        while True:
            try:
                if (await client.get(url)).status == 200:
                    return
            except TransportError:
                pass
            await asyncio.sleep(0.1)


class Member:
    """One who stays: comes back when the connection is lost, sends again what was not acknowledged."""

    def __init__(self, client: HTTPClient, base: str, name: str) -> None:
        self.name = name
        self._client = client
        self._base = base
        self.entries: list[Entry] = []
        self.epoch = ""
        self.offset = 0
        self.acknowledged: dict[str, int] = {}
        self.connections = 0
        self._mids = [f"{name}-{number}" for number in range(POSTS)]
        self._resync = asyncio.Event()

    def _pushed(self, frame: ServerFrame) -> None:
        if isinstance(frame, Events) and frame.room == ROOM:
            for entry in frame.entries:
                self._take(entry)
        elif isinstance(frame, Resync):
            self._resync.set()

    def _take(self, entry: Entry) -> None:
        if entry.offset <= self.offset:
            return  # in the reply to the join already
        assert entry.offset == self.offset + 1, f"{self.name}: {entry.offset} after {self.offset}"
        self.offset = entry.offset
        self.entries.append(entry)

    async def stay(self, until: asyncio.Event) -> None:
        token = (await enter_as_guest(self._client, self._base, self.name)).token
        url = self._base.replace("http", "ws", 1) + "/ws"
        while not until.is_set():
            with suppress(TransportError, TimeoutError, OSError, ChatError):
                async with linked(self._client, url, token, self._pushed) as (link, _, reading):
                    self.connections += 1
                    await self._joined(link)
                    talking = asyncio.create_task(self._talk(link))
                    waiting = asyncio.create_task(until.wait())
                    await asyncio.wait((reading, waiting), return_when=asyncio.FIRST_COMPLETED)
                    for task in (talking, waiting):
                        task.cancel()
                    await asyncio.gather(talking, waiting, return_exceptions=True)
            await asyncio.sleep(0.05)

    async def _joined(self, link: Link) -> None:
        joined = await link.ask(
            Joined, lambda number: Join(number, ROOM, self.epoch or None, self.offset if self.epoch else 0)
        )
        if self.epoch:
            assert joined.complete, "a resume that is not complete"
            for entry in joined.entries:
                self._take(entry)
        else:
            self.epoch, self.offset = joined.room.epoch, max(self.offset, joined.room.offset)

    async def _talk(self, link: Link) -> None:
        for mid in self._mids:
            if mid not in self.acknowledged:
                done = await link.ask(Done, lambda number, mid=mid: Post(number, ROOM, mid, f"text {mid}"))  # type: ignore[misc]
                self.acknowledged[mid] = done.offset
            await asyncio.sleep(0.01)

    @property
    def is_done(self) -> bool:
        return len(self.acknowledged) == POSTS


async def test_a_killed_process_loses_nothing_that_was_acknowledged(
    database: str, redis_server: RedisServer, tmp_path: Path
) -> None:
    ports = [free_port() for _ in range(4)]
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(HTTPClient())
        processes: list[asyncio.subprocess.Process] = []
        for port in ports[:3]:
            folder = tmp_path / str(port)
            folder.mkdir()
            (folder / "chat.toml").write_text(
                f'[server]\nport = {port}\n[chat]\nstore = "{database}"\nbus = "{redis_server.url}"\n'
                f'secrets = ["{"s" * 40}"]\nguest_rate = "1000/minute"\nrequest_rate = "1000/second"\n'
                'post_rate = "1000/second"\n'
            )
            processes.append(await stack.enter_async_context(program(folder, "apps.chat", "chat.toml")))
        urls = ", ".join(f'"http://127.0.0.1:{port}"' for port in ports[:3])
        (tmp_path / "gateway.toml").write_text(
            f"[server]\nport = {ports[3]}\n[gateway.clusters.chat]\nendpoints = [{urls}]\npolicy = 'round_robin'\n"
            '[gateway.routes.chat]\ncluster = "chat"\n'
        )
        for port in ports[:3]:
            await answers(client, f"http://127.0.0.1:{port}/readyz")
        await stack.enter_async_context(
            program(tmp_path, "framework", "gateway", "run", str(tmp_path / "gateway.toml"))
        )
        front = f"http://127.0.0.1:{ports[3]}"
        await answers(client, f"{front}/readyz")
        base = f"{front}/chat"
        founder = await enter_as_guest(client, base, "Founder")
        async with linked(client, base.replace("http", "ws", 1) + "/ws", founder.token, lambda _: None) as (
            link,
            _,
            _,
        ):
            await link.ask(Joined, lambda number: Create(number, room=ROOM, name="Hall"))
        over = asyncio.Event()
        members = [Member(client, base, f"Member{number}") for number in range(6)]
        staying = [asyncio.create_task(member.stay(over)) for member in members]
        async with asyncio.timeout(90):
            while sum(len(member.acknowledged) for member in members) < 60:
                _raise(staying)
                await asyncio.sleep(0.02)
            processes[1].send_signal(signal.SIGKILL)
            while not all(member.is_done for member in members):
                _raise(staying)
                await asyncio.sleep(0.05)
            last = max(offset for member in members for offset in member.acknowledged.values())
            while not all(member.offset >= last for member in members):
                _raise(staying)
                await asyncio.sleep(0.05)
        over.set()
        await asyncio.gather(*staying)
    acknowledged = {mid: offset for member in members for mid, offset in member.acknowledged.items()}
    assert len(acknowledged) == len(set(acknowledged.values())) == 6 * POSTS
    assert sum(member.connections for member in members) > len(members), "nobody was on the killed process"
    for member in members:
        posts = {entry.mid: entry.offset for entry in member.entries if isinstance(entry.body, Posted)}
        came = [entry.offset for entry in member.entries]
        assert came == list(range(came[0], came[0] + len(came)))
        assert len([entry for entry in member.entries if isinstance(entry.body, Posted)]) == len(posts)
        assert {mid: offset for mid, offset in acknowledged.items() if offset >= came[0]} == posts


def _raise(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        if task.done():
            task.result()
