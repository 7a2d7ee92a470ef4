"""Publishing, joining and leaving, in every order within a turn; what it costs in writes; limits."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from framework.channels import Channel, Channels, ChannelSettings, Close, DropOldest
from framework.errors import LocalProtocolError, PeerClosed, ResourceError
from framework.testing import VirtualTimeLoop, virtual_loop
from framework.wire.websocket.deflate import ServerDeflation
from framework.wire.websocket.frames import Prepared
from tests.support.members import MemoryMember


@pytest.fixture
def loop() -> Iterator[VirtualTimeLoop]:
    with virtual_loop() as made:
        yield made


@pytest.fixture
def channels() -> Channels:
    return Channels()


def crowd(channel: Channel, count: int) -> list[MemoryMember]:
    members = [MemoryMember() for _ in range(count)]
    for member in members:
        channel.subscribe(member)
    return members


def test_a_turn_is_joined_once_and_written_once_per_member(loop: VirtualTimeLoop, channels: Channels) -> None:
    channel = channels.channel("tea")
    members = crowd(channel, 3)
    loop.call(lambda: [channel.publish(text) for text in ("a", "b", "c")])
    assert [member.messages for member in members] == [["a", "b", "c"]] * 3
    assert [len(member.writes) for member in members] == [1, 1, 1]
    assert members[0].writes[0] is members[1].writes[0] is members[2].writes[0]
    assert channel.stats.published == 3
    assert channel.stats.delivered == 9


def test_a_member_of_several_channels_gets_one_write_and_shares_the_join(
    loop: VirtualTimeLoop, channels: Channels
) -> None:
    members = [MemoryMember() for _ in range(3)]
    for name in ("tea", "milk", "jam"):
        for member in members:
            channels[name].subscribe(member)
    loop.call(
        lambda: [channels[name].publish(f"{name} {n}") for n in range(2) for name in ("tea", "milk", "jam")]
    )
    assert [len(member.writes) for member in members] == [1, 1, 1]
    assert members[0].writes[0] is members[2].writes[0]
    assert sorted(map(str, members[0].messages)) == sorted(
        f"{name} {n}" for name in ("tea", "milk", "jam") for n in "01"
    )
    assert [text for text in members[0].messages if str(text).startswith("jam")] == ["jam 0", "jam 1"]


def test_text_and_binary_and_prepared_and_json(loop: VirtualTimeLoop, channels: Channels) -> None:
    channel = channels.channel("tea")
    (member,) = crowd(channel, 1)

    def publish() -> None:
        channel.publish("ü")
        channel.publish(b"\x00")
        channel.publish(Prepared("p"))
        channel.publish_json({"a": 1})

    loop.call(publish)
    assert member.messages == ["ü", b"\x00", "p", '{"a":1}']


def test_each_compression_setting_is_deflated_once(loop: VirtualTimeLoop, channels: Channels) -> None:
    channel = channels.channel("tea")
    small, large, kept = (
        ServerDeflation(),
        ServerDeflation(level=9),
        ServerDeflation(server_no_context_takeover=False),
    )
    members = [MemoryMember(each) for each in (small, small, large, large, kept, None)]
    for member in members:
        channel.subscribe(member)
    texts = ["tea " * 100, "short", "milk " * 80]
    loop.call(
        lambda: [channel.publish(text, exclude=members[1] if text == "short" else None) for text in texts]
    )
    assert members[1].messages == [texts[0], texts[2]]
    assert all(member.messages == texts for member in members if member is not members[1])
    writes = [member.writes[0] for member in members]
    assert writes[2] is writes[3]
    assert writes[4] is writes[5]
    assert len(writes[0]) < len(writes[5]) / 5


def test_exclude_leaves_the_join_of_the_others_alone(loop: VirtualTimeLoop, channels: Channels) -> None:
    channel = channels.channel("tea")
    members = crowd(channel, 4)
    loop.call(lambda: [channel.publish(str(n), exclude=members[n % 2]) for n in range(6)])
    assert members[0].messages == ["1", "3", "5"]
    assert members[1].messages == ["0", "2", "4"]
    assert members[2].messages == members[3].messages == list("012345")
    assert members[2].writes[0] is members[3].writes[0]
    loop.call(channel.publish, "again")
    assert [member.messages[-1] for member in members] == ["again"] * 4
    assert channel.stats.delivered == 3 + 3 + 6 + 6 + 4


def test_who_is_excluded_from_all_gets_no_empty_write(loop: VirtualTimeLoop, channels: Channels) -> None:
    channel = channels.channel("tea")
    (member,) = crowd(channel, 1)
    loop.call(lambda: [channel.publish("x", exclude=member), channel.publish("y", exclude=MemoryMember())])
    loop.call(lambda: channel.publish("z", exclude=member))
    assert member.messages == ["y"]


def test_a_subscriber_gets_exactly_what_is_published_after_it_came(
    loop: VirtualTimeLoop, channels: Channels
) -> None:
    channel = channels.channel("tea")
    first, second, third = (MemoryMember() for _ in range(3))

    def turn() -> None:
        for member in (first, second, third):
            channel.subscribe(member)
            channel.publish(f"after {len(channel)}")

    loop.call(turn)
    assert first.messages == ["after 1", "after 2", "after 3"]
    assert second.messages == ["after 2", "after 3"]
    assert third.messages == ["after 3"]


def test_who_leaves_gets_what_was_published_before_and_nothing_after_it_returned(
    loop: VirtualTimeLoop, channels: Channels
) -> None:
    channel = channels.channel("tea")
    stays, leaves = crowd(channel, 2)

    def turn() -> None:
        channel.publish("before")
        assert channel.unsubscribe(leaves)
        assert leaves.messages == ["before"]
        channel.publish("after")

    loop.call(turn)
    assert leaves.messages == ["before"]
    assert stays.messages == ["before", "after"]
    assert len(stays.writes) == 1


def test_leaving_and_coming_back_in_one_turn_loses_only_what_was_between(
    loop: VirtualTimeLoop, channels: Channels
) -> None:
    channel = channels.channel("tea")
    crowd(channel, 1)
    member = MemoryMember()

    def turn() -> None:
        for n in range(3):
            with channel.subscribe(member):
                channel.publish(f"in {n}")
            channel.publish(f"out {n}")

    loop.call(turn)
    assert member.messages == ["in 0", "in 1", "in 2"]


def test_a_thousand_members_leave_in_mid_broadcast(loop: VirtualTimeLoop, channels: Channels) -> None:
    """The first write makes every other connection fail: nobody is skipped, written to twice, or kept."""
    channel = channels.channel("tea")
    members = crowd(channel, 1001)
    trigger = members[500]
    write = trigger.write_frames

    def fail_all(data: bytes) -> None:
        write(data)
        for member in members:
            if member is not trigger:
                member.vanish()

    trigger.write_frames = fail_all  # type: ignore[method-assign]
    for each in channel.subscriptions.values():
        each.seat.write = each.member.write_frames
    loop.call(channel.publish, "x")
    assert [len(member.messages) for member in members] == [1] * 501 + [0] * 500
    assert list(channel) == [trigger]
    loop.call(channel.publish, "y")
    assert trigger.messages == ["x", "y"]


def test_publishing_and_leaving_from_within_a_flush(loop: VirtualTimeLoop, channels: Channels) -> None:
    """A callback of one member's write takes out one that is still to come and one that has been served."""
    channel = channels.channel("tea")
    members = crowd(channel, 3)
    write = members[1].write_frames

    def act(data: bytes) -> None:
        write(data)
        if len(members[1].writes) == 1:
            channel.publish("from within")
            channel.unsubscribe(members[0])
            channel.unsubscribe(members[2])
            channel.publish("later")

    channel.subscriptions[members[1]].seat.write = act
    loop.call(channel.publish, "x")
    assert [member.messages for member in members] == [
        ["x", "from within"],
        ["x", "from within", "later"],
        ["x", "from within"],
    ]


