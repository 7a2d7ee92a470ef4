"""Channels: many subscribe to a topic, and what is published to it goes to all of them.

::

    channel = channels.channel("room:tea")     # of the app's registry, injected by its type
    channel.subscribe(websocket)
    channel.publish("hello", exclude=websocket)

A message is encoded and framed once, once more for each compression setting among the members. What is published in
a turn of the event loop is joined once and written once per member. A member whose client does not read has its
policy: ``Close`` (1013, the default), ``DropOldest``, ``Coalesce`` by key, or ``Resync``; no queue grows without limit.
A coroutine subscribes by ``async with channel.listen() as messages``.

Below: ``fanout`` and ``subscription`` are the loop over the members (compiled where that can be done), ``cork`` flushes
all channels at the end of a turn, ``backlog`` is what waits for a slow member.
"""

from framework.channels.channel import Channel
from framework.channels.listener import EventsLost, Listener, SlowConsumer
from framework.channels.member import Member
from framework.channels.policies import Close, Coalesce, DropOldest
from framework.channels.registry import Channels
from framework.channels.settings import ChannelSettings
from framework.channels.stats import Counters
from framework.channels.subscription import Policy, Resync, Subscription

__all__ = [
    "Channel",
    "ChannelSettings",
    "Channels",
    "Close",
    "Coalesce",
    "Counters",
    "DropOldest",
    "EventsLost",
    "Listener",
    "Member",
    "Policy",
    "Resync",
    "SlowConsumer",
    "Subscription",
]
