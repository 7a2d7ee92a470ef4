"""One room as this process has it: who follows it, up to where it was delivered, and what came out of order."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final, Protocol

from framework.channels import Channel, Channels, Member, Subscription
from framework.plugins.chat.codec import CODECS, Codec
from framework.plugins.chat.errors import ChatError
from framework.plugins.chat.events import Banned, Entry, Quit
from framework.plugins.chat.presence import Attendance, Typists
from framework.plugins.chat.protocol import Events, ServerFrame
from framework.plugins.chat.store import ChatStore

__all__ = ["Follower", "Home", "Joiner", "LiveRoom"]

MAX_AHEAD: Final = 1000
MAX_TAIL: Final = 1000
PAGE: Final = 500
# Entries of other processes overtake each other by a little; only what is late by more is read from the log.
GRACE: Final = 0.02


class Follower(Protocol):
    """A connection, as the hub and its rooms know it.

    Attributes:
        ws: what it talks over.
        name: of this connection, in logs and to operators.
        user: whose it is; "" until it was welcomed.
        codec: its encoding.
        follows: rooms, by name.
        due: loop time at which ``overdue`` is to be called.
    """

    due: float

    @property
    def ws(self) -> Member: ...

    @property
    def name(self) -> str: ...

    @property
    def user(self) -> str: ...

    @property
    def codec(self) -> Codec: ...

    @property
    def follows(self) -> dict[str, LiveRoom]: ...

    def push(self, frame: ServerFrame, /) -> None:
        """Sends it a frame; never waits."""
        ...

    def close(self, code: int, reason: str, /) -> None:
        """Closes it."""
        ...

    def overdue(self, now: float, /) -> None:
        """Its deadline has passed."""
        ...

    def lagging(self, until: float, /) -> None:
        """Entries are lost because it does not read; it has until then to do so."""
        ...

    def caught_up(self) -> None:
        """It has read what waited."""
        ...


class Home(Protocol):
    """The hub, as its rooms know it."""

    @property
    def store(self) -> ChatStore: ...

    @property
    def channels(self) -> Channels: ...

    def catch_up(self, room: LiveRoom, delay: float = 0.0) -> asyncio.Task[None]:
        """Brings the room up to the log, in a task, one at a time."""
        ...

    def eject(self, room: LiveRoom, user: str, why: str) -> None:
        """A user is no member any more."""
        ...

    def resync(self, room: LiveRoom) -> None:
        """The followers have missed something that they will not be sent."""
        ...

    def closed(self, room: LiveRoom) -> None:
        """Nobody needs the room any more."""
        ...


class Joiner:
    """Somebody who is about to follow: what is delivered meanwhile, bounded.

    Attributes:
        whole: ``entries`` are all that was delivered behind ``since``.
        since: the position from which on the room delivers, where that was found out after this one had come: a
            reading of the log that ends before it is too old.
    """

    __slots__ = ("entries", "since", "whole")

    def __init__(self) -> None:
        self.since = 0
        self.entries: list[Entry] = []
        self.whole = True


class LiveRoom:
    """Delivers a room's entries in the order of their offsets, each once, to all who follow it here.

    Attributes:
        epoch: of the log; None until the first one who joins has read it.
        position: offset of the last entry that was delivered.
        followers: their subscriptions.
        joiners: those who are reading the log before they follow.
        catching: reads what is missing.
        presence_timer, typing_timer: the next message about people.
    """

    __slots__ = (
        "_ahead",
        "_channels",
        "_early",
        "_home",
        "_missed_early",
        "_turn",
        "attendance",
        "catching",
        "epoch",
        "followers",
        "joiners",
        "name",
        "position",
        "presence_timer",
        "typing_due",
        "typing_timer",
        "typing_told",
        "typists",
    )

    def __init__(self, name: str, home: Home, version: int) -> None:
        self.name = name
        self.epoch: str | None = None
        self.position = 0
        self.followers: dict[Follower, Subscription] = {}
        self.joiners: set[Joiner] = set()
        self.attendance = Attendance(version)
        self.typists = Typists()
        self.catching: asyncio.Task[None] | None = None
        self.presence_timer: asyncio.TimerHandle | None = None
        self.typing_timer: asyncio.TimerHandle | None = None
        self.typing_due = 0.0
        self.typing_told: list[str] = []
        self._home = home
        self._turn: list[Entry] = []
        self._ahead: dict[int, Entry] = {}
        self._early: list[tuple[str, Entry]] = []
        self._missed_early = False
        self._channels: tuple[Channel, ...] = tuple(
            home.channels.channel(f"{codec.index}:{name}") for codec in CODECS
        )

    # -- entries ----------------------------------------------------------------------------------------------------

    def accept(self, epoch: str, entries: Iterable[Entry]) -> None:
        """Takes entries as they come, in whatever order and however often."""
        if self.epoch is None:
            for entry in entries:
                if len(self._early) < MAX_AHEAD:
                    self._early.append((epoch, entry))
                else:
                    self._missed_early = True
            return
        if epoch != self.epoch:
            self._home.catch_up(self)  # which of the two is the older one, the store knows
            return
        for entry in entries:
            if entry.offset == self.position + 1:
                self._deliver(entry)
            elif entry.offset > self.position and len(self._ahead) < MAX_AHEAD:
                self._ahead[entry.offset] = entry
        ahead = self._ahead
        while ahead:
            following = ahead.pop(self.position + 1, None)
            if following is None:
                break
            self._deliver(following)
        if ahead:
            self._home.catch_up(self, GRACE)

    def heard_of(self, epoch: str, last: int) -> None:
        """There are entries up to ``last``."""
        if self.epoch is not None and (epoch != self.epoch or last > self.position):
            self._home.catch_up(self, GRACE)

    def _deliver(self, entry: Entry) -> None:
        self.position = entry.offset
        for joiner in self.joiners:
            if len(joiner.entries) < MAX_TAIL:
                joiner.entries.append(entry)
            else:
                joiner.whole = False
        if self.followers:
            if not self._turn:
                asyncio.get_running_loop().call_soon(self.flush)
            self._turn.append(entry)
            gone = ejected(entry)
            if gone is not None:
                self.flush()
                self._home.eject(self, *gone)

    def flush(self) -> None:
        """Sends what was delivered in this turn, encoded once for each encoding."""
        entries = self._turn
        if entries:
            self._turn = []
            self.publish(Events(self.name, entries))

    def publish(self, frame: ServerFrame, key: str | None = None) -> None:
        """Sends a frame to all who follow."""
        for codec in CODECS:
            channel = self._channels[codec.index]
            if len(channel):
                channel.publish(codec.encode(frame), key=key)

    # -- the position -----------------------------------------------------------------------------------------------

    async def reach(self, epoch: str, offset: int) -> None:
        """Returns once everything up to that position was delivered. Raises ChatError ``unavailable``."""
        if self.epoch is None:
            self.begin(epoch, offset)
        if self.epoch != epoch or self.position < offset:
            await asyncio.shield(self._home.catch_up(self))
        if self.epoch != epoch or self.position < offset:
            raise ChatError("unavailable", "the room is changing; try again", 0.5)

    def begin(self, epoch: str, offset: int) -> None:
        """The position from which on entries are delivered."""
        self.epoch, self.position = epoch, offset
        for joiner in self.joiners:
            joiner.since = offset
        self._ahead.clear()
        self._turn.clear()
        early, self._early = self._early, []
        for one, entry in early:
            self.accept(one, (entry,))
        if self._missed_early:
            self._missed_early = False
            self._home.catch_up(self)

    async def read_on(self) -> None:
        """Delivers from the log what is missing. Raises what the store does."""
        stalled = False
        while self.epoch is not None:
            store = self._home.store
            try:
                entries = await store.read(self.name, after=self.position, limit=PAGE)
                # An epoch never comes again: if it is the same now, it was so when the entries were read.
                found = (await store.positions([self.name])).get(self.name)
            except ChatError as error:
                if error.code != "no_room":
                    raise
                found, entries = None, []
            if found is None:
                self.gone()
                return
            epoch, last = found
            if epoch != self.epoch or (entries and entries[0].offset > self.position + 1):
                self.jump(epoch, last)
                return
            self.accept(epoch, entries)
            if self.position >= last:
                # What is ahead of the log's end was there a moment ago, and is delivered when it comes again.
                for offset in [each for each in self._ahead if each <= self.position]:
                    del self._ahead[offset]
                if not any(offset > last for offset in self._ahead):
                    return
            if not entries and stalled:
                self.jump(epoch, last)  # they are kept no more
                return
            stalled = not entries

    def jump(self, epoch: str, last: int) -> None:
        """Another log, or one whose missing part is kept no more: the followers are told."""
        self.flush()
        self._home.resync(self)
        for joiner in self.joiners:
            joiner.whole = False
        self.begin(epoch, last)

    def gone(self) -> None:
        """The room was deleted."""
        self.flush()
        for follower in tuple(self.followers):
            self._home.eject(self, follower.user, "deleted")
        for joiner in self.joiners:
            joiner.whole = False
        self.epoch = None
        self._ahead.clear()
        self._early.clear()

    # -- followers --------------------------------------------------------------------------------------------------

    def channel_of(self, codec: Codec) -> Channel:
        """The channel of those with this encoding."""
        return self._channels[codec.index]

    def unfollow(self, follower: Follower) -> bool:
        """A follower less; what was delivered before is sent first. Says whether it was one."""
        subscription = self.followers.get(follower)
        if subscription is None:
            return False
        self.flush()
        del self.followers[follower]
        subscription.unsubscribe()
        return True

    def settle(self) -> None:
        """Tells the hub where nobody needs the room any more."""
        if not self.followers and not self.joiners and self.catching is None:
            for timer in (self.presence_timer, self.typing_timer):
                if timer is not None:
                    timer.cancel()
            self.presence_timer = self.typing_timer = None
            self._home.closed(self)


def ejected(entry: Entry) -> tuple[str, str] | None:
    """Who is no member any more by an entry, and why."""
    body = entry.body
    if isinstance(body, Quit):
        return body.user, "quit" if body.user == entry.user else "kicked"
    if isinstance(body, Banned) and body.until:
        return body.user, "banned"
    return None