def test_subscribing_from_within_a_flush_begins_with_the_next_message(
    loop: VirtualTimeLoop, channels: Channels
) -> None:
    channel = channels.channel("tea")
    (member,) = crowd(channel, 1)
    late = MemoryMember()
    write = member.write_frames

    def act(data: bytes) -> None:
        write(data)
        channel.subscribe(late)

    channel.subscriptions[member].seat.write = act
    loop.call(channel.publish, "x")
    assert late.messages == []
    loop.call(channel.publish, "y")
    assert late.messages == ["y"]


def test_a_member_that_raises_is_taken_out_and_the_others_are_served(channels: Channels) -> None:
    loop = VirtualTimeLoop(patience=0.0)
    channel = channels.channel("tea")
    members = crowd(channel, 3)

    def fail(data: bytes) -> None:
        raise ValueError("broken")

    channel.subscriptions[members[1]].seat.write = fail
    loop.call(channel.publish, "x")
    assert [member.messages for member in members] == [["x"], [], ["x"]]
    assert list(channel) == [members[0], members[2]]
    (told,) = loop.unhandled
    assert isinstance(told["exception"], ValueError)
    loop.close()


def test_a_full_turn_is_flushed_early(loop: VirtualTimeLoop) -> None:
    channels = Channels(ChannelSettings(max_turn_bytes=100))
    channel = channels.channel("tea")
    (member,) = crowd(channel, 1)

    def turn() -> None:
        for n in range(10):
            channel.publish(f"{n}" * 30)
        assert channels.cork.queued < 100
        assert len(member.messages) >= 7

    loop.call(turn)
    assert member.messages == [f"{n}" * 30 for n in range(10)]


def test_without_a_loop_nothing_is_queued(channels: Channels) -> None:
    channel = channels.channel("tea")
    (member,) = crowd(channel, 1)
    with pytest.raises(RuntimeError, match="no running event loop"):
        channel.publish("x")
    assert channel.turn == []
    with virtual_loop() as loop:
        loop.call(channel.publish, "y")
    assert member.messages == ["y"]


