from __future__ import annotations

import pytest

from benchmarks.load.stats import Sample, ratio, summarise


def sample(
    number: int, server: str, cpu_us: float, *, scenario: str = "text", p99: float | None = 1.0
) -> Sample:
    return Sample(number, server, scenario, 1_000_000, 4.0, cpu_us, 0.5, p99)


def test_cpu_and_rate_are_per_request_and_per_second() -> None:
    one = Sample(0, "floor", "text", requests=400_000, seconds=4.0, cpu_seconds=3.2, p50_ms=1.0, p99_ms=2.0)
    assert one.cpu_us == pytest.approx(8.0)
    assert one.rate == pytest.approx(100_000)


def test_a_ratio_is_taken_per_round_and_then_the_median() -> None:
    floor = [sample(0, "floor", 8), sample(1, "floor", 16), sample(2, "floor", 8)]
    ours = [sample(0, "framework", 10), sample(1, "framework", 20), sample(2, "framework", 12)]
    # Medians of each side would say 12 / 8 = 1.5.
    assert ratio(ours, floor) == pytest.approx(1.25)


def test_a_ratio_needs_a_common_round() -> None:
    assert ratio([sample(0, "a", 1)], [sample(1, "b", 1)]) is None
    assert ratio([], []) is None


def test_summarise() -> None:
    samples = [
        *(sample(number, "floor", cpu) for number, cpu in enumerate((8, 10, 9))),
        *(sample(number, "starlette", cpu, p99=3.0 + number) for number, cpu in enumerate((40, 40, 36))),
    ]
    cells = summarise(samples)["text"]
    assert cells["floor"]["cpu_us"] == 9
    assert cells["floor"]["cpu_us_min"] == 8
    assert cells["floor"]["floor_ratio"] == 1
    assert cells["floor"]["times_less"] == {"starlette": 4.0}
    assert cells["starlette"]["floor_ratio"] == 4
    assert cells["starlette"]["p99_ms"] == 4.0
    assert cells["starlette"]["rounds"] == 3


def test_summarise_without_a_floor_or_latencies() -> None:
    cell = summarise([sample(0, "a", 5, p99=None)])["text"]["a"]
    assert cell["floor_ratio"] is None
    assert cell["p99_ms"] is None
    assert cell["times_less"] == {}
