"""Channels against a model so plain that it can be read: any order of joins, leaves, losses, reads and messages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from framework.channels import Channels, ChannelSettings, Close, Coalesce, DropOldest, Resync
from framework.channels.subscription import Policy
from framework.testing import VirtualTimeLoop
from tests.support.members import MemoryMember

HIGH, LOW = 60, 25
NAMES = ("tea", "coffee", "milk")
MAX_MESSAGES = 4
MAX_BYTES = 90

POLICIES: dict[str, Policy] = {
    "close": Close(),
    "drop": DropOldest(max_messages=MAX_MESSAGES, max_bytes=MAX_BYTES),
    "coalesce": Coalesce(max_keys=MAX_MESSAGES, max_bytes=MAX_BYTES),
    "resync": Resync(lambda subscription: subscription.resume()),
    "lossy": Resync(),
}


@dataclass(frozen=True)
class Message:
    channel: str
    number: int
    key: str | None
    text: str

    @property
    def size(self) -> int:
        return len(self.text) + 2


@dataclass(eq=False)
class Place:
    """A subscription: what it got, and what is to come."""

    client: Client
    channel: str
    policy: str
    inbox: list[Message] = field(default_factory=list)
    backlog: list[Message] = field(default_factory=list)
    lost: bool = False
    told: bool = False


@dataclass(eq=False)
class Client:
    member: MemoryMember
    places: list[Place] = field(default_factory=list)
    buffered: int = 0
    lagging: bool = False
    waiting: bool = False
    gone: bool = False
    got: list[str] = field(default_factory=list)
    code: int | None = None

    def write(self, messages: list[Message]) -> None:
        if not self.gone:
            self.got += [message.text for message in messages]
            self.buffered += sum(message.size for message in messages)


class Model:
    """One list per subscription. ``later`` is what the loop's queue of callbacks holds, in order."""

    def __init__(self) -> None:
        self.places: dict[str, list[Place]] = {name: [] for name in NAMES}
        self.later: list[Callable[[], None]] = []
        self.dirty: list[str] = []
        self.scheduled = False

    def publish(self, message: Message, exclude: Client | None) -> None:
        places = self.places[message.channel]
        if not places:
            return
        for place in places:
            if place.client is not exclude:
                place.inbox.append(message)
        if message.channel not in self.dirty:
            self.dirty.append(message.channel)
        if not self.scheduled:
            self.scheduled = True
            self.later.append(self.flush)

    def flush(self) -> None:
        self.scheduled = False
        dirty, self.dirty = self.dirty, []
        written: list[tuple[Client, list[Message]]] = []
        for name in dirty:
            for place in tuple(self.places[name]):
                messages, place.inbox = place.inbox, []
                if messages and not place.client.gone:
                    if self.too_slow(place):
                        self.hold(place, messages)
                    else:
                        written.append((place.client, messages))
        for client, messages in written:
            client.write(messages)

    def too_slow(self, place: Place) -> bool:
        return place.client.lagging or place.lost or place.client.buffered > HIGH

    def hold(self, place: Place, messages: list[Message]) -> None:
        client = place.client
        if place.policy == "close":
            client.code = 1013
            self.leave_all(client)
        elif place.policy in ("resync", "lossy"):
            if not place.lost:
                place.lost, place.told = True, False
                client.lagging = client.waiting = True
        else:
            for message in messages:
                if place.policy == "coalesce" and message.key is not None:
                    place.backlog = [each for each in place.backlog if each.key != message.key]
                place.backlog.append(message)
                while (
                    len(place.backlog) > MAX_MESSAGES or sum(each.size for each in place.backlog) > MAX_BYTES
                ):
                    place.backlog.pop(0)
            client.lagging = client.waiting = True

    def leave(self, place: Place) -> None:
        if not self.too_slow(place):
            place.client.write(place.inbox)
        self.remove(place)

    def leave_all(self, client: Client) -> None:
        client.gone = True
        for place in tuple(client.places):
            self.remove(place)

    def remove(self, place: Place) -> None:
        place.inbox = []
        place.client.places.remove(place)
        self.places[place.channel].remove(place)

    def take(self, client: Client, size: int) -> None:
        client.buffered -= min(size, client.buffered)
        self.tell_drained(client)

    def tell_drained(self, client: Client) -> None:
        if client.waiting and client.buffered <= LOW:
            client.waiting = False
            self.later.append(partial(self.drained, client))

    def drained(self, client: Client) -> None:
        if client.gone:
            return
        if len(client.places) > 1:
            client.places.append(client.places.pop(0))
        room, taken = HIGH, list[Message]()
        for place in client.places:
            first = True
            while room > 0 and place.backlog and (first or place.backlog[0].size <= room):
                taken.append(place.backlog.pop(0))
                room -= taken[-1].size
                first = False
        client.write(taken)
        if any(place.backlog for place in client.places):
            client.waiting = True
            self.tell_drained(client)
            return
        client.lagging = False
        for place in client.places:
            if place.lost and not place.told:
                place.told = True
                if place.policy == "resync":
                    self.later.append(partial(self.resume, place))

    def resume(self, place: Place) -> None:
        place.lost = False
        place.inbox = []

    def settle(self) -> None:
        while self.later:
            self.later.pop(0)()