def test_a_loop_that_ended_with_messages_waiting_does_not_stop_the_next(channels: Channels) -> None:
    channel = channels.channel("tea")
    other = channels.channel("milk")
    first = MemoryMember()
    channel.subscribe(first)
    other.subscribe(first)
    dead = VirtualTimeLoop(patience=0.0)

    def publish_and_stop() -> None:
        channel.publish("x")
        dead.stop()

    dead.call_soon(publish_and_stop)
    dead.run_forever()
    dead.close()
    with virtual_loop() as loop:
        loop.call(other.publish, "y")
    assert sorted(map(str, first.messages)) == ["x", "y"]


def test_a_lone_surrogate_reaches_nobody(loop: VirtualTimeLoop, channels: Channels) -> None:
    channel = channels.channel("tea")
    (member,) = crowd(channel, 1)

    def turn() -> None:
        with pytest.raises(LocalProtocolError):
            channel.publish("\ud800")
        channel.publish("x")

    loop.call(turn)
    assert member.messages == ["x"]


def test_subscribing_twice_is_once(loop: VirtualTimeLoop, channels: Channels) -> None:
    channel = channels.channel("tea")
    member = MemoryMember()
    assert channel.subscribe(member) is channel.subscribe(member, policy=DropOldest())
    loop.call(channel.publish, "x")
    assert member.messages == ["x"]
    assert not channel.unsubscribe(MemoryMember())


def test_a_closed_member_is_refused(loop: VirtualTimeLoop, channels: Channels) -> None:
    member = MemoryMember()
    loop.call(member.vanish)
    with pytest.raises(PeerClosed):
        channels.channel("tea").subscribe(member)
    assert len(channels) == 0


def test_limits(loop: VirtualTimeLoop) -> None:
    channels = Channels(ChannelSettings(max_channels=2, max_members=3))
    members = crowd(channels.channel("tea"), 3)
    with pytest.raises(ResourceError, match="3 members"):
        channels.channel("tea").subscribe(MemoryMember())
    channels.channel("milk").subscribe(members[0])
    with pytest.raises(ResourceError, match="2 channels"):
        channels.channel("jam").subscribe(members[0])
    assert channels.names_of(members[0]) == ["tea", "milk"]
    assert channels.unsubscribe(members[0]) == 2
    channels.channel("jam").subscribe(members[0])
    assert {channel.name for channel in channels} == {"tea", "jam"}


def test_empty_channels_vanish_and_names_find_the_same_one(loop: VirtualTimeLoop, channels: Channels) -> None:
    held = channels.channel("tea")
    assert channels.channel("tea") is held
    assert len(channels) == 0
    members = crowd(held, 2)
    loop.call(channels.publish, "tea", "x")
    for member in members:
        loop.call(member.vanish)
    assert len(channels) == 0
    assert (channels.stats.published, channels.stats.delivered) == (1, 2)
    assert channels.publish("tea", "nobody") == 0
    again = weakref.ref(held)
    del held
    gc.collect()
    assert again() is None


def test_nothing_of_a_member_that_is_gone_is_kept(loop: VirtualTimeLoop, channels: Channels) -> None:
    """Also where it lagged, was excluded, came and went, and left a broadcast half-way."""
    channel = channels.channel("tea")
    stays = MemoryMember()
    channel.subscribe(stays)
    left = [MemoryMember(reads=False)]

    def turn() -> None:
        for _ in range(3):
            channel.unsubscribe(left[0])
            channel.subscribe(left[0], policy=DropOldest(), high=10)
        channel.publish("x" * 50, exclude=stays)
        channel.publish("x" * 50, exclude=left[0])

    loop.call(turn)
    loop.call(turn)
    loop.call(channel.publish, "y")
    assert left[0].closed_callbacks == 1
    loop.call(left[0].vanish)
    reference = weakref.ref(left.pop())
    gc.collect()
    assert reference() is None
    assert channel.stats.queued == 0


def test_close_ends_everything_and_the_registry_can_be_used_again(
    loop: VirtualTimeLoop, channels: Channels
) -> None:
    channel = channels.channel("tea")
    members = crowd(channel, 2)

    def turn() -> None:
        channel.publish("last")
        channels.close()

    loop.call(turn)
    assert [member.messages for member in members] == [["last"], ["last"]]
    assert len(channels) == 0
    assert not members[0].closed
    crowd(channel, 1)
    loop.call(channel.publish, "x")
    assert members[0].messages == ["last"]


def test_two_apps_do_not_meet(loop: VirtualTimeLoop) -> None:
    one, other = Channels(), Channels(policy=Close(1008, "no"))
    member = MemoryMember()
    one.channel("tea").subscribe(member)
    loop.call(other.publish, "tea", "x")
    assert member.messages == []
