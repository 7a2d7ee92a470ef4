"""Injection: what ``di`` times, in the runner's form."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.micro import di
from benchmarks.micro.runner import Case


def cases() -> Iterator[Case]:
    for name, call in (
        ("hand-written", di.hand_written),
        ("compiled", di.compiled),
        ("run-time get()", di.live),
    ):
        yield Case("injection, 3 deep", name, "call()", {"call": call}, baseline="hand-written")
