"""What a quiet run consists of: each program's commands, what it needs, how long it takes, how its output is read."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.load.process import pinned
from benchmarks.load.roster import PEERS_PYTHON, Installed, distributions
from benchmarks.micro.run import GROUPS

__all__ = ["PROGRAMS", "Program", "Scale", "Step", "choose", "select"]

Document = dict[str, Any]
MICRO = tuple(group for group in ("layers", "channels", "pool", "ratelimit", "cache") if group in GROUPS)
IDLE_CONNECTIONS = 15_000
FLOOD = 10_000_000
CACHE_REQUESTS = 100_000


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of each program: rounds, and whole seconds of each load."""

    rounds: int
    seconds: int


SCALES = (Scale(1, 1), Scale(2, 1), Scale(3, 1), Scale(3, 2), Scale(5, 2), Scale(5, 3), Scale(7, 4))


@dataclass(frozen=True, slots=True)
class Step:
    """One command; what it writes to ``out`` is read, or its standard output where that is None."""

    command: Sequence[str]
    out: Path | None


@dataclass(frozen=True, slots=True)
class Program:
    """One kind of result.

    ``fixed``: seconds it takes at any scale; ``loads``: how many loads a round has, each of ``Scale.seconds`` and
    ``overhead`` seconds (start, warm-up, stop). ``missing`` says why it cannot run here, by what is not there;
    ``peers`` which contestants will be absent from the result, which runs nonetheless.
    """

    name: str
    fixed: float
    loads: int
    overhead: float
    steps: Callable[[Scale, Path], list[Step]]
    read: Callable[[list[str]], Document]
    programs: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()

    def estimate(self, scale: Scale) -> float:
        """Seconds."""
        return self.fixed + self.loads * scale.rounds * (scale.seconds + self.overhead)

    def missing(self) -> str | None:
        absent = [f"{name} (a program)" for name in self.programs if shutil.which(name) is None]
        absent += [
            f"{name} (python benchmarks/setup_peers.py)"
            for name in self.modules
            if find_spec(name) is None and name not in modules_of_peers()
        ]
        return None if not absent else f"needs {', '.join(absent)}"

    def absent_peers(self, installed: Installed) -> dict[str, str]:
        return {
            name: "not in .venv-bench: python benchmarks/setup_peers.py"
            for name in self.peers
            if name not in installed.peers
        }


@cache
def modules_of_peers() -> frozenset[str]:
    """What the peers' environment has, as modules are spelt."""
    return frozenset(name.replace("-", "_") for name in distributions(PEERS_PYTHON))


def module(name: str, *options: object, peers: tuple[str, ...] = ()) -> list[str]:
    """A module of this project. Where ``peers``, which it imports itself, are not in this environment, in theirs."""
    here = all(find_spec(peer) is not None for peer in peers)
    python = sys.executable if here or not PEERS_PYTHON.exists() else str(PEERS_PYTHON)
    return [python, "-m", name, *map(str, options)]


def loads_json(texts: list[str]) -> Document:
    document: Document = json.loads(texts[-1])
    return document


def one(
    name: str, *options: object, rounds: bool = False, seconds: bool = False, peers: tuple[str, ...] = ()
) -> Callable[[Scale, Path], list[Step]]:
    """A program that writes its document itself."""

    def steps(scale: Scale, folder: Path) -> list[Step]:
        out = folder / "out.json"
        given = [*options, *(("--rounds", scale.rounds) if rounds else ())]
        given += ("--seconds", scale.seconds) if seconds else ()
        return [Step(module(name, *given, "--out", out, peers=peers), out)]

    return steps


def micro(scale: Scale, folder: Path) -> list[Step]:
    out = folder / "out.json"
    return [Step(pinned(0, module("benchmarks", "micro", "--groups", ",".join(MICRO), "--out", out)), out)]


