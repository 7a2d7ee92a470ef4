"""``python -m benchmarks.files``: files beside bytes at hand, and the memory that a large transfer takes.

A file of 50 kB is also served by uvicorn and Starlette, of this environment, where they are installed: in interleaved
rounds, the server on core 0 and wrk on core 1. Needs curl for the memory, and wrk for the rates. A server runs in a
process of its own; its memory is read from /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.facts import machine_facts, tell
from benchmarks.load.process import pinned
from framework import App, Request, Response
from framework.http.files import FileResponse
from framework.http.multipart import read_multipart
from framework.http.static import StaticFiles
from framework.http.uploads import save_body

SMALL = 50_000
MIB = 1024 * 1024
ROOT = Path(__file__).resolve().parents[1]


def make_app(directory: Path) -> App:
    app = App(max_body=1 << 40, request_timeout=None)
    content = (directory / "small.txt").read_bytes()
    app.get("/static/{path:path}")(StaticFiles(directory).serve)

    @app.get("/bytes")
    async def plain() -> Response:
        return Response(content, media_type="text/plain; charset=utf-8")

    @app.get("/file")
    async def file(request: Request) -> Response:
        return await FileResponse.open(request, directory / "small.txt")

    @app.put("/body")
    async def body(request: Request) -> int:
        return await save_body(request, directory / "uploaded")

    @app.post("/form")
    async def form(request: Request) -> int:
        return sum([await part.save_to(directory / "uploaded") async for part in read_multipart(request)])

    return app


def serve(directory: Path) -> None:
    """The server process: prints its port, and serves until it is told to stop."""
    from framework import Server, ServerSettings
    from framework.net.loop import run

    async def main() -> None:
        runtime = make_app(directory).build(environ={}, overrides={"server.port": 0})
        async with runtime.running():
            server = Server(runtime, runtime.settings.section(ServerSettings))
            await server.start()
            print(server.port, flush=True)
            await server.run()

    run(main())


def serve_peer(directory: Path) -> None:
    """The peer's process: uvicorn and Starlette with the same two files."""
    import socket

    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request as StarletteRequest
    from starlette.responses import FileResponse as StarletteFile
    from starlette.routing import Mount, Route
    from starlette.staticfiles import StaticFiles as StarletteFiles

    async def file(request: StarletteRequest) -> StarletteFile:
        return StarletteFile(directory / "small.txt")

    app = Starlette(routes=[Route("/file", file), Mount("/static", StarletteFiles(directory=directory))])
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        settings = uvicorn.Config(app, loop="uvloop", http="httptools", access_log=False, log_level="warning")
        print(listener.getsockname()[1], flush=True)
        uvicorn.Server(settings).run(sockets=[listener])


@dataclass(frozen=True, slots=True)
class Running:
    port: int
    pid: int

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def memory(self, field: str = "VmRSS") -> float:
        """MiB: VmRSS now, VmHWM the most since the last ``reset``."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(rf"^{field}:\s+(\d+) kB", status, re.MULTILINE)
        return int(found[1]) / 1024 if found else 0.0

    def reset(self) -> None:
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def cpu(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def serving(directory: Path, option: str = "--serve") -> Iterator[Running]:
    command = pinned(0, [sys.executable, "-m", "benchmarks.files", option, str(directory)])
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield Running(int(process.stdout.readline()), process.pid)
    finally:
        process.terminate()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def curl(*arguments: str) -> None:
    subprocess.run(["curl", "--silent", "--fail", "--output", os.devnull, *arguments], check=True)


def watch_memory(running: Running, name: str, size: int, transfer: Callable[[], object]) -> float:
    """Twice: the first time brings in what is loaded once. Returns how many MiB the second took at most."""
    grown = 0.0
    for again in (False, True):
        running.reset()
        before, cpu, start = running.memory(), running.cpu(), time.perf_counter()
        transfer()
        seconds = time.perf_counter() - start
        grown = running.memory("VmHWM") - before
        print(
            f"{name:<34} {'again' if again else 'first':<6} {before:7.1f} MiB {grown:+7.1f} MiB at most "
            f"{size / seconds / MIB:8.0f} MiB/s {(running.cpu() - cpu) / size * 1e9:6.2f} s CPU/GB",
            file=sys.stderr,
        )
    return round(grown, 2)


def watch_rate(running: Running, path: str, seconds: int) -> dict[str, float]:
    """Requests per second, and microseconds of CPU time for each. Raises RuntimeError when any failed."""
    cpu = running.cpu()
    command = pinned(1, ["wrk", "-t1", "-c32", f"-d{seconds}s", running.url(path)])
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    requests = int((re.search(r"(\d+) requests in", output) or ["", "0"])[1])
    if bad := re.search(r"Non-2xx.*|Socket errors.*", output):
        raise RuntimeError(f"{path}: {bad[0]}")
    cost = (running.cpu() - cpu) / max(requests, 1) * 1e6
    print(f"{path:<34} {requests / seconds:9.0f} requests/s {cost:7.1f} µs CPU each", file=sys.stderr)
    return {"rate": requests / seconds, "cpu_us": cost}


def beside_peer(directory: Path, rounds: int, seconds: int) -> dict[str, Any]:
    """The 50 kB file as a route's answer and out of a folder: medians, and ratios taken inside a round."""
    servers = {"framework": "--serve", "uvicorn + starlette": "--serve-peer"}
    paths = ("/file", "/static/small.txt")
    samples: dict[tuple[str, str], list[dict[str, float]]] = {}
    for number in range(rounds):
        for server in servers if number % 2 == 0 else reversed(servers):
            with serving(directory, servers[server]) as running:
                for path in paths:
                    watch_rate(running, path, 1)
                    samples.setdefault((path, server), []).append(watch_rate(running, path, seconds))

    def ratio(path: str, key: str, *, less: bool) -> float:
        ours, theirs = (samples[path, server] for server in servers)
        pairs = [(mine[key], its[key]) for mine, its in zip(ours, theirs, strict=True)]
        return round(statistics.median(its / mine if less else mine / its for mine, its in pairs), 3)

    return {
        path: {
            "servers": {
                server: {
                    key: round(statistics.median(one[key] for one in samples[path, server]), 1)
                    for key in ("rate", "cpu_us")
                }
                for server in servers
            },
            "rate_ratio": ratio(path, "rate", less=False),
            "cost_ratio": ratio(path, "cpu_us", less=True),
        }
        for path in paths
    }


