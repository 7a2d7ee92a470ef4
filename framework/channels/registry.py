"""The channels of an app, by name."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from weakref import WeakValueDictionary

from framework.channels.channel import Channel
from framework.channels.cork import Cork
from framework.channels.member import Member
from framework.channels.policies import Close
from framework.channels.settings import ChannelSettings
from framework.channels.stats import Counters
from framework.channels.subscription import Policy, Seat
from framework.errors import ResourceError
from framework.wire.websocket.frames import Prepared

__all__ = ["Channels"]


class Channels:
    """A registry of channels, for one event loop at a time. An app has one, ``app.channels``, and injects it.

    A channel is there while it has members (or while somebody holds it); two who ask for a name get the same one.

    Args:
        settings: limits.
        policy: for members past their high watermark, where a subscription says nothing else.
    """

    def __init__(self, settings: ChannelSettings | None = None, *, policy: Policy | None = None) -> None:
        self.settings = settings or ChannelSettings()
        self.policy = policy or Close()
        self.cork = Cork(self.settings.max_turn_bytes)
        self._channels: dict[str, Channel] = {}
        self._known: WeakValueDictionary[str, Channel] = WeakValueDictionary()
        self._seats: dict[Member, Seat] = {}
        self._past = Counters()

    def configure(self, settings: ChannelSettings) -> None:
        """Other limits, from now on."""
        self.settings = settings
        self.cork.max_bytes = settings.max_turn_bytes

    def channel(self, name: str) -> Channel:
        """The channel of that name, which may have no members."""
        channel = self._known.get(name)
        if channel is None:
            channel = self._known[name] = Channel(name, self)
        return channel

    __getitem__ = channel

    def publish(
        self,
        name: str,
        message: str | bytes | Prepared,
        *,
        key: Hashable | None = None,
        exclude: Member | None = None,
    ) -> int:
        """Publishes to a channel; returns how many members and listeners it has. See ``Channel.publish``."""
        channel = self._channels.get(name)
        if channel is None:
            return 0
        channel.publish(message, key=key, exclude=exclude)
        return len(channel)

    def unsubscribe(self, member: Member) -> int:
        """Takes a member out of all its channels; returns how many these were."""
        seat = self._seats.get(member)
        if seat is None:
            return 0
        subscriptions = tuple(seat.subscriptions)
        for subscription in subscriptions:
            subscription.unsubscribe()
        return len(subscriptions)

    def names_of(self, member: Member) -> list[str]:
        """The channels a member is subscribed to."""
        seat = self._seats.get(member)
        return [] if seat is None else [each.channel_name for each in seat.subscriptions]

    def __iter__(self) -> Iterator[Channel]:
        """The channels that have members."""
        return iter(tuple(self._channels.values()))

    def __len__(self) -> int:
        return len(self._channels)

    def __bool__(self) -> bool:
        return True

    @property
    def stats(self) -> Counters:
        """What all channels have counted, also those that are no more."""
        total = Counters()
        total.add(self._past)
        for channel in self._channels.values():
            total.add(channel.counters)
        return total

    @property
    def member_count(self) -> int:
        """Subscriptions and listeners, over all channels."""
        return sum(map(len, self._channels.values()))

    def close(self) -> None:
        """Ends every subscription and the iteration of every listener; closes no member. It can be used again."""
        self.cork.flush()
        for channel in tuple(self._channels.values()):
            for listener in tuple(channel.listeners):
                listener.end()
            for subscription in tuple(channel.subscriptions.values()):
                subscription.unsubscribe()
        self.cork.close()

    # -- for its channels ----------------------------------------------------------------------------------------------

    def keep(self, channel: Channel) -> None:
        """See ``Home``."""
        if len(self._channels) >= self.settings.max_channels:
            raise ResourceError(f"there are {len(self._channels)} channels, as many as there may be")
        self._channels[channel.name] = channel

    def drop(self, channel: Channel) -> None:
        """See ``Home``."""
        if self._channels.get(channel.name) is channel:
            del self._channels[channel.name]
            channel.counters.hand_over(self._past)

    def seat_of(self, member: Member) -> Seat:
        """See ``Home``."""
        seat = self._seats.get(member)
        if seat is None:
            seat = Seat(member, self._seats, self.cork, self.settings.high_watermark)
        return seat
