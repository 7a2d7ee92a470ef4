"""A channel: publish to it, subscribe a member, or listen in a coroutine."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterator
from typing import Any, Protocol

from framework.channels.cork import Cork
from framework.channels.entry import Entry
from framework.channels.fanout import Fanout
from framework.channels.listener import Listener, Overflow
from framework.channels.member import Member
from framework.channels.settings import ChannelSettings
from framework.channels.stats import Counters
from framework.channels.subscription import Policy, Seat, Subscription
from framework.codec import encode_json
from framework.errors import DeadlineExceeded, PeerClosed, ResourceError
from framework.wire.websocket.frames import Prepared

__all__ = ["Channel", "Home"]


class Home(Protocol):
    """The registry, as its channels know it."""

    @property
    def cork(self) -> Cork:
        """What flushes them."""
        ...

    @property
    def settings(self) -> ChannelSettings:
        """Their limits."""
        ...

    @property
    def policy(self) -> Policy:
        """What holds where a subscription says nothing else."""
        ...

    def keep(self, channel: Channel, /) -> None:
        """It gets its first member. Raises ResourceError where there are too many channels."""
        ...

    def drop(self, channel: Channel, /) -> None:
        """It has lost its last member."""
        ...

    def seat_of(self, member: Member, /) -> Seat:
        """What all subscriptions of a member have in common."""
        ...


class Channel(Fanout):
    """A topic and its members; made by a registry, which keeps it as long as it has any.

    What is published in a turn of the loop is written at its end: once per member, in order, and framed once for all
    (once per compression setting). Order is kept within a channel, not between two.
    """

    __slots__ = ("__weakref__", "_home", "_waiters", "name")

    def __init__(self, name: str, home: Home) -> None:
        super().__init__(home.cork)
        self.name = name
        self._home = home
        self._waiters: list[asyncio.Future[None]] = []

    def __len__(self) -> int:
        """How many members and listeners there are."""
        return len(self.subscriptions) + len(self.listeners)

    def __bool__(self) -> bool:
        return True  # also an empty one is there

    def __iter__(self) -> Iterator[Member]:
        """The members, without the listeners."""
        return iter(tuple(self.subscriptions))

    def __contains__(self, member: object) -> bool:
        return member in self.subscriptions

    @property
    def stats(self) -> Counters:
        """What it has counted since it got its first member."""
        return self.counters

    def publish(
        self,
        message: str | bytes | Prepared,
        *,
        key: Hashable | None = None,
        exclude: Member | None = None,
    ) -> None:
        """Sends to all who are members now. To be called in the loop's thread.

        Args:
            message: text or binary; a ``Prepared`` one that goes to several channels is framed once for all of them.
            key: what it says something about: for slow members under ``Coalesce`` a newer one replaces it.
            exclude: a member that does not get it, such as the sender.

        Raises:
            LocalProtocolError: a text with a lone surrogate.
            RuntimeError: no loop runs.
        """
        if self.subscriptions or self.listeners:
            prepared = message if isinstance(message, Prepared) else Prepared(message)
            self.post(Entry(prepared, key), exclude)

    def publish_json(self, value: Any, *, key: Hashable | None = None, exclude: Member | None = None) -> None:
        """As ``publish``, of a value encoded once. Raises CodecError where it has no JSON form."""
        if self.subscriptions or self.listeners:
            self.publish(encode_json(value).decode(), key=key, exclude=exclude)

    def subscribe(
        self, member: Member, *, policy: Policy | None = None, high: int | None = None
    ) -> Subscription:
        """Makes ``member`` get what is published from now on, until it unsubscribes or is closed.

        Who is subscribed already stays as it is, and its subscription is returned.

        Args:
            member: a WebSocket.
            policy: what becomes of messages while it is too slow; the registry's when None.
            high: it is too slow when more bytes than these wait for its peer; the registry's when None.

        Raises:
            PeerClosed: the member is closed.
            ResourceError: too many members, or too many channels.
        """
        found = self.subscriptions.get(member)
        if found is not None:
            return found
        if member.closed:
            raise PeerClosed(f"a closed member cannot subscribe to {self.name!r}")
        home = self._home
        seat = home.seat_of(member)
        self._admit()
        subscription = Subscription(
            self, seat, policy or home.policy, home.settings.high_watermark if high is None else high
        )
        self.join(subscription)
        return subscription

    def unsubscribe(self, member: Member) -> bool:
        """Ends a member's subscription; says whether there was one. See ``Subscription.unsubscribe``."""
        found = self.subscriptions.get(member)
        if found is None:
            return False
        self.end(found)
        return True

    def listen(
        self, *, max_queue: int = 256, max_bytes: int = 1_048_576, overflow: Overflow = "resync"
    ) -> Listener:
        """An async context manager and iterator for a coroutine that wants the messages; see ``Listener``."""
        return Listener(self, max_queue, max_bytes, overflow)

    async def drained(self, *, timeout: float = 10.0) -> None:
        """Waits until what was published has gone out and nobody lags: for who publishes a lot, and wants no member
        to lose anything for it.

        Args:
            timeout: seconds; somebody may never read.

        Raises:
            DeadlineExceeded: somebody lags still.
        """
        try:
            async with asyncio.timeout(timeout):
                await self._settled()
                slow = [each.seat for each in self.subscriptions.values() if each.seat.wait_below(each.high)]
                while any(seat.waiting for seat in slow):
                    await self._settling()
        except TimeoutError:
            raise DeadlineExceeded(f"the members of channel {self.name!r}", timeout) from None

    async def _settled(self) -> None:
        while self.turn or self.batch is not None or self._lagging():
            await self._settling()

    def _lagging(self) -> bool:
        return any(each.queued for each in self.subscriptions.values()) or any(
            each.waiting for each in self.listeners
        )

    async def _settling(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    # -- for its members and its registry ------------------------------------------------------------------------------

    def _admit(self) -> None:
        if len(self) >= self._home.settings.max_members:
            raise ResourceError(f"channel {self.name!r} has {len(self)} members, as many as it may")
        if not len(self):
            self._home.keep(self)

    def let_in(self, listener: Listener) -> None:
        """See ``Heard``."""
        self._admit()
        self.listeners.append(listener)

    def let_out(self, listener: Listener) -> None:
        """See ``Heard``."""
        self.listeners.remove(listener)
        self.settle()
        if not len(self):
            self.emptied()

    def settle(self) -> None:
        """Wakes those who wait until nobody lags, to look again."""
        if self._waiters:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    def emptied(self) -> None:
        """The last one has left: what waits for a flush has nobody to go to."""
        self.turn.clear()
        self._home.drop(self)

    def __repr__(self) -> str:
        return f"Channel({self.name!r}, {len(self)} members)"
