"""Members that are too slow: what each policy keeps, says and counts, and that they catch up."""

from __future__ import annotations

from collections.abc import Iterator
from contextvars import ContextVar

import pytest

from framework.channels import (
    Channel,
    Channels,
    ChannelSettings,
    Close,
    Coalesce,
    DropOldest,
    Policy,
    Resync,
    Subscription,
)
from framework.errors import DeadlineExceeded
from framework.testing import VirtualTimeLoop, virtual_loop
from framework.wire.websocket.deflate import ServerDeflation
from tests.support.members import MemoryMember

NUMBER: ContextVar[int] = ContextVar("NUMBER", default=0)


@pytest.fixture
def loop() -> Iterator[VirtualTimeLoop]:
    with virtual_loop() as made:
        yield made


@pytest.fixture
def channel() -> Channel:
    return Channels(ChannelSettings(high_watermark=100)).channel("tea")


def stalled(
    loop: VirtualTimeLoop, channel: Channel, policy: Policy | None, name: str = "first"
) -> MemoryMember:
    """A member whose client has stopped reading: the first message, of 200 bytes, takes it past its high watermark."""
    member = MemoryMember(low=40, reads=False)
    channel.subscribe(member, policy=policy)
    loop.call(channel.publish, name.ljust(200))
    assert [str(text).strip() for text in member.messages] == [name]
    return member


def told(member: MemoryMember) -> list[str]:
    return [str(text).strip() for text in member.messages]


def test_close_is_the_default_and_says_1013(loop: VirtualTimeLoop, channel: Channel) -> None:
    member = stalled(loop, channel, None)
    other = MemoryMember()
    channel.subscribe(other)
    loop.call(channel.publish, "second")
    assert member.codes == [1013]
    assert told(member) == ["first"]
    assert other.messages == ["second"]
    assert list(channel) == [other]
    assert (channel.stats.closed, channel.stats.dropped) == (1, 1)


def test_close_leaves_every_channel(loop: VirtualTimeLoop) -> None:
    channels = Channels(ChannelSettings(high_watermark=100))
    member = stalled(loop, channels["tea"], Close(4000, "slow"))
    channels["milk"].subscribe(member, policy=DropOldest())
    loop.call(channels["milk"].publish, "kept")
    assert channels.stats.queued > 0
    loop.call(channels["tea"].publish, "second")
    assert member.codes == [4000]
    assert len(channels) == 0
    assert channels.stats.queued == 0


def test_drop_oldest_keeps_the_newest(loop: VirtualTimeLoop, channel: Channel) -> None:
    member = stalled(loop, channel, DropOldest(max_messages=3))
    for n in range(10):
        loop.call(channel.publish, str(n))
    assert channel.stats.dropped == 7
    assert channel.stats.queued == 9
    loop.call(member.take)
    assert told(member) == ["first", "7", "8", "9"]
    assert channel.stats.queued == 0
    loop.call(channel.publish, "next")
    assert told(member)[-1] == "next"


def test_a_member_that_never_reads_costs_a_bounded_amount(loop: VirtualTimeLoop, channel: Channel) -> None:
    member = stalled(loop, channel, DropOldest(max_messages=1000, max_bytes=5000))
    for n in range(2000):
        loop.call(channel.publish, f"{n}".ljust(100))
        assert channel.stats.queued <= 5000
        assert member.buffered <= 204
    assert channel.stats.dropped + 49 == 2000
    # One message larger than all the room is not kept either.
    loop.call(channel.publish, "x" * 6000)
    assert channel.stats.queued == 0


def test_coalesce_keeps_the_newest_of_each_key_in_the_order_of_publishing(
    loop: VirtualTimeLoop, channel: Channel
) -> None:
    member = stalled(loop, channel, Coalesce())

    def turn() -> None:
        for key, text in (
            ("a", "a1"),
            ("b", "b1"),
            (None, "n1"),
            ("a", "a2"),
            (None, "n2"),
            ("b", "b2"),
            ("c", "c1"),
        ):
            channel.publish(text, key=key)

    loop.call(turn)
    loop.call(turn)
    assert channel.stats.coalesced == 7
    loop.call(member.take)
    assert told(member) == ["first", "n1", "n2", "n1", "a2", "n2", "b2", "c1"]


