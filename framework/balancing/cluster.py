"""A cluster: endpoints that serve the same, a policy that picks among the healthy ones, and the books on each."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from random import Random
from typing import Final

import msgspec

from framework.balancing.endpoint import Endpoint, SlowStart
from framework.balancing.health import Failure, HealthLedger, OutlierSettings, ProbeSettings, Why
from framework.balancing.outliers import outliers
from framework.balancing.policy import NONE, LoadBalancer
from framework.errors import ResourceError

__all__ = ["Attempt", "Change", "Cluster", "EndpointReport", "NoEndpoint"]

OVERPROVISION: Final = 1.4


class NoEndpoint(ResourceError):
    """No endpoint of the cluster can be picked: there is none, all are out, or all were tried already."""

    def __init__(self, cluster: str, why: str) -> None:
        self.cluster = cluster
        super().__init__(f"no endpoint of {cluster} can be used: {why}", retry_after=1.0)


class Change(msgspec.Struct, frozen=True):
    """An endpoint went out (``why``), or came back (``why`` is None)."""

    endpoint: Endpoint
    why: Why | None


class EndpointReport(msgspec.Struct, frozen=True):
    """What there is to tell of an endpoint. ``latency`` in seconds; ``ejections`` from the beginning."""

    key: str
    weight: int
    priority: int
    share: float
    active: int
    started: int
    failures: int
    latency: float
    available: bool
    why: str | None
    ejections: int


class Attempt:
    """One request to one endpoint. Whoever began it ends it, by exactly one of its methods."""

    __slots__ = ("_answered", "_cluster", "_ended", "endpoint", "started")

    def __init__(self, cluster: Cluster, endpoint: Endpoint, now: float) -> None:
        self._cluster = cluster
        self._ended = False
        self._answered = False
        self.endpoint = endpoint
        self.started = now

    def answered(self) -> None:
        """The answer began: how long that took is the latency, however long the rest of it takes."""
        if not self._answered:
            self._answered = True
            now = self._cluster.clock()
            self.endpoint.measured(now - self.started, now, self._cluster.decay)

    def succeeded(self) -> None:
        """It answered, with whatever is not the endpoint's own failure."""
        self.answered()
        self._cluster.took(self.endpoint, None, self._end())

    def failed(self, failure: Failure) -> None:
        """It failed, by the endpoint's fault or on the way to it."""
        if failure is not Failure.LOCAL:
            self.answered()
        self.endpoint.failures += 1
        self._cluster.took(self.endpoint, failure, self._end())

    def cancelled(self) -> None:
        """Nobody waits for it any more: no news about the endpoint."""
        self._end()

    def _end(self) -> float:
        if self._ended:
            raise RuntimeError(f"this attempt at {self.endpoint.key} has ended already")
        self._ended = True
        self.endpoint.active -= 1
        return self._cluster.clock()


