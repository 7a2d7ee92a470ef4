"""Reloads a server under load and counts what its clients lose:  python -m benchmarks.reload [RELOADS] [--workers N]

Two loads at once: one keeps its connections, one opens a connection for every third request. Each SIGHUP replaces all
workers; the next comes when the supervisor says that the one before is done. A lost request is a failure: exit code 1.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.facts import machine_facts, tell
from tests.support.load import Load
from tests.support.served import served

APP = """
import os
from framework import App

app = App()

@app.get("/")
def pid() -> str:
    return str(os.getpid())
"""


async def measure(reloads: int, workers: int, clients: int) -> dict[str, Any]:
    """Counts of one run."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "pids.py").write_text(APP)
        async with served("pids:app", Path(folder), workers=workers) as server:
            kept = Load(server.port, clients=clients)
            opened = Load(server.port, clients=clients, per_connection=3)
            start = time.monotonic()
            async with kept, opened:
                await kept.more(100)
                for count in range(1, reloads + 1):
                    server.signal(signal.SIGHUP)
                    await server.says("serving: ", deadline=60)
                    if count % 10 == 0:
                        sys.stderr.write(f"{count} reloads\n")
                await kept.more(100)
            seconds = time.monotonic() - start
            failures = kept.failures + opened.failures
            return {
                "reloads": reloads,
                "workers": workers,
                "seconds": round(seconds, 1),
                "processes_served": len(kept.bodies.keys() | opened.bodies.keys()),
                "answered_on_kept_connections": kept.answered,
                "answered_on_new_connections": opened.answered,
                "failed": sum(failures.values()),
                "failures": dict(failures),
            }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reload", description=__doc__)
    parser.add_argument("reloads", nargs="?", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--clients", type=int, default=8, help="of each of the two loads")
    parser.add_argument("--out", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    facts = machine_facts()
    counts = asyncio.run(measure(arguments.reloads, arguments.workers, arguments.clients))
    tell({"kind": "reload", "facts": facts, "summary": counts}, arguments.out)
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
