"""wrk: the script it is given for a scenario, and what it reports."""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.load.process import pinned
from benchmarks.load.scenarios import Scenario
from benchmarks.load.work import HOST

__all__ = ["CONNECTIONS", "Load", "WrkError", "parse", "run", "script"]

CONNECTIONS = 64

# The mark finds our line among wrk's own output. Latencies come in microseconds.
MARK = "bench-result "
DONE = f"""
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '{MARK}{{"requests": %d, "micros": %d, "p50": %d, "p99": %d, "errors": %d}}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


class WrkError(Exception):
    """wrk failed or reported nothing that can be read."""


@dataclass(frozen=True, slots=True)
class Load:
    """One load: how many requests in how long, latencies in milliseconds, and how many went wrong in any way.

    The latencies are None under pipelining: wrk times a batch from its last answer and reports zeros.
    """

    requests: int
    seconds: float
    p50_ms: float | None
    p99_ms: float | None
    errors: int


def script(scenario: Scenario) -> str:
    """The Lua script. Without pipelining the request is static: formatted once, no Lua per request."""
    lines = [f'wrk.method = "{scenario.method}"']
    lines += [
        f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in scenario.headers.items()
    ]
    if scenario.body:
        lines.append(f"wrk.body = [==[{scenario.body.decode()}]==]")
    if scenario.depth > 1:
        lines += [
            "local batch",
            "function init(args)",
            f"  batch = string.rep(wrk.format(nil, {json.dumps(scenario.target)}), {scenario.depth})",
            "end",
            "function request() return batch end",
        ]
    return "\n".join(lines) + DONE


def parse(output: str, depth: int = 1) -> Load:
    """Reads the line that ``script``'s ``done`` printed; ``depth`` requests were pipelined.

    Raises:
        WrkError: there is none.
    """
    for line in output.splitlines():
        if line.startswith(MARK):
            found = json.loads(line[len(MARK) :])
            return Load(
                requests=found["requests"],
                seconds=found["micros"] / 1e6,
                p50_ms=found["p50"] / 1e3 if depth == 1 else None,
                p99_ms=found["p99"] / 1e3 if depth == 1 else None,
                errors=found["errors"],
            )
    raise WrkError(f"no result in wrk's output: {output[-300:]!r}")


def run(port: int, scenario: Scenario, seconds: int, *, core: int) -> Load:
    """Loads the server for whole ``seconds`` with one thread and ``CONNECTIONS`` keep-alive connections.

    Raises:
        WrkError: wrk ended with an error, hung, or reported nothing.
    """
    with tempfile.TemporaryDirectory(prefix="bench-wrk-") as folder:
        path = Path(folder, "scenario.lua")
        path.write_text(script(scenario))
        url = f"http://{HOST}:{port}{scenario.target}"
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "5s", "-s", str(path), url]
        try:
            done = subprocess.run(
                pinned(core, command), capture_output=True, text=True, check=False, timeout=seconds + 30
            )
        except subprocess.TimeoutExpired:
            raise WrkError("wrk hung") from None
    if done.returncode != 0:
        raise WrkError(f"wrk ended with {done.returncode}: {(done.stderr or done.stdout)[-300:]}")
    return parse(done.stdout, scenario.depth)
