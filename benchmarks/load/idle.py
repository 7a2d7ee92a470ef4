"""Memory of idle keep-alive connections: what a server grows by for each, and that all of them still answer.

Resident memory of the process and its children, in user space: the kernel's socket buffers are not in it.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.facts import machine_facts
from benchmarks.load.process import StartError, pinned, rss_kib, serving
from benchmarks.load.roster import ROOT, Installed, Server
from benchmarks.load.run import progress, versions
from benchmarks.load.scenarios import Variant

__all__ = ["DEFAULT_SERVERS", "IdlePlan", "run_idle", "shares"]

DEFAULT_SERVERS = (
    "floor",
    "framework",
    "framework-pure",
    "httptools",
    "uvicorn",
    "starlette",
    "granian-rsgi",
    "granian-asgi",
    "sanic",
    "aiohttp",
    "node",
    "nginx",
)
# One holder's share: well under the file limit of a process and the ports of one source address.
HOLDER_CONNECTIONS = 5_000
SETTLE_SECONDS = 1.0


class IdleError(Exception):
    """Connections were not opened, or did not answer."""


@dataclass(frozen=True, slots=True)
class IdlePlan:
    servers: Sequence[Server]
    connections: int = 10_000
    rounds: int = 3
    server_core: int = 0
    load_core: int = 1


def shares(connections: int) -> list[tuple[str, int]]:
    """Source address and number of connections of each holder: an even number of holders, for two halves.

    Raises:
        ValueError: fewer than two connections.
    """
    if connections < 2:
        raise ValueError("at least two connections are needed to tell what one costs")
    holders = 2 * -(-connections // (2 * HOLDER_CONNECTIONS))
    size, rest = divmod(connections, holders)
    return [(f"127.0.0.{number + 2}", size + (number < rest)) for number in range(holders)]


def run_idle(plan: IdlePlan) -> dict[str, Any]:
    """Measures every server in interleaved rounds and returns the result document."""
    raise_file_limit(plan.connections + 500)
    facts = machine_facts()
    installed = Installed.look()
    absent = {s.name: reason for s in plan.servers if (reason := installed.absence(s))}
    present = [server for server in plan.servers if server.name not in absent]
    figures: dict[str, list[dict[str, float]]] = {}
    refused: dict[str, str] = {}
    for number in range(plan.rounds):
        for server in present:
            if server.name in refused:
                continue
            try:
                figure = measure(plan, server)
            except (IdleError, StartError) as error:
                refused[server.name] = str(error)
                progress(f"round {number + 1}/{plan.rounds}: {server.name} REFUSED, {error}")
                continue
            figures.setdefault(server.name, []).append(figure)
            progress(
                f"round {number + 1}/{plan.rounds}: {server.name:<14} "
                f"{figure['kib_per_connection']:6.2f} KiB per connection, {figure['rss_mib']:.0f} MiB in all"
            )
    return {
        "kind": "idle",
        "facts": {**facts, "versions": versions(installed)},
        "settings": {"connections": plan.connections, "rounds": plan.rounds},
        "servers": {server.name: server.title for server in present},
        "absent": absent,
        "refused": [{"server": server, "reason": reason} for server, reason in refused.items()],
        "summary": {
            server: {key: round(median(figure[key] for figure in taken), 3) for key in taken[0]}
            for server, taken in figures.items()
            if server not in refused
        },
    }


def measure(plan: IdlePlan, server: Server) -> dict[str, float]:
    """One server with all connections open.

    What a connection costs is taken between half of them and all: a process begins with free memory that its
    imports left behind, and the first connections fill that before it grows.

    Raises:
        StartError: the server does not come up.
        IdleError: a connection was refused, or one that was idle no longer answers.
    """
    parts = shares(plan.connections)
    with serving(server, Variant(), core=plan.server_core) as running:
        pid = running.process.pid
        with holding(running.port, [("127.0.0.1", 64)], plan.load_core):
            pass
        empty = settled_kib(pid)
        half = (len(parts) + 1) // 2
        with holding(running.port, parts[:half], plan.load_core) as first:
            middle = settled_kib(pid)
            with holding(running.port, parts[half:], plan.load_core) as second:
                full = settled_kib(pid)
                alive = sum(ask(holder, "alive") for holder in (*first, *second))
        if alive != plan.connections:
            raise IdleError(f"only {alive} of {plan.connections} idle connections still answer")
    return {
        "kib_per_connection": (full - middle) / sum(count for _, count in parts[half:]),
        "empty_mib": empty / 1024,
        "rss_mib": full / 1024,
        "alive": alive,
    }


def settled_kib(pid: int) -> int:
    time.sleep(SETTLE_SECONDS)
    return rss_kib(pid)


@contextmanager
def holding(port: int, parts: Sequence[tuple[str, int]], core: int) -> Iterator[list[subprocess.Popen[str]]]:
    """Holders with their connections open, one after the other so that they do not disturb each other."""
    with ExitStack() as stack:
        holders = []
        for source, count in parts:
            command = [sys.executable, "-m", "benchmarks.load.holder", str(port), str(count), source]
            holder = stack.enter_context(
                subprocess.Popen(
                    pinned(core, command),
                    cwd=ROOT,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            stack.callback(holder.kill)
            if (opened := read_count(holder, "open")) != count:
                raise IdleError(f"{opened} of {count} connections opened")
            holders.append(holder)
        yield holders


def ask(holder: subprocess.Popen[str], word: str) -> int:
    assert holder.stdin is not None
    holder.stdin.write("again\n")
    holder.stdin.flush()
    return read_count(holder, word)


def read_count(holder: subprocess.Popen[str], word: str) -> int:
    assert holder.stdout is not None
    line = holder.stdout.readline().split()
    if len(line) != 2 or line[0] != word:
        assert holder.stderr is not None
        raise IdleError(holder.stderr.read()[-300:].strip() or "the client ended")
    return int(line[1])


def raise_file_limit(wanted: int) -> None:
    """Lifts the soft limit of open files for this process and those it starts.

    Raises:
        ValueError: the hard limit is lower than what is wanted.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise ValueError(f"{wanted} open files wanted, the hard limit is {hard}: ask for fewer --connections")
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