class ChannelMachine(RuleBasedStateMachine):
    """Each rule is something that happens in a callback; ``turn`` lets all of that happen in one turn of the loop."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualTimeLoop(patience=0.0)
        self.channels = Channels(ChannelSettings(high_watermark=HIGH, max_turn_bytes=1_000_000))
        self.model = Model()
        self.clients: list[Client] = []
        self.everyone: list[Client] = []
        self.plan: list[Callable[[], None]] = []
        self.count = 0

    # -- what happens --------------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.clients) < 4)
    @rule(where=st.dictionaries(st.sampled_from(NAMES), st.sampled_from(sorted(POLICIES)), min_size=1))
    def connect(self, where: dict[str, str]) -> None:
        client = Client(MemoryMember(low=LOW, reads=False))
        self.clients.append(client)
        self.everyone.append(client)
        for name, policy in where.items():
            self.plan.append(partial(self.subscribe, client, name, policy))

    @precondition(lambda self: self.clients)
    @rule(data=st.data(), name=st.sampled_from(NAMES), policy=st.sampled_from(sorted(POLICIES)))
    def join(self, data: st.DataObject, name: str, policy: str) -> None:
        client = data.draw(st.sampled_from(self.clients))
        self.plan.append(partial(self.subscribe, client, name, policy))

    def subscribe(self, client: Client, name: str, policy: str) -> None:
        if client.gone or any(place.channel == name for place in client.places):
            return
        self.channels[name].subscribe(client.member, policy=POLICIES[policy])
        place = Place(client, name, policy)
        client.places.append(place)
        self.model.places[name].append(place)

    @precondition(lambda self: self.clients)
    @rule(data=st.data(), name=st.sampled_from(NAMES))
    def leave(self, data: st.DataObject, name: str) -> None:
        client = data.draw(st.sampled_from(self.clients))

        def both() -> None:
            places = [place for place in client.places if place.channel == name]
            assert self.channels[name].unsubscribe(client.member) == bool(places)
            for place in places:
                self.model.leave(place)

        self.plan.append(both)

    @precondition(lambda self: len(self.clients) > 2)
    @rule(data=st.data())
    def vanish(self, data: st.DataObject) -> None:
        client = data.draw(st.sampled_from(self.clients))
        self.clients.remove(client)

        def both() -> None:
            client.member.vanish()
            self.model.leave_all(client)

        self.plan.append(both)

    @rule(
        data=st.data(),
        name=st.sampled_from(NAMES),
        key=st.sampled_from([None, None, "a", "b", "c", "d", "e", "f"]),
        size=st.sampled_from([12, 12, 20, 40, 95]),
        times=st.integers(1, 4),
        turn=st.booleans(),
    )
    def publish(
        self, data: st.DataObject, name: str, key: str | None, size: int, times: int, turn: bool
    ) -> None:
        exclude = data.draw(st.sampled_from([None, None, *self.clients]))

        def both() -> None:
            for _ in range(times):
                self.count += 1
                message = Message(name, self.count, key, f"{name} {self.count} ".ljust(size, "x"))
                excluded = None if exclude is None else exclude.member
                self.channels[name].publish(message.text, key=key, exclude=excluded)
                self.model.publish(message, exclude)

        self.plan.append(both)
        if turn:
            self.turn()

    @precondition(lambda self: self.clients)
    @rule(data=st.data(), size=st.sampled_from([10, 30, 60]), turn=st.booleans())
    def read(self, data: st.DataObject, size: int, turn: bool) -> None:
        self.plan.append(partial(self.take, data.draw(st.sampled_from(self.clients)), size))
        if turn:
            self.turn()

    @precondition(lambda self: any(client.waiting for client in self.clients))
    @rule(data=st.data(), left=st.sampled_from([0, LOW, LOW + 1]), turn=st.booleans())
    def drain(self, data: st.DataObject, left: int, turn: bool) -> None:
        """A client that lags reads all but ``left`` bytes."""
        client = data.draw(st.sampled_from([client for client in self.clients if client.waiting]))
        self.plan.append(lambda: self.take(client, max(client.buffered - left, 0)))
        if turn:
            self.turn()

    def take(self, client: Client, size: int) -> None:
        client.member.take(size)
        self.model.take(client, size)

    @rule()
    def turn(self) -> None:
        plan, self.plan = self.plan, []
        self.loop.call(lambda: [step() for step in plan])
        self.model.settle()
        self.loop.check()

    # -- what must hold ------------------------------------------------------------------------------------------------

    @invariant()
    def everybody_got_what_the_model_says(self) -> None:
        if self.plan:
            return
        for client in self.everyone:
            for name in NAMES:
                got = [text for text in client.member.messages if str(text).startswith(name)]
                assert got == [text for text in client.got if text.startswith(name)]
            assert client.member.codes == ([] if client.code is None else [client.code])

    @invariant()
    def nothing_is_counted_wrongly(self) -> None:
        if self.plan:
            return
        stats = self.channels.stats
        places = [place for each in self.model.places.values() for place in each]
        assert stats.queued == sum(message.size for place in places for message in place.backlog)
        assert stats.delivered == sum(len(client.got) for client in self.everyone)
        assert self.channels.member_count == len(places)
        assert {channel.name for channel in self.channels} == {place.channel for place in places}

    @invariant()
    def memory_is_bounded(self) -> None:
        for client in self.everyone:
            assert all(sum(each.size for each in place.backlog) <= MAX_BYTES for place in client.places)

    def teardown(self) -> None:
        try:
            self.turn()
            for client in self.everyone:
                self.loop.call(client.member.vanish)
            assert len(self.channels) == 0
            assert self.channels.stats.queued == 0
        finally:
            self.loop.close()


ChannelMachine.TestCase.settings = settings(max_examples=300, stateful_step_count=80, deadline=None)
TestChannels = pytest.mark.timeout(300)(ChannelMachine.TestCase)
