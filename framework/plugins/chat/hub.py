"""The chat in one process: its rooms and connections, between the store and the bus."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterable
from itertools import count
from secrets import token_hex
from typing import Any, Final

import msgspec

from framework.channels import Channels, ChannelSettings, Resync, Subscription
from framework.errors import FrameworkError
from framework.plugins.chat.bus import (
    Bus,
    Came,
    Closed,
    Gone,
    Here,
    Invited,
    Present,
    Said,
    Told,
    Typed,
    Who,
    decode_message,
    encode_message,
)
from framework.plugins.chat.bus.messages import BusMessage
from framework.plugins.chat.connections import Connections
from framework.plugins.chat.deadlines import Deadlines
from framework.plugins.chat.errors import ChatError
from framework.plugins.chat.events import Entered, Entry, Event
from framework.plugins.chat.limits import Limits
from framework.plugins.chat.neighbours import BEAT, Neighbours
from framework.plugins.chat.protocol import (
    Draining,
    Notice,
    Removed,
)
from framework.plugins.chat.protocol import Resync as ResyncFrame
from framework.plugins.chat.rooms import GRACE, Follower, LiveRoom
from framework.plugins.chat.settings import ChatSettings
from framework.plugins.chat.stats import HubStats
from framework.plugins.chat.store import Appended, ChatStore
from framework.plugins.chat.tokens import Tokens

__all__ = ["Hub"]

_LOG: Final = logging.getLogger("framework.chat")
TICK: Final = 0.25
MAX_VERIFIED: Final = 500
MAX_OPENINGS: Final = 32


class Hub(Connections):
    """Everything of a chat that lives in one process. Open it in the loop that it serves.

    Args:
        store: where the logs are; opened and closed by whoever made it.
        bus: to the other processes; opened and closed by the hub.
        clock: Unix time, for tokens; deadlines go by the loop's.
    """

    def __init__(
        self,
        settings: ChatSettings,
        store: ChatStore,
        bus: Bus,
        tokens: Tokens,
        *,
        clock: Callable[[], float] = time.time,
        version: str = "",
    ) -> None:
        self.settings = settings
        self.store = store
        self.bus = bus
        self.tokens = tokens
        self.clock = clock
        self.version = version
        self.node = token_hex(6)
        self.loop: asyncio.AbstractEventLoop
        self.limits: Limits
        self.stats = HubStats()
        self.channels = Channels(
            ChannelSettings(max_members=1_000_000, high_watermark=settings.high_watermark)
        )
        self.rooms: dict[str, LiveRoom] = {}
        self.users: dict[str, list[Follower]] = {}
        self.sessions: set[Follower] = set()
        self.deadlines: Deadlines[Follower] = Deadlines()
        self.policy = Resync(self._drained, on_lost=self._lost)
        self.draining: Callable[[], float | None] = lambda: None
        self.openings = asyncio.Semaphore(MAX_OPENINGS)
        self._told_draining = False
        self._versions = count(1 << 20, 1 << 20)
        self.sockets: dict[object, Follower] = {}
        self.met: dict[str, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._outgoing: dict[str, tuple[str, list[Entry]]] = {}
        self._neighbours = Neighbours(self.node, self.rooms, self.tell, self.people_changed)
        self._ticker: asyncio.TimerHandle | None = None
        self._next_beat = self._next_check = 0.0
        self._checking: asyncio.Task[None] | None = None
        self.closing = False

    # -- life -------------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Opens the bus, and starts the clockwork. Raises what the bus does."""
        self.loop = asyncio.get_running_loop()
        self.limits = Limits(self.settings, self._nanoseconds)
        await self.bus.open(self._hear, self._bus_lost)
        self._next_check = self.loop.time() + self.settings.verify_interval
        self._ticker = self.loop.call_later(TICK, self._tick)

    async def close(self) -> None:
        """Ends what is under way; connections are closed by their server."""
        self.closing = True
        if self._ticker is not None:
            self._ticker.cancel()
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for room in self.rooms.values():
            for timer in (room.presence_timer, room.typing_timer):
                if timer is not None:
                    timer.cancel()
        self.channels.close()
        await self.bus.close()

    def _nanoseconds(self) -> int:
        return int(self.loop.time() * 1e9)

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Runs work that the hub stops at its end."""
        task = self.loop.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _tick(self) -> None:
        now = self.loop.time()
        self._ticker = self.loop.call_later(TICK, self._tick)
        for session in self.deadlines.pop(now):
            session.overdue(now)
        within = self.draining()
        if within is not None and not self._told_draining:
            self._told_draining = True
            self.broadcast(Draining(within))
        for room in tuple(self.rooms.values()):
            if room.typists and room.typists.expire(now):
                self.typing_changed(room)
        if not self.bus.alone and now >= self._next_beat:
            self._next_beat = now + BEAT
            self._neighbours.beat()
        self._neighbours.expire(now)
        if now >= self._next_check:
            self._next_check = now + self.settings.verify_interval
            if not self.bus.alone:
                self.verify()

    # -- entries ----------------------------------------------------------------------------------------------------

    async def append(self, user: str, room: str, mid: str, body: Event) -> Appended:
        """Adds an entry, and delivers it. Raises ChatError, and what a store raises that is not well."""
        try:
            appended = await self.store.append(user, room, mid, body)
        except ChatError as error:
            if error.code == "unavailable":
                self.doubt(room)
            raise
        except FrameworkError:
            self.doubt(room)
            raise
        self.announce(appended)
        return appended

    def announce(self, appended: Appended) -> None:
        """Delivers a durable entry, here and elsewhere. One that was there before may not have been delivered: the
        process that wrote it may have died."""
        self.stats.entries += not appended.again
        room = self.rooms.get(appended.room)
        if room is not None:
            room.accept(appended.epoch, (appended.entry,))
        self._look_at((appended.entry,), appended.room)
        if not self.bus.alone:
            known = self._outgoing.get(appended.room)
            if known is not None and known[0] == appended.epoch:
                known[1].append(appended.entry)
                return
            if not self._outgoing:
                self.loop.call_soon(self._send_out)
            self._outgoing[appended.room] = appended.epoch, [appended.entry]

    def _send_out(self) -> None:
        outgoing, self._outgoing = self._outgoing, {}
        for room, (epoch, entries) in outgoing.items():
            last = entries[-1].offset
            data = encode_message(Told(self.node, room, epoch, last, entries))
            if len(data) > self.bus.max_bytes:
                data = encode_message(Told(self.node, room, epoch, last, []))
            self.bus.publish(data)

    def _look_at(self, entries: Iterable[Entry], room: str) -> None:
        for entry in entries:
            if isinstance(entry.body, Entered) and entry.body.user != entry.user:
                self.added(entry.body.user, room)

    def doubt(self, name: str) -> None:
        """A write failed in a way that may have left the entry in the log, unannounced."""
        room = self.rooms.get(name)
        if room is not None and not self.closing:
            self.catch_up(room)

    # -- rooms ------------------------------------------------------------------------------------------------------

    def room(self, name: str) -> LiveRoom:
        """The room of that name, as it is followed here."""
        room = self.rooms.get(name)
        if room is None:
            room = self.rooms[name] = LiveRoom(name, self, next(self._versions))
            if not self.bus.alone:
                self._neighbours.ask([name])
        return room

    def closed(self, room: LiveRoom) -> None:
        """See ``Home``."""
        if self.rooms.get(room.name) is room:
            del self.rooms[room.name]
            self._tell_people(room)

    def follow(self, session: Follower, room: LiveRoom) -> None:
        """A connection follows a room from here on. Raises PeerClosed, ResourceError."""
        room.flush()
        room.followers[session] = room.channel_of(session.codec).subscribe(session.ws, policy=self.policy)
        session.follows[room.name] = room
        if room.attendance.enter(session.user):
            self.people_changed(room)

    def unfollow(self, session: Follower, room: LiveRoom) -> bool:
        """It does no more. Says whether it did."""
        if not room.unfollow(session):
            return False
        session.follows.pop(room.name, None)
        if room.attendance.leave(session.user):
            self.people_changed(room)
            if room.typists.set(session.user, False, 0.0):
                self.typing_changed(room)
        room.settle()
        return True

    def eject(self, room: LiveRoom, user: str, why: str) -> None:
        """See ``Home``."""
        for session in tuple(self.users.get(user, ())):
            if self.unfollow(session, room):
                session.push(Removed(room.name, why))

    def resync(self, room: LiveRoom) -> None:
        """See ``Home``."""
        for session in tuple(room.followers):
            self._resync(session, room)

    def _resync(self, session: Follower, room: LiveRoom) -> None:
        self.stats.resyncs += 1
        if self.unfollow(session, room):
            session.push(ResyncFrame(room.name))

    def removed(self, name: str) -> None:
        """A room was deleted, by this process."""
        self.tell(Gone(self.node, name))
        room = self.rooms.get(name)
        if room is not None:
            room.gone()
            room.settle()

    def catch_up(self, room: LiveRoom, delay: float = 0.0) -> asyncio.Task[None]:
        """See ``Home``."""
        if room.catching is None:
            room.catching = self.spawn(self._catch_up(room, delay), f"chat catches up {room.name}")
        return room.catching

    async def _catch_up(self, room: LiveRoom, delay: float) -> None:
        wait = delay
        try:
            while True:
                if wait:
                    await asyncio.sleep(wait)
                self.stats.catch_ups += 1
                try:
                    await room.read_on()
                    return
                except (ChatError, FrameworkError, OSError) as error:
                    if not room.followers:
                        return
                    if wait <= GRACE:
                        _LOG.warning("chat: room %s cannot be read, trying again: %s", room.name, error)
                    wait = min(5.0, max(0.1, wait * 2))
        finally:
            room.catching = None
            if not self.closing:
                room.settle()

    def verify(self) -> None:
        """Looks into the store whether a room has entries that the bus did not bring."""
        if self._checking is None and self.rooms and not self.closing:
            self._checking = self.spawn(self._verify(), "chat verifies its positions")

    async def _verify(self) -> None:
        try:
            names = [name for name, room in self.rooms.items() if room.epoch is not None]
            for at in range(0, len(names), MAX_VERIFIED):
                part = names[at : at + MAX_VERIFIED]
                found = await self.store.positions(part)
                for name in part:
                    room = self.rooms.get(name)
                    if room is None or room.epoch is None:
                        continue
                    epoch, last = found.get(name, ("", 0))
                    if epoch != room.epoch or last > room.position:
                        self.catch_up(room)
        except (FrameworkError, OSError) as error:
            _LOG.warning("chat: the positions of rooms cannot be read: %s", error)
        finally:
            self._checking = None

    # -- slow members -----------------------------------------------------------------------------------------------

    def _lost(self, subscription: Subscription) -> None:
        session = self.sockets.get(subscription.member)
        self.stats.slow += 1
        if session is not None:
            session.lagging(self.loop.time() + self.settings.slow_timeout)

    def _drained(self, subscription: Subscription) -> None:
        session = self.sockets.get(subscription.member)
        if session is None:
            return
        session.caught_up()
        for room in tuple(session.follows.values()):
            if room.followers.get(session) is subscription:
                self._resync(session, room)

    # -- the bus ----------------------------------------------------------------------------------------------------

    def tell(self, message: BusMessage) -> None:
        """Publishes on the bus."""
        if not self.bus.alone and not self.closing:
            self.bus.publish(encode_message(message))

    def _bus_lost(self) -> None:
        """Something may have been missed: every room is compared with the log, and people are asked for."""
        if not self.closing:
            self.verify()
            if self.rooms:
                self._neighbours.ask(self.rooms)

    def _hear(self, data: bytes) -> None:
        try:
            message = decode_message(data)
        except msgspec.DecodeError as error:
            _LOG.warning("chat: a message on the bus is not understood: %s", error)
            return
        if message.node == self.node or self.closing:
            return
        self._neighbours.heard(message.node, self.loop.time())
        match message:
            case Told():
                self._told(message)
            case Gone():
                room = self.rooms.get(message.room)
                if room is not None:
                    self.catch_up(room)  # by now there may be another one of that name
            case Came():
                self._neighbours.came(message)
            case Present():
                self._neighbours.present(message)
            case Who():
                self._neighbours.who(message)
            case Here():
                self._neighbours.here(message)
            case Typed():
                room = self.rooms.get(message.room)
                if room is not None and room.typists.set(message.user, message.on, self.loop.time()):
                    self.typing_changed(room)
            case Invited():
                self.added(message.user, message.room)
            case Closed():
                self.close_here(message.user, message.session)
            case Said():
                self.broadcast(Notice(message.text))

    def _told(self, message: Told) -> None:
        self._look_at(message.entries, message.room)
        room = self.rooms.get(message.room)
        if room is None:
            return
        self.stats.heard += len(message.entries)
        if message.entries:
            self.stats.lag = max(0.0, self.clock() * 1000 - message.entries[-1].at)
            room.accept(message.epoch, message.entries)
        else:
            room.heard_of(message.epoch, message.last)
