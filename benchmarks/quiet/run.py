"""Runs the programs one after the other and writes a result document for each."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.facts import ROOT, busy_warning, machine_facts
from benchmarks.load.roster import Installed
from benchmarks.load.run import progress
from benchmarks.quiet.programs import Program, Scale, Step

__all__ = ["QUIET_SHARE", "ProgramError", "busy_share", "quietness", "run_program", "run_quiet"]

# Of all cores: what the rest of the machine may take in the second before a program.
QUIET_SHARE = 0.05
LOOK_SECONDS = 1.0


class ProgramError(Exception):
    """A program ended with an error, or not at all, or with something else than a result."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine before a program: load average before the whole run, share of the cores that others take now."""

    facts: dict[str, Any]
    load_average: float
    others: float

    def stamp(self, document: dict[str, Any]) -> None:
        """Puts this in place of what the program saw, whose load average was that of the programs before it."""
        document["facts"] = {**self.facts, **document.get("facts", {})}
        document["facts"].update(load_average=self.load_average, others_busy=round(self.others, 3))


def quietness(facts: dict[str, Any]) -> str | None:
    """Why a result's figures are not to be trusted, or None when nothing else ran."""
    if warning := busy_warning(facts["load_average"]):
        return warning
    others = facts.get("others_busy", 0.0)
    if others > QUIET_SHARE:
        return f"others took {others:.0%} of the machine just before this program"
    return None


def run_quiet(programs: Sequence[Program], scale: Scale, folder: Path) -> dict[str, dict[str, Any]]:
    """Returns the documents by kind; each is in ``folder`` as soon as it is there.

    A program that fails is told and left out: the others still run.
    """
    facts = machine_facts()
    if warning := busy_warning(facts["load_average"]):
        progress(f"warning: {warning}")
    installed = Installed.look()
    documents: dict[str, dict[str, Any]] = {}
    for number, program in enumerate(programs, 1):
        head = f"[{number}/{len(programs)}] {program.name}"
        if reason := program.missing():
            progress(f"{head}: absent, {reason}")
            continue
        absent = program.absent_peers(installed)
        for name, reason in absent.items():
            progress(f"{head}: without {name}, {reason}")
        machine = Machine(facts, facts["load_average"], busy_share(LOOK_SECONDS))
        progress(
            f"{head}: about {program.estimate(scale):.0f} s; others take {machine.others:.0%} of the cores"
        )
        began = time.monotonic()
        try:
            document = run_program(program, scale)
        except ProgramError as error:
            progress(f"{head}: FAILED, {error}")
            continue
        took = time.monotonic() - began
        machine.stamp(document)
        document["kind"] = program.name
        document["absent"] = {**absent, **document.get("absent", {})}
        settings = {"rounds": scale.rounds, "seconds": scale.seconds, **document.get("settings", {})}
        document["settings"] = {**settings, "took_seconds": round(took, 1)}
        documents[program.name] = document
        path = folder / f"{program.name}.json"
        path.write_text(json.dumps(document, indent=1) + "\n")
        progress(f"{head}: {took:.0f} s, written: {path}")
    return documents


def run_program(program: Program, scale: Scale) -> dict[str, Any]:
    """Raises ProgramError."""
    limit = 60 + 3 * program.estimate(scale)
    with tempfile.TemporaryDirectory(prefix="bench-quiet-") as name:
        texts = [run_step(step, limit) for step in program.steps(scale, Path(name))]
        try:
            return program.read(texts)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise ProgramError(f"its result cannot be read: {error!r}") from error


def run_step(step: Step, limit: float) -> str:
    """The result's text. With code 1 a program that wrote its result says that an aim was missed, and no more.

    Raises:
        ProgramError: no end within ``limit`` seconds, an error, or no result.
    """
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            step.command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
        try:
            printed, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            raise ProgramError(f"not done within {limit:.0f} s") from None
        finally:
            _end(process)
        errors.seek(0)
        last = errors.read().strip()[-600:]
    written = step.out is not None and step.out.exists()
    if process.returncode and not (written and process.returncode == 1 and "Traceback" not in last):
        raise ProgramError(f"code {process.returncode}: {last}")
    if step.out is None:
        return printed
    if not written:
        raise ProgramError("it wrote no result")
    return step.out.read_text()


def _end(process: subprocess.Popen[str]) -> None:
    """Ends what the program left behind, and the program itself after an interrupt."""
    if process.poll() is None:
        for number in (signal.SIGINT, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
                break
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.stdout is not None:
        process.stdout.close()


def busy_share(
    seconds: float,
    *,
    read: Callable[[], str] = lambda: Path("/proc/stat").read_text(),
    sleep: Callable[[float], None] = time.sleep,
) -> float:
    """The share of all cores' time that was not idle for so long, between 0 and 1; this process only waits."""
    before = _ticks(read())
    sleep(seconds)
    after = _ticks(read())
    total = sum(after) - sum(before)
    idle = after[3] + after[4] - before[3] - before[4]
    return 0.0 if total <= 0 else 1 - idle / total


def _ticks(stat: str) -> list[int]:
    """user, nice, system, idle, iowait, irq, softirq and steal of all cores (proc(5); guest time is in user)."""
    return [int(field) for field in stat.split("\n", 1)[0].split()[1:9]]
