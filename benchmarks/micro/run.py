"""Runs the groups of cases and makes the result document."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib import import_module
from types import ModuleType
from typing import Any

from benchmarks.facts import machine_facts
from benchmarks.load.run import progress
from benchmarks.micro.runner import ROUNDS, Case, measure

__all__ = ["GROUPS", "run_micro"]

GROUPS = (
    "head",
    "router",
    "injection",
    "layers",
    "connection",
    "asgi",
    "channels",
    "pool",
    "ratelimit",
    "cache",
)


def run_micro(groups: str | None, rounds: int = ROUNDS) -> dict[str, Any]:
    """Times the groups named in a comma-separated list, all for None.

    Raises:
        ValueError: a group that does not exist.
    """
    wanted = GROUPS if groups is None else tuple(name.strip() for name in groups.split(",") if name.strip())
    if unknown := set(wanted) - set(GROUPS):
        raise ValueError(f"unknown group {', '.join(sorted(unknown))}; known are {', '.join(GROUPS)}")
    modules: list[ModuleType] = []
    absent: dict[str, str] = {}
    # Imported before the loop runs: a group may use a loop of its own while it prepares.
    for name in wanted:
        try:
            modules.append(import_module(f"benchmarks.micro.{name}"))
        except ImportError as error:
            absent[name] = str(error)
            progress(f"absent: {name} ({error})")
    facts = machine_facts()
    return in_loop(lambda: document(modules, rounds, facts, absent))


def document(
    modules: Sequence[ModuleType], rounds: int, facts: dict[str, Any], absent: dict[str, str]
) -> dict[str, Any]:
    from framework.wire.leaves import TWIN

    cases: list[Case] = [case for module in modules for case in module.cases()]
    taken = measure(cases, rounds=rounds, progress=progress)
    for figure in taken:
        ratio = "" if figure.ratio is None else f"{figure.ratio:8.2f} x"
        progress(f"  {figure.group:<20} {figure.name:<52} {figure.ns:10.1f} ns{ratio}")
    return {
        "kind": "micro",
        "facts": {**facts, "twin": TWIN},
        "settings": {"rounds": rounds},
        "absent": absent,
        "figures": [asdict(figure) for figure in taken],
    }


def in_loop(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Runs ``work`` in a callback of a running loop, where a transport would call a protocol: in no Task."""
    from framework.net.loop import new_event_loop

    loop = new_event_loop()
    outcome: list[dict[str, Any]] = []
    failure: list[BaseException] = []

    def callback() -> None:
        try:
            outcome.append(work())
        except BaseException as error:
            failure.append(error)
        finally:
            loop.stop()

    loop.call_soon(callback)
    try:
        loop.run_forever()
        loop.run_until_complete(end_tasks())
    finally:
        loop.close()
    if failure:
        raise failure[0]
    return outcome[0]


async def end_tasks() -> None:
    """Ends the parked Tasks of the connections that were measured."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
