"""Clusters: health, ejection, priorities, panic, membership; one scenario for each, and a state machine over all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from framework.balancing import (
    Attempt,
    Change,
    Cluster,
    Endpoint,
    Failure,
    NoEndpoint,
    OutlierSettings,
    ProbeSettings,
    RoundRobin,
    SlowStart,
    Why,
)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class World:
    """A cluster with a clock, and what changed in it."""

    def __init__(
        self,
        endpoints: Iterable[Endpoint],
        *,
        probes: ProbeSettings | None = None,
        outliers: OutlierSettings | None = None,
        slow_start: SlowStart | None = None,
        panic_part: float = 0.0,
    ) -> None:
        self.clock = Clock()
        self.changes: list[Change] = []
        self.endpoints = list(endpoints)
        self.cluster = Cluster(
            "users",
            self.endpoints,
            lambda: RoundRobin(Random(1)),
            probes=probes,
            outliers=outliers,
            slow_start=slow_start,
            panic_part=panic_part,
            on_change=self.changes.append,
            clock=self.clock,
            random=Random(2),
        )

    def send(
        self, failing: Iterable[Endpoint] = (), failure: Failure = Failure.STATUS, count: int = 1
    ) -> Counter[Endpoint]:
        found: Counter[Endpoint] = Counter()
        bad = set(failing)
        for _ in range(count):
            attempt = self.cluster.begin()
            found[attempt.endpoint] += 1
            if attempt.endpoint in bad:
                attempt.failed(failure)
            else:
                attempt.succeeded()
        return found


def several(count: int, priority: int = 0) -> list[Endpoint]:
    return [Endpoint(f"{priority}-{number}", priority=priority) for number in range(count)]


def why(world: World, endpoint: Endpoint) -> str | None:
    return next(report.why for report in world.cluster.report() if report.key == endpoint.key)


def test_one_bad_probe_takes_nothing_out() -> None:
    world = World(several(2), probes=ProbeSettings(unhealthy_after=3, healthy_after=2))
    first = world.endpoints[0]
    for good in (False, False, True, False, False):
        world.cluster.probed(first, good=good)
    assert first.available
    world.cluster.probed(first, good=False)
    assert world.changes == [Change(first, Why.PROBES)]
    assert world.send(count=10) == {world.endpoints[1]: 10}
    world.cluster.probed(first, good=True)
    assert not first.available
    world.cluster.probed(first, good=True)
    assert world.changes[-1] == Change(first, None)


def test_an_endpoint_that_has_to_show_itself_first_comes_with_its_first_good_probe() -> None:
    world = World(several(2), probes=ProbeSettings(initially=False, healthy_after=2))
    with pytest.raises(NoEndpoint, match="no endpoint of users can be used: it has not been probed yet"):
        world.cluster.begin()
    world.cluster.probed(world.endpoints[0], good=True)
    assert world.send(count=3) == {world.endpoints[0]: 3}
    world.cluster.probed(world.endpoints[1], good=False)
    assert why(world, world.endpoints[1]) == "its probes fail"


def test_failures_in_a_row_eject_for_longer_each_time() -> None:
    rules = OutlierSettings(max_consecutive=3, base_ejection=10.0, max_ejection=25.0, interval=1000.0)
    world = World(several(2), outliers=rules)
    bad = world.endpoints[0]
    lengths: list[float] = []
    for _ in range(4):
        while bad.available:
            world.send([bad])
        start = world.clock.now
        while not bad.available:
            world.clock.now += 1.0
            world.send()
        lengths.append(world.clock.now - start)
    assert lengths == [10.0, 20.0, 25.0, 25.0]
    assert [change.why for change in world.changes[:2]] == [Why.EJECTED, None]


def test_good_intervals_take_ejections_back() -> None:
    rules = OutlierSettings(max_consecutive=1, base_ejection=10.0, interval=10.0, failure_rate=0)
    world = World(several(2), outliers=rules)
    bad = world.endpoints[0]
    lengths: list[float] = []
    for _ in range(2):
        while bad.available:
            world.send([bad])
        start = world.clock.now
        while not bad.available:
            world.clock.now += 1.0
            world.send()
        lengths.append(world.clock.now - start)
        for _ in range(3):
            world.clock.now += 10.0
            world.send()
    assert lengths == [10.0, 10.0]


def test_local_failures_have_a_count_of_their_own() -> None:
    rules = OutlierSettings(max_consecutive=5, max_consecutive_local=2)
    world = World(several(2), outliers=rules)
    bad = world.endpoints[0]
    world.send([bad], Failure.LOCAL, count=2)
    world.send([bad], Failure.STATUS, count=2)
    world.send([bad], Failure.LOCAL, count=2)
    assert bad.available
    world.send([bad], Failure.LOCAL, count=2)
    assert not bad.available


def test_no_more_than_the_allowed_part_is_ejected_and_always_one() -> None:
    rules = OutlierSettings(max_consecutive=1, max_ejected=0.5)
    world = World(several(5), outliers=rules)
    world.send(world.endpoints, count=50)
    assert sum(not endpoint.available for endpoint in world.endpoints) == 2
    alone = World(several(1), outliers=OutlierSettings(max_consecutive=1, max_ejected=0.1))
    alone.send(alone.endpoints)
    assert not alone.endpoints[0].available


def test_an_endpoint_that_stands_out_is_ejected_at_the_end_of_the_interval() -> None:
    rules = OutlierSettings(
        max_consecutive=0, max_consecutive_local=0, failure_rate=0, interval=10.0, min_requests=50
    )
    world = World(several(6), outliers=rules)
    bad = world.endpoints[2]
    attempts: list[Attempt] = []
    for number in range(600):
        attempt = world.cluster.begin()
        attempts.append(attempt)
        if attempt.endpoint is bad and number % 18 < 6:
            attempt.failed(Failure.STATUS)
        else:
            attempt.succeeded()
    assert bad.available
    world.clock.now = 10.0
    world.send(count=12)
    assert not bad.available
    assert all(endpoint.available for endpoint in world.endpoints if endpoint is not bad)


def test_evenly_bad_endpoints_do_not_stand_out() -> None:
    rules = OutlierSettings(
        max_consecutive=0, max_consecutive_local=0, failure_rate=0, interval=10.0, min_requests=50
    )
    world = World(several(6), outliers=rules)
    for number in range(600):
        attempt = world.cluster.begin()
        if number % 13 == 0:
            attempt.failed(Failure.STATUS)
        else:
            attempt.succeeded()
    world.clock.now = 10.0
    world.send()
    assert all(endpoint.available for endpoint in world.endpoints)


def test_panic_looks_at_health_no_more_but_never_gives_to_the_drained() -> None:
    world = World(several(4), probes=ProbeSettings(unhealthy_after=1), panic_part=0.5)
    drained, *others = world.endpoints
    world.cluster.drain(drained)
    world.cluster.probed(others[0], good=False)
    assert not others[0].available
    world.cluster.probed(others[1], good=False)
    assert [endpoint.available for endpoint in world.endpoints] == [False, True, True, True]
    assert why(world, others[0]) == "its probes fail"


def test_without_panic_nothing_is_left_when_all_are_out() -> None:
    world = World(several(2), probes=ProbeSettings(unhealthy_after=1))
    for endpoint in world.endpoints:
        world.cluster.probed(endpoint, good=False)
    with pytest.raises(NoEndpoint) as caught:
        world.cluster.begin()
    assert caught.value.retry_after == 1.0


def test_priorities_the_next_takes_what_the_first_cannot() -> None:
    world = World([*several(4), *several(2, priority=1)], probes=ProbeSettings(unhealthy_after=1))
    first, second = world.endpoints[:4], world.endpoints[4:]

    def part_of_second() -> float:
        counts = world.send(count=4000)
        return sum(counts[endpoint] for endpoint in second) / 4000

    assert part_of_second() == 0
    world.cluster.probed(first[0], good=False)
    assert part_of_second() == 0, "three of four carry it, as each has a reserve"
    world.cluster.probed(first[1], good=False)
    assert part_of_second() == pytest.approx(0.3, abs=0.04)
    for endpoint in first[2:]:
        world.cluster.probed(endpoint, good=False)
    assert part_of_second() == 1
    world.cluster.probed(second[0], good=False)
    assert world.send(count=10) == {second[1]: 10}


def test_when_all_of_a_priority_were_tried_another_is_taken() -> None:
    world = World([*several(1), *several(1, priority=1)])
    one, other = world.endpoints
    assert world.cluster.begin(avoid=[one]).endpoint is other
    with pytest.raises(NoEndpoint, match="all that can be were tried"):
        world.cluster.begin(avoid=[one, other])


def test_health_g8_survives_changes_of_the_members() -> None:
    world = World(
        several(3), probes=ProbeSettings(unhealthy_after=1), outliers=OutlierSettings(max_consecutive=2)
    )
    sick = world.endpoints[0]
    world.cluster.probed(sick, good=False)
    world.cluster.update([Endpoint("0-0", weight=5), Endpoint("new")])
    assert [endpoint.key for endpoint in world.cluster.endpoints] == ["0-0", "new"]
    assert world.cluster.endpoints[0] is sick
    assert (sick.weight, sick.available) == (5, False)
    world.cluster.update([])
    with pytest.raises(NoEndpoint, match="it has none"):
        world.cluster.begin()
    world.cluster.update([Endpoint("0-0")])
    assert world.cluster.endpoints[0].available, "it left, and what comes back under its name starts anew"


def test_news_of_an_endpoint_that_left_changes_nothing() -> None:
    world = World(several(2), outliers=OutlierSettings(max_consecutive=1))
    attempt = world.cluster.begin()
    world.cluster.update([endpoint for endpoint in world.endpoints if endpoint is not attempt.endpoint])
    attempt.failed(Failure.LOCAL)
    world.cluster.probed(attempt.endpoint, good=False)
    assert world.changes == []


def test_a_recovered_endpoint_starts_slowly() -> None:
    world = World(
        several(2), probes=ProbeSettings(unhealthy_after=1, healthy_after=1), slow_start=SlowStart(10.0)
    )
    back = world.endpoints[0]
    assert back.share(0.0) == 1
    world.cluster.probed(back, good=False)
    world.cluster.probed(back, good=True)
    assert [round(back.share(now), 2) for now in (0.0, 5.0, 10.0)] == [0.1, 0.5, 1.0]


def test_an_attempt_ends_once() -> None:
    world = World(several(1))
    attempt = world.cluster.begin()
    attempt.cancelled()
    assert world.endpoints[0].active == 0
    with pytest.raises(RuntimeError, match="has ended already"):
        attempt.succeeded()


def test_an_operator_drains_and_readmits() -> None:
    world = World(several(2), outliers=OutlierSettings(max_consecutive=1))
    one, other = world.endpoints
    world.cluster.drain(one)
    world.cluster.drain(one)
    assert world.send(count=4) == {other: 4}
    world.cluster.drain(one, drained=False)
    world.send([other], count=2)
    assert not other.available
    world.cluster.readmit(other)
    assert other.available
    assert [change.why for change in world.changes] == [Why.DRAINED, None, Why.EJECTED, None]


def test_two_endpoints_of_one_key_are_refused() -> None:
    with pytest.raises(ValueError, match="two endpoints of one key"):
        World([Endpoint("a"), Endpoint("a")])


class Membership(RuleBasedStateMachine):
    """Requests, failures, probes, drains, and members that come and go, in any order (G8)."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(
            several(3),
            probes=ProbeSettings(unhealthy_after=2, healthy_after=1),
            outliers=OutlierSettings(max_consecutive=2, base_ejection=10.0, interval=5.0, min_requests=3),
            panic_part=0.3,
        )
        self.attempts: list[Attempt] = []

    @rule(seconds=st.floats(0, 30))
    def wait(self, seconds: float) -> None:
        self.world.clock.now += seconds

    @rule()
    def begin(self) -> None:
        try:
            self.attempts.append(self.world.cluster.begin())
        except NoEndpoint:
            assert not any(endpoint.available for endpoint in self.world.cluster.endpoints)

    @precondition(lambda self: bool(self.attempts))
    @rule(how=st.sampled_from(["succeeded", "cancelled", *Failure]), index=st.integers(0, 1000))
    def end(self, how: str | Failure, index: int) -> None:
        attempt = self.attempts.pop(index % len(self.attempts))
        if isinstance(how, Failure):
            attempt.failed(how)
        elif how == "succeeded":
            attempt.succeeded()
        else:
            attempt.cancelled()

    @precondition(lambda self: bool(self.world.cluster.endpoints))
    @rule(index=st.integers(0, 1000), good=st.booleans())
    def probe(self, index: int, good: bool) -> None:
        members = self.world.cluster.endpoints
        self.world.cluster.probed(members[index % len(members)], good=good)

    @precondition(lambda self: bool(self.world.cluster.endpoints))
    @rule(index=st.integers(0, 1000), drained=st.booleans())
    def drain(self, index: int, drained: bool) -> None:
        members = self.world.cluster.endpoints
        self.world.cluster.drain(members[index % len(members)], drained=drained)

    @rule(names=st.sets(st.integers(0, 5), max_size=5), priority=st.integers(0, 1))
    def change(self, names: set[int], priority: int) -> None:
        self.world.cluster.update([Endpoint(f"0-{name}", priority=priority * (name % 2)) for name in names])

    @invariant()
    def books_agree(self) -> None:
        running = Counter(attempt.endpoint for attempt in self.attempts)
        for endpoint in self.world.cluster.endpoints:
            assert endpoint.active == running[endpoint]

    @invariant()
    def whoever_is_well_is_picked_and_nobody_is_out_for_ever(self) -> None:
        reports = self.world.cluster.report()
        for report in reports:
            assert report.why is not None or report.available
        self.world.clock.now += 0.0

    def teardown(self) -> None:
        cluster = self.world.cluster
        for endpoint in cluster.endpoints:
            cluster.drain(endpoint, drained=False)
            cluster.probed(endpoint, good=True)
        if cluster.endpoints:
            for _ in range(2):  # the first look may still judge the last interval
                self.world.clock.now += 10_000.0
                cluster.begin().cancelled()
            assert all(endpoint.available for endpoint in cluster.endpoints)


TestMembership = Membership.TestCase
TestMembership.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
