"""Rooms followed over a connection that comes back by itself, and shown as lines."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from msgspec import Struct, field

from framework.cli.chatting.link import Link, comes_back, linked
from framework.cli.chatting.words import harmless
from framework.cli.paper import styled
from framework.errors import TransportError, WebSocketClosed
from framework.net.client import HTTPClient
from framework.plugins.chat.errors import ChatError
from framework.plugins.chat.events import Deleted, Edited, Entered, Entry, Message, Posted, Quit, Reacted
from framework.plugins.chat.protocol import (
    Added,
    Create,
    Done,
    Draining,
    Events,
    Join,
    Joined,
    ListMembers,
    Members,
    Notice,
    Post,
    Removed,
    Resync,
    ServerFrame,
    Welcome,
)

__all__ = ["Follower", "Outgoing", "Room"]

MAX_HEARD: Final = 10_000
BACKOFF: Final = (0.5, 30.0)
_COLOURS: Final = (
    "cyan",
    "green",
    "yellow",
    "magenta",
    "blue",
    "bright_cyan",
    "bright_green",
    "bright_magenta",
)


class Room(Struct):
    """A room that is followed. ``oldest``: offset of the oldest message shown; ``joining``: a join is under way, whose
    reply says from where on events are shown."""

    name: str
    epoch: str = ""
    offset: int = 0
    oldest: int = 0
    joining: bool = False


class Outgoing(Struct, frozen=True):
    """A post that waits to be acknowledged; ``mid`` stays the same however often it is sent."""

    room: str
    text: str
    reply_to: int | None = None
    mid: str = field(default_factory=lambda: secrets.token_hex(12))

    def request(self, number: int) -> Post:
        """The same each time it is sent, but for the request's number."""
        return Post(number, self.room, self.mid, self.text, self.reply_to)