def pool(scale: Scale, folder: Path) -> list[Step]:
    out = folder / "out.json"
    return [Step(module("benchmarks.micro.pool", "--out", out, peers=("asyncpg", "psycopg_pool")), out)]


def cache(scale: Scale, folder: Path) -> list[Step]:
    out = folder / "out.json"
    given = ("--requests", CACHE_REQUESTS, "--out", out)
    return [Step(pinned(0, module("benchmarks.cache", *given, peers=("theine", "cachebox"))), out)]


def read_cache(texts: list[str]) -> Document:
    return {"summary": json.loads(texts[0])["rows"], "settings": {"requests": CACHE_REQUESTS}}


ECHOES = {
    "text64": "listener,handler,picows_echo,aiohttp_echo,socketify_echo,websockets_echo",
    "pipelined": "listener,picows_echo,socketify_echo",
    "binary16k": "listener,picows_echo,socketify_echo",
}


def websocket(scale: Scale, folder: Path) -> list[Step]:
    steps = []
    for scenario, servers in ECHOES.items():
        out = folder / f"{scenario}.json"
        asked = ("--scenarios", scenario, "--servers", servers)
        length = ("--rounds", scale.rounds, "--seconds", scale.seconds)
        steps.append(Step(module("benchmarks.websocket.run", *asked, *length, "--out", out), out))
    return steps


def read_websocket(texts: list[str]) -> Document:
    """From the samples by scenario, server and round: medians, and ratios to the listener taken inside rounds."""
    samples: dict[str, Any] = {}
    for text in texts:
        samples.update(json.loads(text))
    summary: dict[str, Any] = {}
    for scenario, servers in samples.items():
        ours = {sample["round"]: sample["cpu_us"] for sample in servers.get("listener", [])}
        summary[scenario] = {
            server: {
                "rounds": len(found),
                "cpu_us": round(median(sample["cpu_us"] for sample in found), 3),
                "rate": round(median(sample["rate"] for sample in found)),
                "to_listener": middle([s["cpu_us"] / ours[s["round"]] for s in found if s["round"] in ours]),
            }
            for server, found in servers.items()
        }
    return {"summary": summary, "samples": samples}


def middle(values: list[float]) -> float | None:
    return round(median(values), 3) if values else None


def websocket_idle(scale: Scale, folder: Path) -> list[Step]:
    given = ("--servers", "listener,handler", "--idle", IDLE_CONNECTIONS)
    return [Step(module("benchmarks.websocket.run", *given), None)]


IDLE_LINE = re.compile(r"^idle\s+(\S+)\s+([\d.]+) KiB each, (\d+) open", re.MULTILINE)


def read_idle(texts: list[str]) -> Document:
    found = IDLE_LINE.findall(texts[0])
    if not found:
        raise ValueError("no figure in what benchmarks.websocket.run --idle printed")
    return {
        "summary": {server: {"kib": float(kib), "connections": int(count)} for server, kib, count in found}
    }


def ratelimit_redis(scale: Scale, folder: Path) -> list[Step]:
    command = module("benchmarks.ratelimit_redis", "--seconds", scale.seconds, peers=("limits",))
    return [Step(pinned(0, command), None)] * scale.rounds


def read_ratelimit(texts: list[str]) -> Document:
    """Medians over whole runs, each of which has had every contestant in turn."""
    rows: dict[str, list[Document]] = {}
    absent: dict[str, str] = {}
    for text in texts:
        for row in json.loads(text)["figures"]:
            if "absent" in row:
                absent[row["name"]] = row["absent"]
            else:
                rows.setdefault(row["name"], []).append(row)
    summary = {
        name: {key: median(row[key] for row in found) for key in ("per_second", "cpu_us")}
        for name, found in rows.items()
    }
    return {"summary": summary, "absent": absent, "samples": rows}


def ratelimit_flood(scale: Scale, folder: Path) -> list[Step]:
    return [Step(pinned(0, module("benchmarks.ratelimit_redis", "--flood", FLOOD)), None)]


