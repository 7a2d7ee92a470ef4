"""Many members of a chat at once, who talk at a fixed rate and watch what they hear."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Final

from msgspec import Struct, field

from framework.cli.chatting.link import Link, enter_as_guest, linked
from framework.errors import FrameworkError
from framework.net.client import HTTPClient, PoolSettings
from framework.plugins.chat.errors import ChatError
from framework.plugins.chat.events import Posted
from framework.plugins.chat.protocol import Create, Done, Events, Join, Joined, Post, Resync, ServerFrame
from framework.plugins.chat.tokens import Tokens

__all__ = ["Load", "Report", "run_load"]

CONNECTING: Final = 64  # at a time, so that the measuring machine's backlog is not what is measured
SETTLING: Final = 10.0
MAX_OUTSTANDING: Final = 10_000


class Load(Struct, frozen=True):
    """What to do. ``rate``: posts each second, of all members together; ``secret``: signs tokens, None asks for guests.

    Members are dealt to the rooms in turn, each to one.
    """

    url: str
    base: str
    members: int
    rooms: int
    rate: float
    seconds: float
    size: int = 64
    secret: str | None = None


class Report(Struct):
    """What happened. Times in seconds, unsorted; posts are timed from when they were due.

    Attributes:
        connecting: from the start of a connection to its welcome and its room's join.
        acknowledged: until ``done``.
        delivered: until a member other than the sender had it.
        expected: deliveries that acknowledged posts owe.
        missing, doubled: of those.
        gaps: entries out of their order, resyncs included.
        behind: posts left out because too many were outstanding.
        errors: refusals by code.
    """

    load: Load
    connecting: list[float] = field(default_factory=list[float])
    acknowledged: list[float] = field(default_factory=list[float])
    delivered: list[float] = field(default_factory=list[float])
    sent: int = 0
    expected: int = 0
    missing: int = 0
    doubled: int = 0
    gaps: int = 0
    behind: int = 0
    lost: int = 0
    elapsed: float = 0.0
    errors: Counter[str] = field(default_factory=Counter[str])

    @property
    def problems(self) -> list[str]:
        """What must not be."""
        found: list[str] = []
        if self.missing:
            found.append(f"{self.missing} of {self.expected} deliveries are missing")
        if self.doubled:
            found.append(f"{self.doubled} deliveries came twice")
        if self.lost:
            found.append(f"{self.lost} connections were lost")
        return found


class _Member:
    """One connection, and what it heard."""

    __slots__ = ("_report", "_sent", "heard", "link", "offset", "room")

    def __init__(self, room: str, report: Report, sent: dict[str, float]) -> None:
        self.room = room
        self.offset = 0
        self.heard: Counter[str] = Counter()
        self.link: Link | None = None
        self._report = report
        self._sent = sent

    def pushed(self, frame: ServerFrame) -> None:
        if isinstance(frame, Resync):
            self._report.gaps += 1
        if not isinstance(frame, Events):
            return
        now = time.perf_counter()
        for entry in frame.entries:
            if self.offset and entry.offset != self.offset + 1:
                self._report.gaps += 1
            self.offset = entry.offset
            if isinstance(entry.body, Posted) and (due := self._sent.get(entry.mid)) is not None:
                self.heard[entry.mid] += 1
                self._report.delivered.append(now - due)


async def run_load(load: Load, tell: Callable[[str], None]) -> Report:
    """Connects everybody, lets them talk, waits for what is still under way, and counts.

    Args:
        tell: is told how far it is.

    Raises:
        ChatError, FrameworkError, OSError: not everybody could be connected.
    """
    report = Report(load)
    sent: dict[str, float] = {}
    pool = PoolSettings(max_connections=load.members + CONNECTING, max_waiting=load.members + CONNECTING)
    async with HTTPClient(pool=pool) as client, AsyncExitStack() as stack:
        tokens = await _tokens(client, load)
        tell(f"connecting {load.members} members to {load.rooms} rooms")
        # Rooms of this run only: their logs are empty, and nobody else is in them.
        run = secrets.token_hex(3)
        members = [
            _Member(f"load-{run}-{number % load.rooms}", report, sent) for number in range(load.members)
        ]
        reading = await _connect(client, stack, load, members, tokens, report)
        tell(f"{load.rate:g} posts/s for {load.seconds:g} s")
        acknowledged = await _talk(load, members, report, sent)
        await _settle(members, acknowledged)
        report.lost = sum(task.done() for task in reading)
        _count(members, acknowledged, report)
    return report


async def _tokens(client: HTTPClient, load: Load) -> list[str]:
    if load.secret is not None:
        tokens = Tokens([load.secret], lifetime=load.seconds + 3600)
        return [tokens.issue(f"load-{number}", f"Member {number}") for number in range(load.members)]
    found: list[str] = []
    while len(found) < load.members:
        try:
            found.append((await enter_as_guest(client, load.base, f"Member {len(found)}")).token)
        except ChatError as error:
            if error.code != "limit":
                raise
            await asyncio.sleep(error.retry_after or 1.0)
    return found


async def _connect(
    client: HTTPClient,
    stack: AsyncExitStack,
    load: Load,
    members: Sequence[_Member],
    tokens: Sequence[str],
    report: Report,
) -> list[asyncio.Task[None]]:
    """The first member of each room makes it, then the others come in."""
    gate = asyncio.Semaphore(CONNECTING)
    reading: list[asyncio.Task[None]] = []

    async def come(member: _Member, token: str, *, first: bool) -> None:
        async with gate:
            began = time.perf_counter()
            link, _, task = await stack.enter_async_context(linked(client, load.url, token, member.pushed))
            await _enter(link, member, first=first)
            report.connecting.append(time.perf_counter() - began)
        member.link = link
        reading.append(task)

    pairs = list(zip(members, tokens, strict=True))
    for first, some in ((True, pairs[: load.rooms]), (False, pairs[load.rooms :])):
        async with asyncio.TaskGroup() as group:
            for member, token in some:
                group.create_task(come(member, token, first=first))
    return reading


async def _enter(link: Link, member: _Member, *, first: bool) -> None:
    while True:
        try:
            if first:
                joined = await link.ask(
                    Joined, lambda number: Create(number, room=member.room, name=member.room)
                )
            else:
                joined = await link.ask(Joined, lambda number: Join(number, member.room, limit=1))
        except ChatError as error:
            if error.code != "limit":
                raise
            await asyncio.sleep(error.retry_after or 1.0)
        else:
            member.offset = max(member.offset, joined.room.offset)
            return


async def _talk(
    load: Load, members: Sequence[_Member], report: Report, sent: dict[str, float]
) -> dict[str, _Member]:
    """Posts at the rate, whatever the answers; returns who posted what was acknowledged."""
    acknowledged: dict[str, _Member] = {}
    outstanding: set[asyncio.Task[None]] = set()

    async def post(member: _Member, mid: str, due: float) -> None:
        assert member.link is not None
        link, text = member.link, "x" * load.size
        try:
            await link.ask(Done, lambda number: Post(number, member.room, mid, text))
        except (FrameworkError, TimeoutError) as error:
            report.errors[error.code if isinstance(error, ChatError) else type(error).__name__] += 1
            return
        report.acknowledged.append(time.perf_counter() - due)
        acknowledged[mid] = member

    began = time.perf_counter()
    total = max(1, round(load.rate * load.seconds))
    for number in range(total):
        due = began + number / load.rate
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        elif number % 64 == 0:
            await asyncio.sleep(0)
        if len(outstanding) >= MAX_OUTSTANDING:
            report.behind += 1
            continue
        mid = f"{number:x}.{secrets.token_hex(4)}"
        sent[mid] = due
        report.sent += 1
        task = asyncio.create_task(post(members[number % len(members)], mid, due))
        outstanding.add(task)
        task.add_done_callback(outstanding.discard)
    if outstanding:
        await asyncio.wait(outstanding)
    report.elapsed = time.perf_counter() - began
    return acknowledged


async def _settle(members: Sequence[_Member], acknowledged: dict[str, _Member]) -> None:
    """Waits until everybody has heard what was acknowledged; at most ten seconds."""
    owed = Counter(member.room for member in acknowledged.values())
    deadline = time.perf_counter() + SETTLING
    while time.perf_counter() < deadline:
        if all(len(member.heard) >= owed[member.room] for member in members):
            return
        await asyncio.sleep(0.05)


def _count(members: Sequence[_Member], acknowledged: dict[str, _Member], report: Report) -> None:
    """Every member of the room owes to have heard it once, its sender too."""
    by_room: dict[str, list[_Member]] = {}
    for member in members:
        by_room.setdefault(member.room, []).append(member)
    for mid, sender in acknowledged.items():
        for member in by_room[sender.room]:
            times = member.heard[mid]
            report.expected += 1
            report.missing += times == 0
            report.doubled += max(0, times - 1)
