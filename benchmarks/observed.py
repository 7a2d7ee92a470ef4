"""What it costs to watch every request:  python -m benchmarks.observed [--rounds N] [--seconds N] [--out FILE]

CPU time per request of ``GET text``: an app with nothing installed (``plain``); with the metrics and logging plugins as
they are by default, so that log lines carry request and trace ids, but no line for each request (``context``); and with
the access log too, written to /dev/null (``access``). The server runs on core 0, wrk with 64 connections on core 1;
rounds go there and back, and ratios are taken inside a round.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.asgi import ask
from benchmarks.facts import ROOT, machine_facts, tell
from benchmarks.load.process import cpu_seconds, free_port, pinned
from benchmarks.load.wrk import DONE, parse
from framework import App, run
from framework.plugins.logs import Logging
from framework.plugins.metrics import Metrics

CASES = ("plain", "context", "access")
CONNECTIONS = 64
DEADLINE = 20.0


def serve(case: str, port: int) -> None:
    """The server process."""
    app = App()
    if case != "plain":
        app.install(Logging())
        app.install(Metrics())

    @app.get("/hello")
    async def hello() -> str:
        return "Hello, World!"

    overrides: dict[str, Any] = {"server.port": port}
    if case != "plain":
        overrides["logging.access"] = "always" if case == "access" else "never"
    run(app, overrides=overrides)


@contextmanager
def serving(case: str) -> Iterator[tuple[int, int]]:
    """A server that answers: its process and port. Raises RuntimeError when it does not within ``DEADLINE``."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.observed", "--serve", case, "--port", str(port)]
    process = subprocess.Popen(
        pinned(0, command), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + DEADLINE
        while ask(port) != 200:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{case} does not answer")
            time.sleep(0.05)
        yield process.pid, port
    finally:
        process.terminate()
        process.wait(10)


def load(port: int, seconds: int, folder: Path) -> int:
    """How many requests were answered. Raises RuntimeError when any failed."""
    script = folder / "count.lua"
    script.write_text(DONE)
    wrk = [
        "wrk",
        "-t1",
        f"-c{CONNECTIONS}",
        f"-d{seconds}s",
        "-s",
        str(script),
        f"http://127.0.0.1:{port}/hello",
    ]
    done = subprocess.run(pinned(1, wrk), capture_output=True, text=True, check=True, timeout=seconds + 30)
    found = parse(done.stdout)
    if found.errors or not found.requests:
        raise RuntimeError(f"{found.errors} of {found.requests} requests failed")
    return found.requests


def measure(rounds: int, seconds: int) -> dict[str, Any]:
    """Medians of CPU microseconds per request, and of the ratios to ``plain``."""
    costs: dict[str, list[float]] = {case: [] for case in CASES}
    with tempfile.TemporaryDirectory() as name:
        for number in range(rounds):
            for case in CASES if number % 2 == 0 else reversed(CASES):
                with serving(case) as (pid, port):
                    load(port, 1, Path(name))
                    before = cpu_seconds(pid)
                    count = load(port, seconds, Path(name))
                    costs[case].append((cpu_seconds(pid) - before) / count * 1e6)
                print(f"{case}: {costs[case][-1]:.2f} us", file=sys.stderr)
    return {
        case: {
            "cpu_us": round(statistics.median(found), 2),
            "to_plain": round(
                statistics.median(one / plain for one, plain in zip(found, costs["plain"], strict=True)), 3
            ),
        }
        for case, found in costs.items()
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.observed", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--out", type=Path, metavar="FILE")
    parser.add_argument("--serve", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        serve(options.serve, options.port)
        return 0
    facts = machine_facts()
    settings = {"rounds": options.rounds, "seconds": options.seconds, "connections": CONNECTIONS}
    summary = measure(options.rounds, options.seconds)
    tell({"kind": "observed", "facts": facts, "settings": settings, "summary": summary}, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
