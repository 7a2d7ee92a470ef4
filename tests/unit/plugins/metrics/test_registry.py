"""A registry becomes a tally, and a tally metrics again."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from prometheus_client import CollectorRegistry, Counter, Enum, Gauge, Histogram, Info, Summary
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from framework.net.tally import merge
from framework.plugins.metrics.exposition import choose_format, render
from framework.plugins.metrics.registry import Registry, as_metrics, count


def filled(registry: CollectorRegistry, times: int = 1) -> None:
    counter = Counter("c", "A counter.", ["kind"], registry=registry)
    histogram = Histogram("h_seconds", "A histogram.", buckets=(0.1, 1.0), unit="seconds", registry=registry)
    summary = Summary("s", "A summary.", registry=registry)
    Gauge("most", "A gauge.", registry=registry, multiprocess_mode="livemax").set(times)
    Gauge("all_of_them", "A gauge.", registry=registry, multiprocess_mode="sum").set(times)
    Gauge("each", "A gauge.", registry=registry).set(times)
    Info("about", "An info.", registry=registry).info({"v": str(times)})
    Enum("state", "A state.", states=["on", "off"], registry=registry).state("off")
    for _ in range(times):
        counter.labels('a"b\\c\n').inc()
        histogram.observe(0.5)
        summary.observe(2)


def text(registry: CollectorRegistry) -> str:
    return generate_latest(registry).decode()


def test_the_round_trip_changes_nothing() -> None:
    registry = Registry()
    filled(registry)
    assert render(as_metrics(count(registry)), choose_format(None)).decode() == text(registry)


def test_two_workers_are_merged_by_the_modes_of_their_gauges() -> None:
    tallies = []
    for worker in (2, 3):
        registry = Registry()
        filled(registry, worker)
        tally = count(registry)
        tallies.append(type(tally)(tally.families, str(worker)))
    merged = render(as_metrics(merge(tallies)), choose_format(None)).decode().splitlines()
    for line in (
        'c_total{kind="a\\"b\\\\c\\n"} 5.0',
        'h_seconds_bucket{le="0.1"} 0.0',
        'h_seconds_bucket{le="1.0"} 5.0',
        "h_seconds_count 5.0",
        "h_seconds_sum 2.5",
        "s_sum 10.0",
        "most 3.0",
        "all_of_them 5.0",
        'each{worker="2"} 2.0',
        'each{worker="3"} 3.0',
        'about_info{v="3"} 1.0',
    ):
        assert line in merged


def test_the_mode_of_a_gauge_is_known_from_its_registration() -> None:
    registry = Registry()
    filled(registry)
    modes = {family.name: family.mode for family in count(registry).families}
    assert (modes["most"], modes["all_of_them"], modes["each"], modes["about"]) == (
        "max",
        "sum",
        "each",
        "newest",
    )
    plain = CollectorRegistry()
    filled(plain)
    assert {family.mode for family in count(plain).families if family.kind == "gauge"} == {"each"}


def test_names_that_are_taken_are_refused() -> None:
    registry = Registry()
    Gauge("g", "A gauge.", registry=registry)

    class Mine(Collector):
        def collect(self) -> Iterable[Metric]:
            return [GaugeMetricFamily("g", "Another.", 1)]

    with pytest.raises(ValueError, match="Duplicated"):
        registry.register(Mine())