def test_coalesce_is_bounded_in_keys(loop: VirtualTimeLoop, channel: Channel) -> None:
    member = stalled(loop, channel, Coalesce(max_keys=3))
    for n in range(100):
        loop.call(lambda n=n: channel.publish(str(n), key=n))
    assert channel.stats.dropped == 97
    loop.call(member.take)
    assert told(member) == ["first", "97", "98", "99"]


def test_no_key_is_lost_to_members_that_keep_up(loop: VirtualTimeLoop, channel: Channel) -> None:
    member = MemoryMember()
    channel.subscribe(member, policy=Coalesce())
    loop.call(lambda: [channel.publish(str(n), key="same") for n in range(3)])
    assert told(member) == ["0", "1", "2"]


def test_resync_tells_once_and_gets_nothing_until_it_resumes(loop: VirtualTimeLoop, channel: Channel) -> None:
    lost: list[Subscription] = []
    ready: list[Subscription] = []
    member = stalled(loop, channel, Resync(ready.append, on_lost=lost.append))
    for n in range(3):
        loop.call(channel.publish, f"lost {n}")
    (subscription,) = lost
    assert subscription.lost
    assert subscription.missed == 3
    assert ready == []
    loop.call(member.take)
    assert ready == [subscription]
    loop.call(channel.publish, "still lost")
    assert told(member) == ["first"]

    def resume() -> None:
        channel.publish("before")
        subscription.resume()
        channel.publish("after")

    loop.call(resume)
    assert told(member) == ["first", "after"]
    assert (channel.stats.resyncs, channel.stats.dropped, subscription.missed) == (1, 4, 0)
    assert (len(lost), len(ready)) == (1, 1)


def test_resync_again_after_a_second_loss(loop: VirtualTimeLoop, channel: Channel) -> None:
    def resync(subscription: Subscription) -> None:
        member.write_frames(b"\x81\x05STATE")
        subscription.resume()

    member = stalled(loop, channel, Resync(resync))
    for n in range(2):
        loop.call(channel.publish, f"lost {n}")
        loop.call(member.take)
        loop.call(channel.publish, f"got {n}".ljust(200))
    assert told(member) == ["first", "STATE", "got 0", "STATE", "got 1"]


def test_a_resync_that_resumes_too_early_is_told_again(loop: VirtualTimeLoop, channel: Channel) -> None:
    lost: list[int] = []

    def on_lost(subscription: Subscription) -> None:
        lost.append(subscription.missed)
        subscription.resume()

    stalled(loop, channel, Resync(on_lost=on_lost))
    loop.call(channel.publish, "a")
    loop.call(channel.publish, "b")
    assert lost == [1, 1]


def test_callbacks_of_resync_run_in_the_context_of_who_subscribed(
    loop: VirtualTimeLoop, channel: Channel
) -> None:
    seen: list[int] = []

    def subscribe() -> None:
        NUMBER.set(1)
        channel.subscribe(member, policy=Resync(lambda _: seen.append(NUMBER.get())))

    def publish() -> None:
        NUMBER.set(2)
        channel.publish("x" * 200)

    member = MemoryMember(reads=False)
    loop.call(subscribe)
    loop.call(publish)
    loop.call(publish)
    loop.call(member.take)
    assert seen == [1]


def test_a_member_that_vanishes_while_it_lags_is_never_called_back(
    loop: VirtualTimeLoop, channel: Channel
) -> None:
    called: list[Subscription] = []
    member = stalled(loop, channel, Resync(called.append))
    loop.call(channel.publish, "lost")
    loop.call(member.vanish)
    assert called == []
    assert len(channel) == 0


def test_a_coroutine_function_is_no_callback() -> None:
    async def resync(subscription: Subscription) -> None: ...

    with pytest.raises(TypeError, match="plain function"):
        Resync(resync)


