from __future__ import annotations

import pytest

from benchmarks.micro.runner import Case, calibrate, measure, run_case


class FakeClock:
    """Takes a fixed time per run, with noise that only the best of several rounds gets rid of."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self.seconds = seconds
        self.calls = 0

    def __call__(self, case: Case, number: int) -> float:
        self.calls += 1
        noise = 1.5 if self.calls % 3 else 1.0
        return self.seconds[case.name] * number * noise


def test_measure_takes_the_best_round_and_divides_by_the_operations() -> None:
    cases = [Case("g", "one", "", baseline="one"), Case("g", "sixteen", "", operations=16, baseline="one")]
    clock = FakeClock({"one": 1e-6, "sixteen": 8e-6})
    one, sixteen = measure(cases, rounds=9, clock=clock, batch=1e-3)
    assert one.ns == pytest.approx(1000, rel=0.01)
    assert sixteen.ns == pytest.approx(500, rel=0.01)
    assert sixteen.ratio == pytest.approx(0.5)


def test_a_case_without_a_baseline_has_no_ratio() -> None:
    (figure,) = measure([Case("g", "x", "")], rounds=3, clock=FakeClock({"x": 1e-6}), batch=1e-4)
    assert figure.ratio is None


@pytest.mark.parametrize("seconds", [1e-9, 1e-6, 1e-3, 1.0])
def test_calibrate_fills_a_batch(seconds: float) -> None:
    number = calibrate(Case("g", "x", ""), lambda case, number: seconds * number, batch=0.02)
    assert seconds * number >= 0.01
    assert number == 1 or seconds * number < 0.2


def test_calibrate_copes_with_a_clock_that_stands_still() -> None:
    times = iter([0.0, 0.0, 1.0])
    assert calibrate(Case("g", "x", ""), lambda case, number: next(times)) == 100


def test_run_case_runs_the_statement_with_its_names() -> None:
    seen: list[int] = []
    taken = run_case(Case("g", "x", "append(7)", {"append": seen.append}), 3)
    assert seen == [7, 7, 7]
    assert taken >= 0
