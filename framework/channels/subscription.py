"""A member's subscriptions, and what the channels have to know of the member they belong to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context, copy_context
from inspect import iscoroutinefunction
from types import TracebackType
from typing import Protocol

from framework.channels.backlog import Backlog
from framework.channels.cork import Cork, report
from framework.channels.entry import Entry
from framework.channels.member import Member
from framework.channels.policies import Close, Coalesce, DropOldest
from framework.channels.stats import Counters

__all__ = ["Policy", "Resync", "Seat", "Source", "Subscription"]


class Resync:
    """Messages are lost from the first that finds the member too slow, until ``subscription.resume()``.

    Args:
        resync: called with the subscription once the member has room again: send it the whole state, and ``resume()``.
            Between the two messages may still be lost, after ``resume()`` none is.
        on_lost: called with the subscription when the first message is lost.

    Raises TypeError for coroutine functions: these are plain callbacks, run by the loop.
    """

    __slots__ = ("on_lost", "resync")

    def __init__(
        self,
        resync: Callable[[Subscription], object] | None = None,
        *,
        on_lost: Callable[[Subscription], object] | None = None,
    ) -> None:
        if iscoroutinefunction(resync) or iscoroutinefunction(on_lost):
            raise TypeError("a callback of Resync is a plain function; it may start a task")
        self.resync = resync
        self.on_lost = on_lost


Policy = Close | DropOldest | Coalesce | Resync


class Source(Protocol):
    """A channel, as its subscriptions know it."""

    @property
    def name(self) -> str:
        """Its topic."""
        ...

    @property
    def counters(self) -> Counters:
        """What it counts."""
        ...

    @property
    def sequence(self) -> int:
        """The number of its next message."""
        ...

    def end(self, subscription: Subscription, /) -> None:
        """Takes a member out."""
        ...

    def settle(self) -> None:
        """Something has become of what waited."""
        ...


class Subscription:
    """A member's place in a channel, until ``unsubscribe()`` or the end of the member. A context manager.

    Attributes:
        active: it has not ended.
        lost: under ``Resync``: messages are lost until ``resume()``.
        missed: how many were lost since the last ``resume()``.

    The rest is the channel's. ``special`` leaves it out of the flush's short way: because it lags, ended, or gets less
    than all messages up to number ``until``: those from ``since`` on, without ``holes``. ``seen`` is the last flush
    that has served it.
    """

    __slots__ = (
        "_context",
        "_told",
        "active",
        "backlog",
        "high",
        "holes",
        "lost",
        "missed",
        "policy",
        "seat",
        "seen",
        "since",
        "source",
        "special",
        "until",
    )

    def __init__(self, source: Source, seat: Seat, policy: Policy, high: int) -> None:
        self.source = source
        self.seat = seat
        self.policy = policy
        self.high = high
        self.active = True
        self.lost = self._told = False
        self.missed = 0
        self.seen = 0
        self.since = self.until = source.sequence
        self.holes: list[int] | None = None
        self.backlog: Backlog | None = None
        # Callbacks run in the context of who subscribed, not of who happens to publish.
        self._context: Context | None = copy_context() if isinstance(policy, Resync) else None
        self.special = True  # until the flush finds that nothing is

    @property
    def member(self) -> Member:
        """Who subscribed."""
        return self.seat.member

    @property
    def channel_name(self) -> str:
        """To what."""
        return self.source.name

    @property
    def queued(self) -> int:
        """Bytes that wait here because the member is too slow."""
        return 0 if self.backlog is None else self.backlog.size

    def unsubscribe(self) -> None:
        """Ends it. What was published before is written first, unless the member lags; afterwards nothing is."""
        self.source.end(self)

    def resume(self) -> None:
        """Under ``Resync``: delivers what is published from now on."""
        if self.lost:
            self.lost = False
            self.missed = 0
            self.since = self.until = self.source.sequence

    def __enter__(self) -> Subscription:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unsubscribe()

    def __repr__(self) -> str:
        state = "" if self.active else ", ended"
        return f"Subscription({self.channel_name!r}{state})"

    # -- for the channel -----------------------------------------------------------------------------------------------

    def exclude(self, number: int) -> None:
        """Message ``number`` is not for this member."""
        if self.holes is None:
            self.holes = []
        self.holes.append(number)
        self.until = number + 1
        self.special = True

    def pass_by(self, end: int) -> None:
        """The messages up to number ``end`` are dealt with."""
        if self.until <= end:
            self.holes = None
        elif self.holes is not None:
            self.holes = [number for number in self.holes if number >= end]
        self.special = not self.active or self.lost or self.seat.lagging or self.until > end

    def hold(self, entries: list[Entry]) -> None:
        """The member does not get these now; the policy says what becomes of them."""
        policy, counters = self.policy, self.source.counters
        if isinstance(policy, Close):
            counters.dropped += len(entries)
            counters.closed += 1
            self.seat.close(policy.code, policy.reason)
        elif isinstance(policy, Resync):
            counters.dropped += len(entries)
            self.missed += len(entries)
            if not self.lost:
                self.lost = True
                self._told = False
                counters.resyncs += 1
                self.seat.lag()
                self._call(policy.on_lost)
        else:
            if self.backlog is None:
                most = policy.max_keys if isinstance(policy, Coalesce) else policy.max_messages
                self.backlog = Backlog(most, policy.max_bytes, isinstance(policy, Coalesce), counters)
            for entry in entries:
                self.backlog.add(entry)
            self.seat.lag()

    def recovered(self) -> None:
        """The member has room again."""
        if self.lost and not self._told and isinstance(self.policy, Resync):
            self._told = True
            self._call(self.policy.resync)
        self.source.settle()

    def _call(self, callback: Callable[[Subscription], object] | None) -> None:
        if callback is not None:
            asyncio.get_running_loop().call_soon(self._run, callback, context=self._context)

    def _run(self, callback: Callable[[Subscription], object]) -> None:
        if self.active and self.lost:
            callback(self)


class Seat:
    """A member in a registry, from its first subscription until it is closed.

    Attributes:
        alone: it has one subscription at most, so that no other channel writes to it in the same flush.
        lagging: it is past its high watermark, or has not yet got all that waited when it was.
        pending: what the running flush has gathered.
        waiting: for the member to tell that it has drained.
        write: the member's ``write_frames``.
    """

    __slots__ = (
        "_cork",
        "_registry",
        "_room",
        "alone",
        "deflater",
        "gone",
        "key",
        "lagging",
        "member",
        "pending",
        "subscriptions",
        "waiting",
        "write",
    )

    def __init__(self, member: Member, registry: dict[Member, Seat], cork: Cork, room: int) -> None:
        self.member = member
        self.write = member.write_frames
        self.deflater = member.deflater
        self.key = None if self.deflater is None else self.deflater.key
        self.subscriptions: list[Subscription] = []
        self.alone = True
        self.lagging = False
        self.gone = False
        self.pending: bytes | None = None
        self.waiting = False
        self._room = room
        self._cork = cork
        self._registry = registry
        registry[member] = self
        member.on_closed(self._closed)

    def add(self, subscription: Subscription) -> None:
        """A subscription more."""
        self.subscriptions.append(subscription)
        self.alone = len(self.subscriptions) < 2

    def remove(self, subscription: Subscription) -> None:
        """A subscription less."""
        self.subscriptions.remove(subscription)
        self.alone = len(self.subscriptions) < 2

    def send(self, data: bytes, direct: bool) -> None:
        """Writes, or gathers what another channel may have more of in this flush."""
        if direct or self.alone:
            self.write(data)
        elif self.pending is None:
            self.pending = data
            self._cork.gathered.append(self)
        else:
            self.pending = self._cork.merge(self.pending, data)

    def write_pending(self) -> None:
        """Writes what the flush gathered for it."""
        data, self.pending = self.pending, None
        if data is not None and not self.gone:
            try:
                self.write(data)
            except Exception as error:
                self.failed(error)

    def lag(self) -> None:
        """It takes no more for now: until it has drained every message goes by its subscription's policy."""
        self.lagging = True
        for subscription in self.subscriptions:
            subscription.special = True
        self.wait()

    def wait(self) -> None:
        """Sees to it that the member tells when it has drained."""
        if not self.waiting:
            self.waiting = True
            self.member.on_drained(self._drained)

    def wait_below(self, high: int) -> bool:
        """Whether it lags, or more than ``high`` bytes wait for its peer; it is ``waiting`` then."""
        if not self.lagging and self.member.buffered <= high:
            return False
        self.wait()
        return True

    def _drained(self) -> None:
        self.waiting = False
        if self.gone:
            return
        try:
            self._catch_up()
        except Exception as error:
            self.failed(error)

    def _catch_up(self) -> None:
        """Writes of what waited as much as there is room for, each time beginning with another channel."""
        subscriptions = self.subscriptions
        if len(subscriptions) > 1:
            subscriptions.append(subscriptions.pop(0))
        room = self._room
        frames: list[bytes] = []
        left = False
        for subscription in subscriptions:
            backlog = subscription.backlog
            if not backlog:
                continue
            if room > 0:
                before = backlog.size
                entries = backlog.take(room)
                room -= before - backlog.size
                frames += [entry.prepared.frame(self.deflater) for entry in entries]
                subscription.source.counters.delivered += len(entries)
            if backlog:
                left = True
            else:
                subscription.backlog = None
        # It lags until the last of them is written, so that nothing newer comes before it.
        if frames:
            self.write(b"".join(frames))
        if self.gone:
            return
        if left:
            self.wait()
        else:
            self._recovered()

    def _recovered(self) -> None:
        self.lagging = False
        for subscription in tuple(self.subscriptions):
            subscription.recovered()

    def close(self, code: int, reason: str) -> None:
        """Ends all its subscriptions, and closes the member."""
        self.leave()
        self.member.start_closing(code, reason)

    def failed(self, error: Exception) -> None:
        """The member raised what none may raise: it is taken out of all channels, and the others go on."""
        report(f"a member of a channel failed and was taken out: {self.member!r}", error)
        self.leave()

    def _closed(self, member: object) -> None:
        self.leave()

    def leave(self) -> None:
        """Ends all its subscriptions at once, with nothing written any more."""
        if self.gone:
            return
        self.gone = True
        self.waiting = False
        self.pending = None
        if self._registry.get(self.member) is self:
            del self._registry[self.member]
        for subscription in tuple(self.subscriptions):
            subscription.source.end(subscription)
