"""What there is to tell of a gateway at one moment, and of several workers' as one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from typing import Final, TypeVar

import msgspec

from framework.balancing import EndpointReport
from framework.plugins.gateway.gateway import Event, Gateway, Route
from framework.plugins.gateway.upstreams import Upstream

__all__ = [
    "BreakerReport",
    "ClusterReport",
    "LimitReport",
    "RouteReport",
    "State",
    "WorkerReport",
    "joined",
    "state_of",
]

T = TypeVar("T")
SAME_MOMENT: Final = 3.0
_WORST = ("closed", "half_open", "open")


class LimitReport(msgspec.Struct):
    """What a limit decided, from the beginning. ``shadowed``: would have been refused."""

    admitted: int
    refused: int
    shadowed: int


class RouteReport(msgspec.Struct):
    """A route's counts, from the beginning. ``buckets``: requests by the index of their latency's bucket; ``statuses``:
    by class."""

    target: str
    requests: int
    statuses: list[int]
    buckets: dict[int, int]
    seconds: float
    retries: int
    active: int
    limits: dict[str, LimitReport] = {}
    mirrored: int = 0


class BreakerReport(msgspec.Struct):
    """A circuit breaker: ``opened`` and ``refused`` counted from the beginning."""

    state: str
    opened: int
    refused: int


class ClusterReport(msgspec.Struct):
    """A cluster as it is now. ``endpoints``: by key."""

    policy: str
    in_flight: int
    refused: int
    retries_left: float
    retries_denied: int
    breaker: BreakerReport | None
    endpoints: dict[str, EndpointReport]


class WorkerReport(msgspec.Struct):
    """A process that serves. ``generation``: counted by itself, None where it does not answer; ``problems``: what was
    wrong with the configuration that it read last, and does not serve."""

    pid: int
    generation: int | None
    problems: Sequence[str] = ()


class State(msgspec.Struct):
    """A gateway's. ``workers``: the processes that it was gathered from."""

    at: float
    workers: list[WorkerReport]
    routes: dict[str, RouteReport]
    clusters: dict[str, ClusterReport]
    events: list[Event]
    retiring: int


def state_of(gateway: Gateway, problems: Sequence[str] = (), *, pid: int | None = None) -> State:
    """Of this process. ``problems``: of the configuration that it does not take."""
    generation = gateway.generation
    return State(
        at=time.time(),
        workers=[WorkerReport(pid or os.getpid(), generation.number, problems)],
        routes={name: _route(route) for name, route in generation.routes.items()},
        clusters={name: _cluster(upstream) for name, upstream in generation.upstreams.items()},
        events=list(gateway.events)[-50:],
        retiring=len(gateway.retiring),
    )


def _route(route: Route) -> RouteReport:
    sample = route.stats.sample()
    limits: dict[str, LimitReport] = {}
    for limiter in route.policies.limiters:
        for policy in limiter.policies:
            counts = limiter.engine.counts_of(policy)
            limits[policy.name] = LimitReport(counts.admitted, counts.refused, counts.shadowed)
    config, forwarder = route.config, route.forwarder
    target = config.cluster or " ".join(f"{one.cluster}:{one.weight}" for one in config.split)
    if config.handler is not None:
        target = f"handler {config.handler}"
    if config.redirect is not None:
        target = f"{config.redirect.status} {config.redirect.to}"
    return RouteReport(
        target=target,
        requests=sample.requests,
        statuses=list(sample.statuses),
        buckets={index: count for index, count in enumerate(sample.buckets) if count},
        seconds=round(sample.seconds, 6),
        retries=sample.retries,
        active=sample.active,
        limits=limits,
        mirrored=0 if forwarder is None or forwarder.mirror is None else forwarder.mirror.sent,
    )


