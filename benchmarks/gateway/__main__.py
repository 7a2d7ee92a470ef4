"""What a request costs on its way through a gateway, beside other proxies:  python -m benchmarks.gateway [--seconds N]

One proxy at a time, one worker, on a core of its own; the upstream (nginx) and the clients have another. Rounds are
interleaved and the median counts. ``cpu``: microseconds of the proxy's CPU time for each request, which a busy machine
disturbs least; ``rate``: requests a second that wrk got.

Scenarios: ``1k`` (responses of 1 kB over kept connections), ``1m`` (1 MB), ``latency`` (milliseconds that 1 kB takes at
half the proxy's own peak rate, sent at a constant rate and timed from when each request was due; ``added``: above what
it takes straight to the upstream at that rate), ``streams`` (resident memory for each large answer whose client does
not read on) and ``tunnels`` (for each WebSocket that is open and idle); the last two in the first round alone. Ours
runs as it is (``ours``), with 600 routes (``ours-600``), and with JWT, a limit and metrics (``ours-policies``). haproxy
takes part where it is installed, Node with http-proxy where that is among the modules of ``benchmarks/load``, and with
its own modules alone (``node``) in any case.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.facts import machine_facts, tell
from benchmarks.gateway.loads import Sample, Switching, added, loaded, process, stalled, tunnelled
from benchmarks.gateway.proxies import CONTESTANTS, Absent, fields_for, nginx_command
from benchmarks.load.process import free_port
from benchmarks.load.wrk import WrkError
from framework.net.loop import run as run_loop

Samples = dict[str, dict[str, list[Sample]]]

FILES = {"small": 1024, "large": 1_048_576, "huge": 64 * 1_048_576}
VARIANTS = ("ours-600", "ours-policies")
LEFT_OUT: Mapping[str, tuple[str, ...]] = {
    "1k": (),
    "1m": VARIANTS,
    "latency": VARIANTS,
    "streams": (*VARIANTS, "nginx"),  # which writes to files what its clients do not read
    "tunnels": (*VARIANTS, "node", "aiohttp"),  # which do not know them as they are set up here
}
ONCE = ("streams", "tunnels")
PROXY_CORE, OTHER_CORE = 0, 1


class Bench:
    """The upstreams, and what was measured before them."""

    def __init__(self, options: argparse.Namespace, folder: Path, backing: int, switcher: str) -> None:
        self.samples: Samples = {}
        self.absent: dict[str, str] = {}
        self._options = options
        self._folder = folder
        self._backing = backing
        self._switcher = switcher

    async def round(self, number: int) -> None:
        for contestant in self._options.contestants:
            for scenario in self._options.scenarios:
                if contestant in LEFT_OUT[scenario] or (number and scenario in ONCE):
                    continue
                try:
                    found = await self._one(contestant, scenario)
                except Absent as why:
                    self.absent[contestant] = str(why)
                    break
                except WrkError as why:
                    self.absent[f"{contestant}, {scenario}"] = str(why)
                    continue
                rounds = self.samples.setdefault(scenario, {}).setdefault(contestant, [])
                rounds.append({"round": number, **found})
                sys.stderr.write(f"{scenario:8} {contestant:14} {json.dumps(found)}\n")

    async def _one(self, contestant: str, scenario: str) -> Sample:
        options, port, fields = self._options, free_port(), fields_for(contestant)
        upstream = self._switcher if scenario == "tunnels" else f"http://127.0.0.1:{self._backing}"
        command = CONTESTANTS[contestant](self._folder, upstream, port)
        with process(command, port, PROXY_CORE) as pid:
            if scenario == "tunnels":
                return await tunnelled(port, pid, options.tunnels)
            if scenario == "streams":
                return stalled(port, pid, "/huge", options.streams)
            path, connections = ("/large", 8) if scenario == "1m" else ("/small", options.connections)
            load = loaded(port, pid, path, fields, connections, options.seconds, OTHER_CORE)
            if scenario != "latency":
                return load
            half = round(load["rate"] / 2)
            return added(port, self._backing, path, fields, half, options.seconds, OTHER_CORE)


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    facts = machine_facts()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, size in FILES.items():
            with (folder / file).open("wb") as opened:
                opened.truncate(size)
        backing = free_port()
        try:
            served = nginx_command(
                folder, backing, f"sendfile on; server {{ listen 127.0.0.1:{backing}; root {folder}; }}"
            )
        except Absent as why:
            raise SystemExit(f"nginx is the upstream: {why}") from None
        switching = await asyncio.get_running_loop().create_server(Switching, "127.0.0.1", 0, backlog=4096)
        switcher = f"http://127.0.0.1:{switching.sockets[0].getsockname()[1]}"
        bench = Bench(options, folder, backing, switcher)
        with process(served, backing, OTHER_CORE):
            for number in range(options.rounds):
                await bench.round(number)
        switching.close()
    told = ("rounds", "seconds", "connections", "streams", "tunnels")
    return {
        "kind": "gateway",
        "facts": facts,
        "settings": {name: getattr(options, name) for name in told},
        "absent": bench.absent,
        "summary": summed(bench.samples),
        "samples": bench.samples,
    }


def summed(samples: Samples) -> dict[str, dict[str, Sample]]:
    """Medians over the rounds."""
    return {
        scenario: {
            contestant: {
                key: round(median(one[key] for one in rounds), 3) for key in rounds[0] if key != "round"
            }
            for contestant, rounds in contestants.items()
        }
        for scenario, contestants in samples.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.gateway", description=__doc__)
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--tunnels", type=int, default=5000)
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--scenarios", nargs="+", choices=LEFT_OUT, default=list(LEFT_OUT))
    parser.add_argument("--contestants", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS))
    parser.add_argument("--out", type=Path, help="write the results here as JSON")
    options = parser.parse_args()
    os.sched_setaffinity(0, {OTHER_CORE})
    tell(run_loop(measure(options)), options.out)


if __name__ == "__main__":
    main()
