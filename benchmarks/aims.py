"""What the framework promises, checked against a result: each aim is a ratio taken inside rounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.load.stats import Sample, ratio

__all__ = ["AIMS", "Aim", "Verdict", "judge"]


@dataclass(frozen=True, slots=True)
class Aim:
    """CPU of ``over`` divided by CPU of ``under`` (server, scenario) is at most, or at least, ``bound``."""

    text: str
    over: tuple[str, str]
    under: tuple[str, str]
    bound: float
    at_least: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    aim: Aim
    found: float

    @property
    def met(self) -> bool:
        return self.found >= self.aim.bound if self.aim.at_least else self.found <= self.aim.bound


def _less(server: str, scenario: str, times: float, ours: str = "framework") -> Aim:
    text = f"{scenario}: {times:g} x less CPU than {server}"
    if ours != "framework":
        text = f"{ours}, {text}"
    return Aim(text, (server, scenario), (ours, scenario), times, at_least=True)


AIMS = (
    Aim("text: at most 1.35 x the floor", ("framework", "text"), ("floor", "text"), 1.35),
    Aim("param: at most 1.5 x the floor", ("framework", "param"), ("floor", "param"), 1.5),
    Aim("post: at most 1.8 x the floor", ("framework", "post"), ("floor", "post"), 1.8),
    Aim("600 routes: at most 10 % over 30", ("framework", "param600"), ("framework", "param"), 1.10),
    Aim("a browser's head: within 15 %", ("framework", "browser"), ("framework", "text"), 1.15),
    Aim("5 onions: at most 15 % more", ("framework", "onions"), ("framework", "text"), 1.15),
    _less("starlette", "text", 3),
    _less("granian-rsgi", "text", 1.7),
    _less("socketify", "text", 1),
    _less("fastpysgi", "text", 1),
    _less("starlette", "post", 4),
    _less("fastapi", "post", 9),
    _less("starlette", "text", 2, ours="framework-pure"),
)


def judge(samples: Sequence[Sample]) -> list[Verdict]:
    """The aims that the samples say something about."""
    verdicts = []
    for aim in AIMS:
        over, under = (
            [sample for sample in samples if (sample.server, sample.scenario) == cell]
            for cell in (aim.over, aim.under)
        )
        found = ratio(over, under)
        if found is not None:
            verdicts.append(Verdict(aim, found))
    return verdicts