def read_flood(texts: list[str]) -> Document:
    return {"summary": json.loads(texts[0])["flood"]}


PROXIES = ("ours", "ours-600", "ours-policies", "nginx", "http-proxy", "aiohttp")
SERVED = ("uvicorn", "httptools", "starlette", "fastapi")
PROGRAMS: tuple[Program, ...] = (
    Program("startup", 5, 0, 0, one("benchmarks.startup"), loads_json),
    Program("micro", 20, 0, 0, micro, loads_json),
    Program("pool", 18, 0, 0, pool, loads_json, ("psql",), ("asyncpg", "psycopg_pool")),
    Program(
        "ratelimit-redis", 0, 9, 0.2, ratelimit_redis, read_ratelimit, ("redis-server",), ("limits", "redis")
    ),
    Program("ratelimit-flood", 25, 0, 0, ratelimit_flood, read_flood),
    Program("cache", 14, 0, 0, cache, read_cache, peers=("theine", "cachebox")),
    Program(
        "websocket",
        2,
        12,
        2.0,
        websocket,
        read_websocket,
        peers=("picows", "aiohttp", "socketify", "websockets"),
    ),
    Program("websocket-idle", 20, 0, 0, websocket_idle, read_idle),
    Program(
        "broadcast",
        2,
        8,
        1.5,
        one(
            "benchmarks.broadcast",
            "--servers",
            "floor,channel,socketify,websockets",
            rounds=True,
            seconds=True,
        ),
        loads_json,
        peers=("socketify", "websockets"),
    ),
    Program(
        "asgi",
        5,
        14,
        2.0,
        one("benchmarks.asgi", "--servers", "framework,uvicorn", rounds=True, seconds=True, peers=SERVED),
        loads_json,
        ("wrk",),
        SERVED,
    ),
    Program(
        "observed", 0, 3, 2.2, one("benchmarks.observed", rounds=True, seconds=True), loads_json, ("wrk",)
    ),
    Program("workers", 0, 3, 3.0, one("benchmarks.workers", rounds=True, seconds=True), loads_json, ("wrk",)),
    Program(
        "files",
        20,
        4,
        2.0,
        one("benchmarks.files", rounds=True, seconds=True, peers=SERVED[:3]),
        loads_json,
        ("wrk", "curl"),
    ),
    Program(
        "client",
        2,
        5,
        2.0,
        one("benchmarks.client", "--exchanges", 5000, rounds=True),
        loads_json,
        peers=("aiohttp",),
    ),
    Program("reload", 60, 0, 0, one("benchmarks.reload"), loads_json),
    # Six on 1 kB, four on 1 MB; four find their peak, and are driven at half of it as the upstream is.
    Program(
        "gateway",
        25,
        22,
        1.5,
        one("benchmarks.gateway", "--contestants", *PROXIES, rounds=True, seconds=True),
        loads_json,
        ("nginx", "wrk"),
        peers=("aiohttp",),
    ),
)


def select(names: str | None) -> tuple[Program, ...]:
    """The programs whose names begin with one of those named (comma-separated), in order; all for None.

    Raises:
        ValueError: a name that no program has.
    """
    if names is None:
        return PROGRAMS
    wanted = [part.strip() for part in names.split(",") if part.strip()]
    for name in wanted:
        if not any(program.name.startswith(name) for program in PROGRAMS):
            known = ", ".join(program.name for program in PROGRAMS)
            raise ValueError(f"unknown program {name}; known are {known}")
    return tuple(program for program in PROGRAMS if program.name.startswith(tuple(wanted)))


def choose(programs: Sequence[Program], minutes: float) -> Scale:
    """The largest scale that fits into the time, the smallest where none does."""
    fitting = [s for s in SCALES if sum(program.estimate(s) for program in programs) <= minutes * 60]
    return fitting[-1] if fitting else SCALES[0]
