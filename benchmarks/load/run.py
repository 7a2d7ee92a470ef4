"""The rounds: in each, every server in turn is started, checked, warmed up, loaded and stopped."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from benchmarks.facts import busy_warning, machine_facts
from benchmarks.load import wrk
from benchmarks.load.probe import check
from benchmarks.load.process import Running, StartError, cpu_seconds, serving
from benchmarks.load.roster import FLOOR, Installed, Server
from benchmarks.load.scenarios import Scenario
from benchmarks.load.stats import Sample, summarise

__all__ = ["Plan", "progress", "run_load"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure. Times in whole seconds (wrk takes no others)."""

    servers: Sequence[Server]
    scenarios: Sequence[Scenario]
    rounds: int = 3
    seconds: int = 4
    warm_up: int = 1
    server_core: int = 0
    load_core: int = 1


@dataclass(slots=True)
class Outcome:
    """What a run gathers. A server that fails a scenario once is out of it for good."""

    samples: list[Sample] = field(default_factory=list)
    refused: dict[tuple[str, str], str] = field(default_factory=dict)

    def refuse(self, server: Server, scenario: Scenario, reason: str) -> None:
        self.refused[server.name, scenario.name] = reason
        key = (server.name, scenario.name)
        self.samples = [sample for sample in self.samples if (sample.server, sample.scenario) != key]
        progress(f"  {server.name} {scenario.name}: REFUSED, {reason}")

    def open(self, server: Server, scenarios: Sequence[Scenario]) -> list[Scenario]:
        return [s for s in scenarios if server.supports(s) and (server.name, s.name) not in self.refused]


def progress(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def run_load(plan: Plan) -> dict[str, Any]:
    """Measures and returns the result document (see ``benchmarks/README.md`` for its fields)."""
    facts = machine_facts()
    if warning := busy_warning(facts["load_average"]):
        progress(f"warning: {warning}")
    installed = Installed.look()
    absent = {s.name: reason for s in plan.servers if (reason := installed.absence(s))}
    for name, reason in absent.items():
        progress(f"absent: {name} ({reason})")
    present = [server for server in plan.servers if server.name not in absent]
    outcome = Outcome()
    for number in range(plan.rounds):
        # There and back: a drift of the machine during a round favours nobody over the whole run.
        for server in present if number % 2 == 0 else reversed(present):
            progress(f"round {number + 1}/{plan.rounds}: {server.name}")
            measure_server(plan, server, number, outcome)
    return {
        "kind": "load",
        "facts": {**facts, "versions": versions(installed)},
        "settings": {
            "rounds": plan.rounds,
            "seconds": plan.seconds,
            "warm_up": plan.warm_up,
            "connections": wrk.CONNECTIONS,
            "server_core": plan.server_core,
            "load_core": plan.load_core,
            "floor": FLOOR,
        },
        "servers": {server.name: server.title for server in present},
        "scenarios": {scenario.name: scenario.title for scenario in plan.scenarios},
        "absent": absent,
        "refused": [
            {"server": server, "scenario": scenario, "reason": reason}
            for (server, scenario), reason in outcome.refused.items()
        ],
        "summary": summarise(outcome.samples),
        "samples": [sample.record() for sample in outcome.samples],
    }


def versions(installed: Installed) -> dict[str, Any]:
    return {
        "project": dict(installed.project),
        "peers": dict(installed.peers),
        "node": {name: installed.node[name] for name in ("fastify", "ajv") if name in installed.node},
        "programs": dict(installed.programs),
        "twin": installed.twin,
    }


def measure_server(plan: Plan, server: Server, number: int, outcome: Outcome) -> None:
    """One server's turn: a start per variant of the application, and one more after each that broke it."""
    for variant, group in groupby(
        outcome.open(server, plan.scenarios), key=lambda scenario: scenario.variant
    ):
        waiting = list(group)
        while waiting:
            try:
                with serving(server, variant, core=plan.server_core) as running:
                    measure_until_failure(plan, server, running, number, waiting, outcome)
            except StartError as error:
                for scenario in waiting:
                    outcome.refuse(server, scenario, f"does not start: {error}")
                return


def measure_until_failure(
    plan: Plan, server: Server, running: Running, number: int, waiting: list[Scenario], outcome: Outcome
) -> None:
    """Takes scenarios off ``waiting``; returns when none is left or the process needs a fresh start."""
    for scenario in list(waiting):
        if problem := check(running.port, scenario, strict=server.strict):
            outcome.refuse(server, scenario, problem)
            waiting.remove(scenario)
            if not running.alive():
                return
    for scenario in list(waiting):
        waiting.remove(scenario)
        try:
            sample = measure_scenario(plan, server, running, number, scenario)
        except (wrk.WrkError, RefusedLoad) as error:
            outcome.refuse(server, scenario, str(error))
            return
        outcome.samples.append(sample)
        slowest = "" if sample.p99_ms is None else f", p99 {sample.p99_ms:.2f} ms"
        progress(
            f"  {scenario.name:<9} {sample.rate:>9,.0f} req/s, {sample.cpu_us:>7.2f} us CPU each{slowest}"
        )


class RefusedLoad(Exception):
    """A load with errors in it: no figure comes of it."""


def measure_scenario(plan: Plan, server: Server, running: Running, number: int, scenario: Scenario) -> Sample:
    """Warm-up, load between two readings of the CPU time, and a last look that the answers are right.

    Raises:
        RefusedLoad: any error during the load, or a wrong answer after it.
        WrkError: wrk itself failed.
    """
    if plan.warm_up:
        wrk.run(running.port, scenario, plan.warm_up, core=plan.load_core)
    before = cpu_seconds(running.process.pid)
    load = wrk.run(running.port, scenario, plan.seconds, core=plan.load_core)
    spent = cpu_seconds(running.process.pid) - before
    if load.errors or not load.requests:
        raise RefusedLoad(f"{load.errors} errors in {load.requests} requests")
    if problem := check(running.port, scenario, strict=False):
        raise RefusedLoad(f"after the load: {problem}")
    return Sample(
        number, server.name, scenario.name, load.requests, load.seconds, spent, load.p50_ms, load.p99_ms
    )