class Cluster:
    """Picks endpoints, and learns from what becomes of it.

    Args:
        name: for errors and reports.
        endpoints: the first ones; ``update`` changes them.
        policy: makes a policy, one for each priority.
        probes: what probes must say of an endpoint; they are made by ``Prober``. None: none are made.
        outliers: how failing requests take an endpoint out; None: they do not.
        slow_start: how a new or recovered endpoint gets its share back; None: at once.
        panic_part: while fewer than this part of a priority's endpoints are healthy, health is not looked at: to load
            the few that are left with all the traffic would take those out too. 0 never panics.
        on_change: told of endpoints that go out or come back.
        decay: seconds over which latencies are averaged.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        name: str,
        endpoints: Iterable[Endpoint],
        policy: Callable[[], LoadBalancer],
        *,
        probes: ProbeSettings | None = None,
        outliers: OutlierSettings | None = None,
        slow_start: SlowStart | None = None,
        panic_part: float = 0.0,
        on_change: Callable[[Change], None] | None = None,
        decay: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
        random: Random | None = None,
    ) -> None:
        if not 0 <= panic_part <= 1:
            raise ValueError("panic_part is a part from 0 to 1")
        self.name = name
        self.probes = probes
        self.decay = decay
        self.clock = clock
        self._make_policy = policy
        self._outliers = outliers
        self._slow_start = slow_start
        self._panic_part = panic_part
        self._on_change = on_change
        self._random = random or Random()
        self._ledgers: dict[Endpoint, HealthLedger] = {}
        self._pools: list[_Pool] = []
        self._next_look = float("inf")
        self._next_return = float("inf")
        self._update(list(endpoints), clock(), first=True)

    # -- picking ----------------------------------------------------------------------------------------------------

    def begin(self, key: bytes | None = None, avoid: Collection[Endpoint] = NONE) -> Attempt:
        """Picks an endpoint for a request and counts the request as its.

        Raises:
            NoEndpoint: none can be picked.
        """
        now = self.clock()
        if now >= self._next_look or now >= self._next_return:
            self._look(now)
        endpoint = self._pick(now, key, avoid)
        if endpoint is None:
            raise NoEndpoint(self.name, self._why_none(avoid))
        endpoint.active += 1
        endpoint.started += 1
        return Attempt(self, endpoint, now)

    def _pick(self, now: float, key: bytes | None, avoid: Collection[Endpoint]) -> Endpoint | None:
        pools = self._pools
        if len(pools) == 1:
            return pools[0].policy.pick(now, key, avoid)
        drawn = self._random.random()
        for pool in pools:
            if drawn < pool.load_up_to:
                endpoint = pool.policy.pick(now, key, avoid)
                if endpoint is not None:
                    return endpoint
        # The one that was drawn is exhausted by ``avoid``: any is better than none.
        for pool in pools:
            endpoint = pool.policy.pick(now, key, avoid)
            if endpoint is not None:
                return endpoint
        return None

    def _why_none(self, avoid: Collection[Endpoint]) -> str:
        if not self._ledgers:
            return "it has none"
        if avoid and any(each.available for each in self._ledgers):
            return "all that can be were tried"
        reasons = sorted({ledger.why.value for ledger in self._ledgers.values() if ledger.why is not None})
        return "; ".join(reasons)

    # -- members ----------------------------------------------------------------------------------------------------

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        """Its members, healthy or not."""
        return tuple(self._ledgers)

    def update(self, endpoints: Iterable[Endpoint]) -> None:
        """These are the members now. One whose ``key`` is a member's already is that member, with what is known of it;
        its weight and priority are taken over."""
        self._update(list(endpoints), self.clock(), first=False)

    def _update(self, endpoints: list[Endpoint], now: float, *, first: bool) -> None:
        known = {endpoint.key: endpoint for endpoint in self._ledgers}
        keys = [endpoint.key for endpoint in endpoints]
        if len(set(keys)) != len(keys):
            raise ValueError(f"cluster {self.name} has two endpoints of one key")
        healthy = self.probes is None or self.probes.initially
        ledgers: dict[Endpoint, HealthLedger] = {}
        for endpoint in endpoints:
            member = known.get(endpoint.key)
            if member is None:
                if self._slow_start is not None and not first:
                    endpoint.begin_slowly(self._slow_start, now)
                ledgers[endpoint] = HealthLedger(endpoint, healthy=healthy)
            else:
                member.weight, member.priority = endpoint.weight, endpoint.priority
                ledgers[member] = self._ledgers[member]
        self._ledgers = ledgers
        self._arrange(now)
        if self._outliers is not None and self._next_look == float("inf"):
            self._next_look = now + self._outliers.interval

    def _arrange(self, now: float) -> None:
        """Puts the members into one pool for each priority."""
        before = {pool.priority: pool for pool in self._pools}
        pools: list[_Pool] = []
        for priority in sorted({endpoint.priority for endpoint in self._ledgers}):
            members = [endpoint for endpoint in self._ledgers if endpoint.priority == priority]
            pool = before.get(priority) or _Pool(priority, self._make_policy())
            pool.members = members
            pool.policy.update(members, now)
            pools.append(pool)
        self._pools = pools
        self._judge(now)

    def _judge(self, now: float) -> None:
        """Says of each member whether it can be picked, and how the load is spread over the priorities."""
        left = 1.0
        total = 0.0
        for pool in self._pools:
            healthy = [each for each in pool.members if self._ledgers[each].why is None]
            part = len(healthy) / len(pool.members)
            panics = part < self._panic_part
            for endpoint in pool.members:
                why = self._ledgers[endpoint].why
                endpoint.available = why is None or (panics and why is not Why.DRAINED)
            taken = min(left, part * OVERPROVISION)
            left -= taken
            total += taken
            pool.load_up_to = total
        if total == 0 and self._pools:
            self._pools[0].load_up_to = total = 1.0
        for pool in self._pools:
            pool.load_up_to /= total

    # -- news -------------------------------------------------------------------------------------------------------

    def took(self, endpoint: Endpoint, failure: Failure | None, now: float) -> None:
        """A request to ``endpoint`` ended. Attempts call it."""
        ledger = self._ledgers.get(endpoint)
        if ledger is None:  # it left the cluster meanwhile
            return
        ledger.result(failure)
        settings = self._outliers
        if failure is not None and settings is not None and ledger.is_outlier(settings):
            self._eject(ledger, settings, now)

    def probed(self, endpoint: Endpoint, *, good: bool) -> None:
        """A probe of ``endpoint`` ended. A good one says nothing about ejections: it may not go the way of requests."""
        ledger = self._ledgers.get(endpoint)
        if ledger is not None and self.probes is not None and ledger.probe(self.probes, good=good):
            self._changed(ledger, self.clock())

    def drain(self, endpoint: Endpoint, *, drained: bool = True) -> None:
        """Gives the endpoint nothing more, even in panic, or undoes that."""
        ledger = self._ledgers[endpoint]
        if ledger.drained is not drained:
            ledger.drained = drained
            self._changed(ledger, self.clock())

    def readmit(self, endpoint: Endpoint) -> None:
        """Ends an ejection before its time, as an operator may wish."""
        ledger = self._ledgers[endpoint]
        if ledger.ejected_until is not None:
            ledger.readmit()
            self._changed(ledger, self.clock())

    def _eject(self, ledger: HealthLedger, settings: OutlierSettings, now: float) -> None:
        if ledger.ejected_until is not None:
            return
        out = sum(1 for each in self._ledgers.values() if each.ejected_until is not None)
        if out + 1 > max(1.0, settings.max_ejected * len(self._ledgers)) or settings.max_ejected == 0:
            return
        ledger.eject(settings, now)
        self._next_return = min(self._next_return, ledger.ejected_until or now)
        self._changed(ledger, now)

    def _look(self, now: float) -> None:
        """Ends the ejections whose time is over, and compares the endpoints when the interval is."""
        settings = self._outliers
        if settings is None:
            self._next_look = self._next_return = float("inf")
            return
        for ledger in self._ledgers.values():
            if ledger.ejected_until is not None and now >= ledger.ejected_until:
                ledger.readmit()
                self._changed(ledger, now)
        if now >= self._next_look:
            worst = outliers(list(self._ledgers.values()), settings)
            for ledger in worst:
                self._eject(ledger, settings, now)
            for ledger in self._ledgers.values():
                if ledger.ejected_until is None and ledger.times and ledger not in worst:
                    ledger.times -= 1
                ledger.next_interval()
            self._next_look = now + settings.interval
        pending = [each.ejected_until for each in self._ledgers.values() if each.ejected_until is not None]
        self._next_return = min(pending, default=float("inf"))

    def _changed(self, ledger: HealthLedger, now: float) -> None:
        if ledger.why is None and self._slow_start is not None:
            ledger.endpoint.begin_slowly(self._slow_start, now)
        self._judge(now)
        if self._on_change is not None:
            self._on_change(Change(ledger.endpoint, ledger.why))

    # -- reports ----------------------------------------------------------------------------------------------------

    def report(self) -> list[EndpointReport]:
        """All members as they are now."""
        now = self.clock()
        if now >= self._next_return:  # nobody asked since
            self._look(now)
        return [
            EndpointReport(
                key=each.key,
                weight=each.weight,
                priority=each.priority,
                share=each.share(now),
                active=each.active,
                started=each.started,
                failures=each.failures,
                latency=each.latency(now, self.decay),
                available=each.available,
                why=None if ledger.why is None else ledger.why.value,
                ejections=ledger.ejections,
            )
            for each, ledger in self._ledgers.items()
        ]


class _Pool:
    """The endpoints of one priority. ``load_up_to``: the part of the load that it and those before it take."""

    __slots__ = ("load_up_to", "members", "policy", "priority")

    def __init__(self, priority: int, policy: LoadBalancer) -> None:
        self.priority = priority
        self.policy = policy
        self.members: list[Endpoint] = []
        self.load_up_to = 1.0
