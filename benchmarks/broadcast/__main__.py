"""``python -m benchmarks.broadcast``: deliveries per second to 500 members, by server and messages outstanding.

The servers take turns, there in one round and back in the next; server and load are pinned to a core each. Ratios are
taken inside a round, and their median is told. ``floor`` is the raw joined floor.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.facts import machine_facts
from benchmarks.load.process import free_port, pinned
from benchmarks.load.roster import PEERS_PYTHON, ROOT

HERE = Path(__file__).parent
NODE_MODULES = ROOT / "benchmarks" / "load" / "node_modules"
OURS = "channel"
SERVERS: dict[str, list[str]] = {
    "floor": [sys.executable, "-m", "benchmarks.broadcast.servers.floor"],
    OURS: [sys.executable, "-m", "benchmarks.broadcast.servers.channel"],
    "socketify": [str(PEERS_PYTHON), "-m", "benchmarks.broadcast.servers.socketify_topic"],
    "websockets": [str(PEERS_PYTHON), "-m", "benchmarks.broadcast.servers.websockets_broadcast"],
    "node-ws": ["node", str(HERE / "servers" / "node_ws.mjs")],
}
START_TIMEOUT = 20.0


def absent(name: str) -> str | None:
    """Why a server cannot be started here, or None."""
    if name == "node-ws":
        return None if (NODE_MODULES / "ws").exists() else "ws is not in benchmarks/load/node_modules"
    if name in ("floor", OURS):
        return None
    if not PEERS_PYTHON.exists():
        return "no .venv-bench: python benchmarks/setup_peers.py"
    done = subprocess.run(
        [str(PEERS_PYTHON), "-c", f"import {name}"], capture_output=True, check=False, cwd="/"
    )
    return None if done.returncode == 0 else f"{name} is not in .venv-bench"


def load(name: str, depth: int, options: argparse.Namespace) -> dict[str, Any]:
    """Starts a server, loads it, stops it."""
    port = free_port()
    command = pinned(options.server_core, [*SERVERS[name], str(port)])
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port, server)
        asked = {"port": port, "pid": server.pid, "depth": depth, "members": options.members}
        asked |= {"size": options.size, "seconds": options.seconds}
        arguments = [f"--{key}={value}" for key, value in asked.items()]
        client = [sys.executable, "-m", "benchmarks.broadcast.load", *arguments]
        done = subprocess.run(
            pinned(options.load_core, client),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        if done.returncode != 0:
            return {"problem": done.stderr.strip()[-300:]}
        result: dict[str, Any] = json.loads(done.stdout)
        return result
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit("a server did not start")


def summarise(samples: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Medians of the rounds, and of the ratios within each."""
    found: dict[str, dict[str, Any]] = {}
    for name, rounds in samples.items():
        problems = [each["problem"] for each in rounds if "problem" in each]
        if problems:
            found[name] = {"problem": problems[0]}
            continue
        found[name] = {key: median(each[key] for each in rounds) for key in ("rate", "cpu_us")}
        found[name]["samples"] = rounds
        ours = samples.get(OURS, [])
        if len(ours) == len(rounds) and not any("problem" in each for each in ours):
            pairs = list(zip(ours, rounds, strict=True))
            found[name]["ours_to_its_rate"] = median(mine["rate"] / its["rate"] for mine, its in pairs)
            found[name]["its_to_our_cpu"] = median(its["cpu_us"] / mine["cpu_us"] for mine, its in pairs)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.broadcast", description=__doc__)
    parser.add_argument("--servers", default=",".join(SERVERS), metavar="A,B")
    parser.add_argument("--depths", default="1,8", metavar="N,N", help="messages outstanding")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--members", type=int, default=500)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--server-core", type=int, default=0)
    parser.add_argument("--load-core", type=int, default=1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    missing = {name: why for name in options.servers.split(",") if (why := absent(name))}
    names = [name for name in options.servers.split(",") if name not in missing]
    summary: dict[str, Any] = {}
    facts = machine_facts()
    for depth in map(int, options.depths.split(",")):
        samples: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
        for number in range(options.rounds):
            for name in names if number % 2 == 0 else reversed(names):
                samples[name].append(load(name, depth, options))
        summary[f"{depth} outstanding"] = found = summarise(samples)
        for name, each in found.items():
            if "problem" in each:
                print(f"{depth} outstanding {name:<12} refused: {each['problem']}", file=sys.stderr)
                continue
            ratio = each.get("ours_to_its_rate", 0.0)
            print(
                f"{depth} outstanding {name:<12} {each['rate']:>12,.0f}/s {each['cpu_us']:7.3f} us"
                f"   ours {ratio:.2f} x",
                file=sys.stderr,
            )
    document = {
        "kind": "broadcast",
        "facts": facts,
        "settings": {key: str(value) for key, value in vars(options).items()},
        "absent": missing,
        "summary": summary,
    }
    if options.out is not None:
        options.out.write_text(json.dumps(document, indent=1))
    return 1 if any("problem" in each.get(OURS, {}) for each in summary.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
