"""What is done to a proxy and read from it: load by wrk, a constant rate, streams that wait, tunnels."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.facts import ROOT
from benchmarks.load.process import cpu_seconds, pinned, rss_kib
from benchmarks.load.scenarios import Scenario
from benchmarks.load.work import HOST
from benchmarks.load.wrk import Load, WrkError, parse, script

__all__ = ["Sample", "Switching", "added", "difference", "loaded", "process", "stalled", "tunnelled"]

Sample = dict[str, float]
WARM_UP = 1


@contextmanager
def process(command: list[str], port: int, core: int) -> Generator[int]:
    """The pid of a server on a core of its own, once it listens."""
    started = subprocess.Popen(
        pinned(core, command), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(400):
            with socket.socket() as probe:
                if probe.connect_ex((HOST, port)) == 0:
                    break
            if started.poll() is not None:
                raise RuntimeError(f"{command[0]} ended with {started.returncode}")
            time.sleep(0.025)
        yield started.pid
    finally:
        started.send_signal(signal.SIGKILL)
        started.wait()


def loaded(
    port: int, pid: int, path: str, fields: Mapping[str, str], connections: int, seconds: int, core: int
) -> Sample:
    """As many requests as it takes, after a second of warm-up. Raises WrkError where one fails."""
    wrk(port, path, fields, connections, WARM_UP, core)
    cpu = cpu_seconds(pid)
    load = wrk(port, path, fields, connections, seconds, core)
    cpu = cpu_seconds(pid) - cpu
    if load.errors or not load.requests:
        raise WrkError(f"{load.errors} of {load.requests} requests failed")
    return {"rate": load.requests / load.seconds, "cpu": cpu / load.requests * 1e6}


def wrk(port: int, path: str, fields: Mapping[str, str], connections: int, seconds: int, core: int) -> Load:
    with tempfile.TemporaryDirectory(prefix="bench-wrk-") as folder:
        file = Path(folder, "scenario.lua")
        file.write_text(script(Scenario("gateway", "", path, "", headers=fields)))
        given = ["-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "5s", "-s", str(file)]
        command = pinned(core, ["wrk", *given, f"http://{HOST}:{port}{path}"])
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 30)
    if done.returncode:
        raise WrkError(f"wrk ended with {done.returncode}: {(done.stderr or done.stdout)[-300:]}")
    return parse(done.stdout)


def added(
    port: int, direct: int, path: str, fields: Mapping[str, str], rate: float, seconds: int, core: int
) -> Sample:
    """Milliseconds by way of the proxy, straight to the upstream, and the difference, at one rate."""
    through = paced(port, path, fields, rate, seconds, core)
    return {"rate": rate, **difference(through, paced(direct, path, {}, rate, seconds, core))}


def difference(through: Sample, direct: Sample) -> Sample:
    return {
        **through,
        **{f"direct_{name}": value for name, value in direct.items()},
        **{f"added_{name}": round(value - direct[name], 4) for name, value in through.items()},
    }


def paced(port: int, path: str, fields: Mapping[str, str], rate: float, seconds: int, core: int) -> Sample:
    given = [str(port), path, str(rate), str(seconds)]
    for name, value in fields.items():
        given += ["--field", f"{name}: {value}"]
    command = pinned(core, [sys.executable, "-m", "benchmarks.gateway.paced", *given])
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=4 * seconds + 30
    )
    if done.returncode:
        raise WrkError(done.stderr.strip()[-300:])
    found: Sample = json.loads(done.stdout)
    return found


def stalled(port: int, pid: int, path: str, count: int) -> Sample:
    """Streams of which the client reads but the beginning: what does the proxy hold for each?"""
    request = f"GET {path} HTTP/1.1\r\nhost: {HOST}:{port}\r\n\r\n".encode()

    def begin(stack: ExitStack) -> None:
        sock = stack.enter_context(socket.socket())
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        sock.settimeout(10)
        sock.connect((HOST, port))
        sock.sendall(request)
        if b" 200 " not in sock.recv(64):
            raise WrkError(f"no 200 for {path}")

    with ExitStack() as first:
        begin(first)  # what is made once is not the streams'
        before = settled(pid)
        with ExitStack() as stack:
            for _ in range(count):
                begin(stack)
            return {"bytes": round((settled(pid) - before) / count)}


def settled(pid: int) -> int:
    """Bytes in memory, once they grow no more."""
    last = now = 0
    for _ in range(40):
        time.sleep(0.25)
        now = rss_kib(pid) * 1024
        if now <= last:
            break
        last = now
    return now


async def tunnelled(port: int, pid: int, count: int) -> Sample:
    """Opens WebSockets and leaves them be: what does each hold?"""
    before = rss_kib(pid)
    writers: list[asyncio.StreamWriter] = []
    try:
        for _ in range(count):
            reader, writer = await asyncio.open_connection(HOST, port)
            writers.append(writer)
            writer.write(
                b"GET /ws HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
                b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            if b" 101 " not in await reader.readuntil(b"\r\n\r\n"):
                raise WrkError("a WebSocket was refused")
        await asyncio.sleep(0.5)
        return {"bytes": round((rss_kib(pid) - before) * 1024 / count)}
    finally:
        for writer in writers:
            writer.close()


class Switching(asyncio.Protocol):
    """An upstream of tunnels: switches, and says nothing."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"\r\n\r\n"):
            self._transport.write(
                b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
                b"sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
            )