class Follower:
    """One user's rooms over a connection that comes back by itself, shown line by line.

    Args:
        client: connects.
        url: of the WebSocket.
        token: gives the user's token each time one is needed.
        show: writes a line.
        room: to begin in; it is made where there is none of that name.
        draw: a random number from 0 to 1, for the waits between two tries.
    """

    def __init__(
        self,
        client: HTTPClient,
        url: str,
        token: Callable[[], str],
        show: Callable[[str], None],
        room: str,
        *,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._url = url
        self._token = token
        self._show = show
        self._rooms: dict[str, Room] = {room: Room(room)}
        self._current = room
        self._draw = draw
        self._user = ""
        self._names: dict[str, str] = {}
        self._link: Link | None = None
        self._outbox: deque[Outgoing] = deque()
        self._more = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()
        self._within = 0.0
        self._broken: set[str] = set()

    # -- the connection -----------------------------------------------------------------------------------------------

    async def _stay_connected(self) -> None:
        attempt = 0
        while True:
            since, why = time.monotonic(), "the connection ended"
            try:
                await self._connected()
            except WebSocketClosed as closed:
                if not comes_back(closed.code):
                    raise ChatError("closed", f"the chat closed the connection: {closed}") from None
                why = str(closed)
            except (TransportError, OSError, TimeoutError) as error:
                why = str(error) or type(error).__name__
            if time.monotonic() - since > 5.0:
                attempt = 0
            base, cap = BACKOFF
            wait = self._draw() * (self._within or min(cap, base * 2.0 ** min(attempt, 10)))
            self._within = 0.0
            attempt += 1
            self._tell(f"{harmless(why)}; next try in {wait:.1f} s, what you write is kept")
            await asyncio.sleep(wait)

    async def _connected(self) -> None:
        """One connection's life. Raises WebSocketClosed at its end."""
        heard: deque[ServerFrame] = deque()
        more = asyncio.Event()

        def pushed(frame: ServerFrame) -> None:
            if len(heard) >= MAX_HEARD:  # what is thrown away is asked for again
                heard.clear()
                self._broken.update(self._rooms)
                self._more.set()
            heard.append(frame)
            more.set()

        async with linked(self._client, self._url, self._token(), pushed) as (link, welcome, reading):
            tasks = [
                asyncio.create_task(self._hear(link, heard, more)),
                asyncio.create_task(self._send(link, welcome)),
            ]
            try:
                await asyncio.wait((reading, *tasks), return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._link = None
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
            for task in (reading, *tasks):
                if task.done() and not task.cancelled():
                    task.result()
            raise WebSocketClosed(link.close_code, link.close_reason)

    async def _welcomed(self, link: Link, welcome: Welcome) -> None:
        self._user = welcome.user
        self._names[welcome.user] = welcome.name
        for room in tuple(self._rooms.values()):
            try:
                await self._follow(link, room)
            except ChatError as error:
                if room.name != self._current:
                    self._rooms.pop(room.name, None)
                self._tell(f"{room.name}: {error}")
        self._tell(f"connected as {welcome.name}; /help tells what there is")

    async def _follow(self, link: Link, room: Room) -> None:
        """Joins from where this client is, and makes the room where it is none."""
        room.joining = True
        try:
            await self._joined(link, room)
        finally:
            room.joining = False

    async def _joined(self, link: Link, room: Room) -> None:
        resume = (room.epoch or None, room.offset)
        try:
            joined = await link.ask(Joined, lambda number: Join(number, room.name, *resume, limit=20))
        except ChatError as error:
            if error.code != "no_room" or room.epoch:
                raise
            joined = await link.ask(Joined, lambda number: Create(number, room=room.name, name=room.name))
        await self._learn(link, room.name)
        if joined.complete and joined.room.epoch == room.epoch:
            for entry in joined.entries:
                self._entered(room, entry)
            return
        if room.epoch:
            self._tell(f"{room.name}: too much has happened meanwhile; these are the latest messages")
        for message in joined.messages:
            self._show_message(room.name, message)
        room.epoch, room.offset = joined.room.epoch, joined.room.offset
        room.oldest = joined.messages[0].offset if joined.messages else joined.room.offset + 1

    async def _learn(self, link: Link, room: str) -> None:
        members = await link.ask(Members, lambda number: ListMembers(number, room, limit=200))
        self._names.update((each.user, each.name) for each in members.members)

    async def _send(self, link: Link, welcome: Welcome) -> None:
        """Joins, then sends what waits, one after the other: none overtakes one that was put off."""
        await self._welcomed(link, welcome)
        self._link = link
        while True:
            for name in tuple(self._broken):
                self._broken.discard(name)
                if name in self._rooms:
                    await self._follow(link, self._rooms[name])
            if not self._outbox:
                self._more.clear()
                await self._more.wait()
                continue
            try:
                await link.ask(Done, self._outbox[0].request)
            except ChatError as error:
                if error.code in ("limit", "unavailable"):
                    await asyncio.sleep(error.retry_after or 1.0)
                    continue
                self._tell(f"not sent: {error}")
            self._outbox.popleft()
            if not self._outbox:
                self._emptied.set()

    # -- what comes ---------------------------------------------------------------------------------------------------

    async def _hear(self, link: Link, heard: deque[ServerFrame], more: asyncio.Event) -> None:
        """Shows what comes; who is not known yet by name is asked for first."""
        while True:
            while heard:
                frame = heard.popleft()
                if isinstance(frame, Events):
                    await self._meet(link, frame)
                self._take(frame)
            more.clear()
            await more.wait()

    async def _meet(self, link: Link, events: Events) -> None:
        users = {entry.user for entry in events.entries}
        users |= {entry.body.user for entry in events.entries if isinstance(entry.body, Entered)}
        if users <= self._names.keys():
            return
        with suppress(ChatError):
            await self._learn(link, events.room)
        for user in users:
            self._names.setdefault(user, user)  # who is not to be found is not looked for again

    def _take(self, frame: ServerFrame) -> None:
        match frame:
            case Events(room=name, entries=entries):
                room = self._rooms.get(name)
                if room is None:
                    return
                if room.joining or not all(self._entered(room, entry) for entry in entries):
                    self._again(name)
            case Resync(room=name):
                self._again(name)
            case Added(room=name):
                self._tell(f"you were put into {name}: /join {name} shows it")
            case Removed(room=name, why=why):
                self._rooms.pop(name, None)
                self._tell(f"{name}: {why}")
            case Notice(text=text):
                self._tell(f"notice: {harmless(text)}")
            case Draining(within=within):
                self._within = within
            case _:
                pass

    def _again(self, name: str) -> None:
        """The room's log has a gap here: it is joined again from where it is whole."""
        self._broken.add(name)
        self._more.set()

    def _entered(self, room: Room, entry: Entry) -> bool:
        """Takes the next entry; False where one before it is missing."""
        if entry.offset <= room.offset:
            return True
        if room.epoch and entry.offset != room.offset + 1:
            return False
        room.offset = entry.offset
        who, where = self._name(entry.user), f"[{room.name}]"
        match entry.body:
            case Posted(text=text, reply_to=reply_to):
                self._line(room.name, entry.offset, entry.at, entry.user, text, reply_to)
            case Edited(target=target, text=text):
                self._dim(f"{where} {who} changed #{target}: {harmless(text)}")
            case Deleted(target=target):
                self._dim(f"{where} {who} deleted #{target}")
            case Reacted(target=target, emoji=emoji, on=True):
                self._dim(f"{where} {who} put {harmless(emoji)} on #{target}")
            case Entered(user=user):
                self._dim(f"{where} {self._name(user)} came in")
            case Quit(user=user):
                self._dim(f"{where} {self._name(user)} left")
            case _:
                pass
        return True

    # -- what is shown ------------------------------------------------------------------------------------------------

    def _name(self, user: str) -> str:
        return harmless(self._names.get(user, user))

    def _show_message(self, room: str, message: Message) -> None:
        text = "(deleted)" if message.deleted else message.text
        self._line(room, message.offset, message.at, message.user, text, message.reply_to)

    def _line(self, room: str, offset: int, at: int, user: str, text: str, reply_to: int | None) -> None:
        clock = time.strftime("%H:%M", time.localtime(at / 1000))
        colour = _COLOURS[sum(user.encode()) % len(_COLOURS)]
        name = styled(self._name(user), fg=colour, bold=user == self._user)
        answer = f"(to #{reply_to}) " if reply_to else ""
        place = styled(f"{clock} [{room}] #{offset}", dim=True)
        self._show(f"{place} {name}: {answer}{harmless(text)}")

    def _dim(self, text: str) -> None:
        self._show(styled(text, dim=True))

    def _tell(self, text: str) -> None:
        self._show(styled(f"* {text}", fg="yellow"))