async def read_slowly(running: Running, clients: int) -> float:
    """Many clients that ask for the large file and read a little of it."""
    connections = await asyncio.gather(
        *(asyncio.open_connection("127.0.0.1", running.port, limit=4096) for _ in range(clients))
    )
    for reader, writer in connections:
        writer.write(b"GET /static/large.bin HTTP/1.1\r\nhost: bench\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
    await asyncio.sleep(1)
    memory = running.memory()
    print(f"{clients} clients that do not read: {memory:.1f} MiB", file=sys.stderr)
    for _, writer in connections:
        writer.transport.abort()
    return round(memory, 1)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.files", description=__doc__)
    parser.add_argument(
        "--size", type=int, default=1024, metavar="MIB", help="of a large transfer, default 1024"
    )
    parser.add_argument("--seconds", type=int, default=3, metavar="N", help="of each load, default 3")
    parser.add_argument("--clients", type=int, default=200, metavar="N", help="that read slowly, default 200")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="beside the peer, default 3")
    parser.add_argument("--out", type=Path, metavar="FILE")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--serve-peer", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve_peer is not None:
        serve_peer(options.serve_peer)
        return
    if options.serve is not None:
        serve(options.serve)
        return
    facts = machine_facts()
    with tempfile.TemporaryDirectory() as name:
        found = measure(Path(name), options.size * MIB, options.seconds, options.clients, options.rounds)
    settings = {"mib": options.size, "seconds": options.seconds, "rounds": options.rounds}
    tell({"kind": "files", "facts": facts, "settings": settings, **found}, options.out)


def measure(directory: Path, size: int, seconds: int, clients: int, rounds: int) -> dict[str, Any]:
    """Rates beside bytes at hand and beside the peer, the memory of large transfers and of slow readers."""
    absent: dict[str, str] = {}
    rates: dict[str, Any] = {}
    peer: dict[str, Any] = {}
    (directory / "small.txt").write_bytes(b"x" * SMALL)
    with (directory / "large.bin").open("wb") as file:
        file.truncate(size)
    with serving(directory) as running:
        if shutil.which("wrk"):
            for path in ("/bytes", "/file", "/static/small.txt"):
                watch_rate(running, path, 1)
                rates[path] = watch_rate(running, path, seconds)
        else:
            absent["rates"] = "wrk is not installed"
        memory = transfers(running, directory, size)
        slow = asyncio.run(read_slowly(running, clients))
    missing = [name for name in ("uvicorn", "starlette", "httptools") if find_spec(name) is None]
    if missing:
        absent["uvicorn + starlette"] = f"{', '.join(missing)} not in this environment"
    elif not absent:
        peer = beside_peer(directory, rounds, seconds)
    return {"absent": absent, "rates": rates, "peer": peer, "memory_mib": memory, "slow_clients_mib": slow}


def transfers(running: Running, directory: Path, size: int) -> dict[str, float]:
    """MiB by which the server grew at most, by kind of transfer."""
    large = directory / "large.bin"
    chunked = ["-H", "transfer-encoding: chunked", "-H", "expect:"]
    kinds: dict[str, list[str]] = {
        "download": [running.url("/static/large.bin")],
        "upload of a body": [running.url("/body"), "-T", str(large)],
        "upload of a body, chunked": [running.url("/body"), "-T", str(large), *chunked],
        "upload of a form": [running.url("/form"), "-F", f"file=@{large}"],
    }
    return {name: watch_memory(running, name, size, partial(curl, *given)) for name, given in kinds.items()}


if __name__ == "__main__":
    main()
