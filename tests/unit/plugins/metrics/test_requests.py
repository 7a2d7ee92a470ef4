"""The counting itself, without a server."""

from __future__ import annotations

from itertools import permutations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.core import Metric

from framework.http.request import Request
from framework.http.response import Response
from framework.plugins.metrics import requests as module
from framework.plugins.metrics.requests import RequestMetrics
from framework.testing import fake_request


def counted(metrics: RequestMetrics) -> dict[str, float]:
    """Samples without labels other than le, added up."""
    found: dict[str, float] = {}
    for metric in metrics.collect():
        for sample in metric.samples:
            name = sample.name + (f"<={sample.labels['le']}" if "le" in sample.labels else "")
            found[name] = found.get(name, 0.0) + sample.value
    return found


class Clock:
    """Stands for ``perf_counter``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(module, "perf_counter", lambda: self.now)


def test_the_bounds_belong_to_their_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    metrics = RequestMetrics([0.5, 1.0])
    for seconds in (0.25, 0.5, 0.75, 1.0, 2.0):
        request = fake_request()
        metrics.before(request)
        clock.now += seconds
        metrics.after(request, Response())
    found = counted(metrics)
    assert [found[f"http_request_duration_seconds_bucket<={bound}"] for bound in ("0.5", "1.0", "+Inf")] == [
        2,
        4,
        5,
    ]
    assert found["http_request_duration_seconds_sum"] == 4.5
    assert found["http_requests_total"] == 5


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_requests_that_overtake_each_other_keep_their_times(
    monkeypatch: pytest.MonkeyPatch, order: tuple[int, ...]
) -> None:
    clock = Clock(monkeypatch)
    metrics = RequestMetrics([1e9])
    requests: list[Request] = []
    for _ in range(3):
        requests.append(fake_request())
        metrics.before(requests[-1])
        clock.now += 1
    assert counted(metrics)["http_requests_in_progress"] == 3
    expected = 0.0
    for index in order:
        metrics.after(requests[index], Response())
        expected += clock.now - 100.0 - index
        clock.now += 10
    found = counted(metrics)
    assert found["http_request_duration_seconds_sum"] == expected
    assert found["http_requests_in_progress"] == 0
    assert found["http_requests_total"] == 3


def test_an_answer_whose_beginning_was_not_seen_is_counted() -> None:
    metrics = RequestMetrics([1.0])
    seen, unseen = fake_request(), fake_request()
    metrics.before(seen)
    metrics.after(unseen, Response(b"abc"))
    metrics.after(seen, Response(b"de"))
    found = counted(metrics)
    assert (found["http_requests_total"], found["http_requests_in_progress"]) == (2, 0)
    assert found["http_response_size_bytes_sum"] == 5


@given(st.lists(st.sampled_from(["begin", "end"]), max_size=30), st.randoms())
def test_what_has_begun_and_not_ended_is_in_progress(steps: list[str], random: Random) -> None:
    metrics = RequestMetrics([1.0])
    under_way: list[Request] = []
    ended = 0
    for step in steps:
        if step == "begin":
            under_way.append(fake_request())
            metrics.before(under_way[-1])
        elif under_way:
            at = random.randrange(len(under_way))
            metrics.after(under_way.pop(at), Response())
            ended += 1
        found = counted(metrics)
        assert found.get("http_requests_in_progress", 0) == len(under_way)
        assert found.get("http_requests_total", 0) == ended


def test_families_are_described_without_samples() -> None:
    described: list[Metric] = list(RequestMetrics([1.0]).describe())
    assert [metric.samples for metric in described] == [[]] * 5