def _cluster(upstream: Upstream) -> ClusterReport:
    breaker, now = upstream.breaker, upstream.clock()
    return ClusterReport(
        policy=upstream.config.policy,
        in_flight=upstream.in_flight,
        refused=upstream.refused,
        retries_left=round(upstream.budget.left(now), 1),
        retries_denied=upstream.budget.denied,
        breaker=None
        if breaker is None
        else BreakerReport(breaker.state.value, breaker.opened, breaker.refused),
        endpoints={one.key: one for one in upstream.cluster.report()},
    )


# -- several workers --------------------------------------------------------------------------------------------------


def joined(states: Sequence[State]) -> State:
    """Several workers' as one. Counts add up; an endpoint that one worker does not use is told as out, a breaker as the
    worst of them. What only some know yet, because a reload is under way, is among it."""
    return State(
        at=max(one.at for one in states),
        workers=sorted((worker for one in states for worker in one.workers), key=lambda worker: worker.pid),
        routes=_by_name((one.routes for one in states), _route_of_two),
        clusters=_by_name((one.clusters for one in states), _cluster_of_two),
        events=_events(states) if len(states) > 1 else states[0].events,
        retiring=sum(one.retiring for one in states),
    )


def _events(states: Sequence[State]) -> list[Event]:
    """In order. What each worker tells of one thing, all in about the same moment, is told once."""
    found: list[Event] = []
    last: dict[tuple[str, str], float] = {}
    for event in sorted((event for one in states for event in one.events), key=lambda event: event.at):
        if event.at - last.get((event.what, event.text), -SAME_MOMENT) >= SAME_MOMENT:
            found.append(event)
            last[event.what, event.text] = event.at
    return found[-50:]


def _by_name(parts: Iterable[dict[str, T]], add: Callable[[T, T], T]) -> dict[str, T]:
    found: dict[str, list[T]] = {}
    for part in parts:
        for name, one in part.items():
            found.setdefault(name, []).append(one)
    return {name: reduce(add, several) for name, several in found.items()}


def _route_of_two(one: RouteReport, other: RouteReport) -> RouteReport:
    return RouteReport(
        target=one.target,
        requests=one.requests + other.requests,
        statuses=[a + b for a, b in zip(one.statuses, other.statuses, strict=True)],
        buckets={
            index: one.buckets.get(index, 0) + other.buckets.get(index, 0)
            for index in one.buckets.keys() | other.buckets.keys()
        },
        seconds=one.seconds + other.seconds,
        retries=one.retries + other.retries,
        active=one.active + other.active,
        limits=_by_name((one.limits, other.limits), _limit_of_two),
        mirrored=one.mirrored + other.mirrored,
    )


def _limit_of_two(one: LimitReport, other: LimitReport) -> LimitReport:
    return LimitReport(
        one.admitted + other.admitted, one.refused + other.refused, one.shadowed + other.shadowed
    )


def _cluster_of_two(one: ClusterReport, other: ClusterReport) -> ClusterReport:
    breaker = one.breaker
    if breaker is not None and other.breaker is not None:
        breaker = BreakerReport(
            max(breaker.state, other.breaker.state, key=_WORST.index),
            breaker.opened + other.breaker.opened,
            breaker.refused + other.breaker.refused,
        )
    return ClusterReport(
        policy=one.policy,
        in_flight=one.in_flight + other.in_flight,
        refused=one.refused + other.refused,
        retries_left=one.retries_left + other.retries_left,
        retries_denied=one.retries_denied + other.retries_denied,
        breaker=breaker,
        endpoints=_by_name((one.endpoints, other.endpoints), _endpoint_of_two),
    )


def _endpoint_of_two(one: EndpointReport, other: EndpointReport) -> EndpointReport:
    return msgspec.structs.replace(
        one,
        share=min(one.share, other.share),
        active=one.active + other.active,
        started=one.started + other.started,
        failures=one.failures + other.failures,
        latency=max(one.latency, other.latency),
        available=one.available and other.available,
        why=one.why or other.why,
        ejections=one.ejections + other.ejections,
    )
