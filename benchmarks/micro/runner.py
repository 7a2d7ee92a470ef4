"""Times statements: interleaved rounds, the best of them counts (noise only ever adds)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from timeit import Timer
from typing import Any

__all__ = ["Case", "Figure", "calibrate", "figures", "measure"]

ROUNDS = 9
BATCH_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Case:
    """A statement with the names it uses. ``operations``: how many of what is counted one run of it does.

    ``baseline`` names the case of the same group that this one is compared with.
    """

    group: str
    name: str
    statement: str
    names: Mapping[str, Any] = field(default_factory=dict)
    operations: int = 1
    baseline: str | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """Nanoseconds per operation, and how many times the baseline's that is."""

    group: str
    name: str
    ns: float
    baseline: str | None
    ratio: float | None


Clock = Callable[[Case, int], float]


def run_case(case: Case, number: int) -> float:
    """Seconds that ``number`` runs of the statement take."""
    return Timer(case.statement, globals=dict(case.names)).timeit(number)


def calibrate(case: Case, clock: Clock = run_case, batch: float = BATCH_SECONDS) -> int:
    """How many runs make a batch of at least half of ``batch`` seconds."""
    number = 1
    while (taken := clock(case, number)) < batch / 2:
        number = number * 10 if taken <= 0 else min(number * 10, max(number + 1, int(number * batch / taken)))
    return number


def measure(
    cases: Sequence[Case],
    *,
    rounds: int = ROUNDS,
    clock: Clock = run_case,
    batch: float = BATCH_SECONDS,
    progress: Callable[[str], None] = lambda line: None,
) -> list[Figure]:
    """Times the cases of each group in turn, ``rounds`` times over."""
    best: dict[tuple[str, str], float] = {}
    for group in dict.fromkeys(case.group for case in cases):
        members = [case for case in cases if case.group == group]
        progress(f"{group}: {len(members)} cases")
        numbers = [calibrate(case, clock, batch) for case in members]
        for _ in range(rounds):
            for case, number in zip(members, numbers, strict=True):
                ns = clock(case, number) / number / case.operations * 1e9
                key = group, case.name
                best[key] = min(ns, best.get(key, ns))
    return figures(cases, best)


def figures(cases: Iterable[Case], best: Mapping[tuple[str, str], float]) -> list[Figure]:
    """Puts the times beside their baselines."""
    found = []
    for case in cases:
        ns = best[case.group, case.name]
        base = None if case.baseline is None else best[case.group, case.baseline]
        ratio = None if base is None else round(ns / base, 3)
        found.append(Figure(case.group, case.name, round(ns, 1), case.baseline, ratio))
    return found