def test_late_joiners_of_a_slow_member_keep_their_beginning(loop: VirtualTimeLoop) -> None:
    """A member that lags by one channel joins another in the middle of a turn, and is left out of a message."""
    channels = Channels(ChannelSettings(high_watermark=100))
    member = stalled(loop, channels["tea"], DropOldest())
    channels["milk"].subscribe(MemoryMember())
    loop.call(channels["tea"].publish, "t")

    def turn() -> None:
        channels["milk"].publish("early")
        channels["milk"].subscribe(member, policy=DropOldest())
        channels["milk"].publish("m1")
        channels["milk"].publish("not for it", exclude=member)
        channels["milk"].publish("m2")

    loop.call(turn)
    assert told(member) == ["first"]
    loop.call(member.take)
    assert sorted(told(member)) == ["first", "m1", "m2", "t"]


def test_channels_of_a_slow_member_take_turns(loop: VirtualTimeLoop) -> None:
    """Each time it drains there is room for some of what waits: no channel keeps the others out."""
    channels = Channels(ChannelSettings(high_watermark=100))
    names = ("a", "b", "c")
    member = MemoryMember(low=40, reads=False)
    for name in names:
        channels[name].subscribe(member, policy=DropOldest())
    loop.call(channels["a"].publish, "first".ljust(200))
    loop.call(lambda: [channels[name].publish(f"{name}{n}".ljust(90)) for n in range(3) for name in names])
    waiting: list[str] = []
    while len(member.messages) < 10:
        loop.call(member.take)
        assert member.buffered <= 184
        waiting = told(member)
    assert {text[0] for text in waiting[1:5]} == set(names)
    for name in names:
        assert [text for text in waiting if text[0] == name] == [f"{name}{n}" for n in range(3)]


def test_a_backlog_is_compressed_once_for_all(loop: VirtualTimeLoop, channel: Channel) -> None:
    deflation = ServerDeflation()
    members = [MemoryMember(deflation, reads=False) for _ in range(2)]
    for member in members:
        channel.subscribe(member, policy=DropOldest(), high=5)
    loop.call(channel.publish, "x" * 10)
    loop.call(channel.publish, "tea " * 200)
    for member in members:
        loop.call(member.take)
        assert told(member) == ["x" * 10, ("tea " * 200).strip()]


def test_a_lagging_member_that_leaves_gets_nothing_more(loop: VirtualTimeLoop, channel: Channel) -> None:
    channel.subscribe(MemoryMember())
    member = stalled(loop, channel, DropOldest())
    loop.call(channel.publish, "waits")
    loop.call(lambda: [channel.publish("x"), channel.unsubscribe(member)])
    loop.call(member.take)
    assert told(member) == ["first"]
    assert (channel.stats.queued, channel.stats.dropped) == (0, 2)


def test_leaving_while_too_slow_is_no_reason_to_be_closed(loop: VirtualTimeLoop, channel: Channel) -> None:
    member = stalled(loop, channel, Close())
    loop.call(lambda: [channel.publish("x"), channel.unsubscribe(member)])
    assert member.codes == []


def test_drained_waits_for_the_slow(loop: VirtualTimeLoop, channel: Channel) -> None:
    """A bulk publisher paces itself by the slowest, who loses nothing although its policy would close it."""
    member = MemoryMember(low=40, reads=False)
    channel.subscribe(member)

    async def publish() -> None:
        for n in range(5):
            channel.publish(f"{n}".ljust(150))
            loop.call_later(1.0, member.take)
            await channel.drained()

    loop.run(publish())
    assert told(member) == list("01234")
    assert loop.time() == pytest.approx(1005.0)


def test_drained_has_a_deadline(loop: VirtualTimeLoop, channel: Channel) -> None:
    stalled(loop, channel, DropOldest())

    async def wait() -> None:
        channel.publish("x")
        with pytest.raises(DeadlineExceeded):
            await channel.drained(timeout=3.0)

    loop.run(wait())
    assert loop.time() == pytest.approx(1003.0)


def test_drained_does_not_wait_for_one_that_vanishes(loop: VirtualTimeLoop, channel: Channel) -> None:
    member = stalled(loop, channel, DropOldest())

    async def wait() -> None:
        channel.publish("x")
        loop.call_later(1.0, member.vanish)
        await channel.drained(timeout=30.0)

    loop.run(wait())
    assert loop.time() == pytest.approx(1001.0)
