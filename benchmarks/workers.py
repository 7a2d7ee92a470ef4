"""What a second worker costs:  python -m benchmarks.workers [--rounds N] [--seconds N] [--out FILE]

CPU time per request, of one worker and of two (supervisor included), each worker at equal load: wrk holds 64
connections for each, every one sending a request every few milliseconds. A machine with a core for each worker then
serves ``2 x one / two`` times what one worker does; 2 would be perfect, the aim is 1.8. All workers run on core 0 and
wrk on core 1, so that neither the load generator nor a sibling thread of the core shows in the figure. Beside it, the
cost when two share the load of one: each then wakes more often for less, which costs idle time only.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.facts import machine_facts, tell
from benchmarks.load.process import cpu_seconds, pinned
from benchmarks.load.wrk import DONE, Load, parse
from tests.support.served import served

AIM = 1.8
PAUSE_MS = 8
CONNECTIONS = 64
APP = """
from framework import App

app = App()

@app.get("/")
def hello() -> str:
    return "Hello, World!"
"""


def load(port: int, connections: int, seconds: int, folder: Path) -> Load:
    """Blocks until wrk is done."""
    script = folder / "paced.lua"
    script.write_text(f"function delay() return {PAUSE_MS} end\n{DONE}")
    url = f"http://127.0.0.1:{port}/"
    command = pinned(1, ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), url])
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 30)
    found = parse(done.stdout)
    if found.errors:
        raise SystemExit(f"{found.errors} requests failed")
    return found


async def sample(workers: int, connections: int, seconds: int) -> tuple[float, float]:
    """CPU microseconds for each request, and requests per second."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "hello.py").write_text(APP)
        async with served("hello:app", folder, workers=workers) as server:
            await asyncio.to_thread(load, server.port, connections, 1, folder)
            before = cpu_seconds(server.pid)
            done = await asyncio.to_thread(load, server.port, connections, seconds, folder)
            used = cpu_seconds(server.pid) - before
    return used / done.requests * 1e6, done.requests / done.seconds


async def measure(rounds: int, seconds: int) -> dict[str, Any]:
    cases = {"one": (1, CONNECTIONS), "two": (2, 2 * CONNECTIONS), "two_share": (2, CONNECTIONS)}
    costs: dict[str, list[float]] = {name: [] for name in cases}
    rates: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(rounds):
        for name, (workers, connections) in sorted(cases.items(), reverse=number % 2 == 1):
            cost, rate = await sample(workers, connections, seconds)
            costs[name].append(cost)
            rates[name].append(rate)
            sys.stderr.write(f"{name}: {cost:.2f} us for each of {rate:.0f} requests/s\n")
    scales = [2 * one / two for one, two in zip(costs["one"], costs["two"], strict=True)]
    return {
        "scale": round(statistics.median(scales), 3),
        "scales": [round(scale, 3) for scale in scales],
        "aim": AIM,
        "microseconds": {name: round(statistics.median(found), 2) for name, found in costs.items()},
        "requests_per_second": {name: round(statistics.median(found)) for name, found in rates.items()},
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--out", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    facts = machine_facts()
    os.sched_setaffinity(0, {0})
    found = asyncio.run(measure(arguments.rounds, arguments.seconds))
    settings = {"rounds": arguments.rounds, "seconds": arguments.seconds, "connections": CONNECTIONS}
    tell({"kind": "workers", "facts": facts, "settings": settings, "summary": found}, arguments.out)
    return 0 if found["scale"] >= AIM else 1


if __name__ == "__main__":
    sys.exit(main())
