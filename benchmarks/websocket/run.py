"""WebSocket echoes beside the peers: ``python -m benchmarks.websocket.run``.

Servers are loaded one after the other, in interleaved rounds; each is pinned to one core and the load to another. A
figure is CPU time of the server per message, the median over the rounds; a ratio is taken inside a round. ``--idle``
measures memory per idle WebSocket instead.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.load.process import free_port, pinned
from benchmarks.load.roster import PEERS_PYTHON, ROOT

__all__ = ["SCENARIOS", "SERVERS", "main", "measure"]

OWN = ("listener", "handler")
SERVERS = (*OWN, "picows_echo", "websockets_echo", "aiohttp_echo", "socketify_echo")
SCENARIOS = {
    "text64": ("--size", "64"),
    "pipelined": ("--size", "64", "--depth", "16"),
    "binary16k": ("--size", "16384", "--binary"),
}
START_TIMEOUT = 15.0


@contextmanager
def serving(name: str, core: int) -> Iterator[tuple[int, int]]:
    """Runs a server; yields its port and its process id. Raises RuntimeError when it does not come up."""
    port = free_port()
    python = sys.executable if name in OWN else str(PEERS_PYTHON)
    command = [python, "-m", f"benchmarks.websocket.servers.{name}", str(port)]
    process = subprocess.Popen(
        pinned(core, command), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait(process, port)
        yield port, process.pid
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    import socket

    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("it did not come up; benchmarks/setup_peers.py installs the peers")


def load(port: int, pid: int, core: int, *options: str) -> dict[str, Any]:
    """One load. Raises CalledProcessError when the server does not answer as it should."""
    command = [sys.executable, "-m", "benchmarks.websocket.load", "--port", str(port), "--pid", str(pid)]
    done = subprocess.run(
        pinned(core, [*command, *options]), cwd=ROOT, check=True, capture_output=True, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Per scenario and server the samples of every round."""
    samples: dict[str, dict[str, list[dict[str, Any]]]] = {name: {} for name in options.scenarios}
    for number in range(options.rounds):
        for scenario in options.scenarios:
            for server in options.servers:
                try:
                    with serving(server, options.server_core) as (port, pid):
                        given = ("--seconds", str(options.seconds), *SCENARIOS[scenario])
                        sample = load(port, pid, options.load_core, *given)
                except (RuntimeError, subprocess.CalledProcessError) as error:
                    _say(f"{server}: absent: {error}")
                    continue
                samples[scenario].setdefault(server, []).append({"round": number, **sample})
                _say(
                    f"round {number + 1} {scenario} {server}: {sample['cpu_us']:.2f} us, {sample['rate']:.0f}/s"
                )
    return samples


def summary(samples: dict[str, dict[str, list[dict[str, Any]]]]) -> list[str]:
    """Lines for people: the median, and how many times the listener's it is."""
    lines: list[str] = []
    for scenario, servers in samples.items():
        ours = {sample["round"]: sample["cpu_us"] for sample in servers.get("listener", [])}
        for server, found in servers.items():
            ratios = [one["cpu_us"] / ours[one["round"]] for one in found if one["round"] in ours]
            ratio = f"{median(ratios):5.2f} x listener" if ratios else ""
            figure = median(one["cpu_us"] for one in found)
            lines.append(f"{scenario:10} {server:16} {figure:7.2f} us/message  {ratio}")
    return lines


def idle(options: argparse.Namespace) -> list[str]:
    """Memory per idle WebSocket: the growth from a thousand to ``options.idle`` of them."""
    lines: list[str] = []
    for server in options.servers:
        sizes: list[int] = []
        for count in (1000, options.idle):
            with serving(server, options.server_core) as (port, pid):
                found = load(port, pid, options.load_core, "--idle", "--connections", str(count))
                sizes.append(found["rss_kib"])
        each = (sizes[1] - sizes[0]) / (options.idle - 1000)
        lines.append(f"idle       {server:16} {each:7.2f} KiB each, {options.idle} open")
    return lines


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.websocket.run")
    parser.add_argument("--servers", type=lambda text: text.split(","), default=list(SERVERS))
    parser.add_argument("--scenarios", type=lambda text: text.split(","), default=list(SCENARIOS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--idle", type=int, metavar="N", help="memory per WebSocket, with N of them")
    parser.add_argument("--server-core", type=int, default=0)
    parser.add_argument("--load-core", type=int, default=1)
    parser.add_argument("--out", type=Path, metavar="FILE")
    options = parser.parse_args()
    if options.idle:
        print("\n".join(idle(options)))
        return 0
    samples = measure(options)
    print("\n".join(summary(samples)))
    if options.out:
        options.out.write_text(json.dumps(samples, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
