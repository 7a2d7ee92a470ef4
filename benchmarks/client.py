"""What one exchange costs a client:  python -m benchmarks.client [--rounds N] [--exchanges N]

CPU time of the client's process for each exchange, one after another over one kept connection, against a server that
answers every read with the same bytes (``benchmarks.load.servers.floor``), which has a core of its own. ``bare`` is the
least there is: a protocol that writes a constant and counts what comes. Every contestant runs on uvloop, in a process
of its own; rounds are interleaved, and the median counts.

aiohttp comes from the peers' environment (``benchmarks/setup_peers.py``), httpx from wherever it is installed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from benchmarks.facts import machine_facts, tell

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / ".venv-bench" / "bin" / "python"
CLIENTS = ("bare", "pool", "client", "aiohttp", "httpx")
BODY = b"Hello, World!"
RESPONSE = (
    b"HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: 13\r\n\r\n" + BODY
)
Exchanges = Callable[[int, int], Awaitable[None]]


class Floor(asyncio.Protocol):
    """One constant answer for each read."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self.write: Callable[[bytes], None] = transport.write

    def data_received(self, data: bytes) -> None:
        self.write(RESPONSE)


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Floor, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


class Bare(asyncio.Protocol):
    """Writes a constant, takes whatever comes for the answer."""

    def __init__(self) -> None:
        self.waiter: asyncio.Future[bytes] | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        if self.waiter is not None:
            self.waiter.set_result(data)


async def bare(port: int, count: int) -> None:
    loop = asyncio.get_running_loop()
    _, protocol = await loop.create_connection(Bare, "127.0.0.1", port)
    assert protocol.transport is not None
    for _ in range(count):
        protocol.waiter = loop.create_future()
        protocol.transport.write(b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
        await protocol.waiter
    protocol.transport.close()


async def pool(port: int, count: int) -> None:
    from framework.net.client import Origin, OutgoingRequest, Pools
    from framework.wire.request_head import encode_request_head

    pools = Pools()
    origin = pools.pool(Origin("127.0.0.1", port))
    for _ in range(count):
        head = encode_request_head("GET", "/", [("host", origin.origin.authority)])
        raw = await origin.exchange(OutgoingRequest(method="GET", head=head))
        assert raw.received() == BODY
    await pools.aclose()


async def client(port: int, count: int) -> None:
    from framework.net.client import HTTPClient

    url = f"http://127.0.0.1:{port}/"
    async with HTTPClient() as http:
        for _ in range(count):
            response = await http.get(url)
            assert response.body == BODY


async def aiohttp(port: int, count: int) -> None:
    from aiohttp import ClientSession  # type: ignore[import-not-found, unused-ignore]

    url = f"http://127.0.0.1:{port}/"
    async with ClientSession() as session:
        for _ in range(count):
            async with session.get(url) as response:
                assert await response.read() == BODY


async def httpx(port: int, count: int) -> None:
    from httpx import AsyncClient

    url = f"http://127.0.0.1:{port}/"
    async with AsyncClient() as http:
        for _ in range(count):
            response = await http.get(url)
            assert response.content == BODY


async def measured(exchanges: Exchanges, port: int, count: int) -> float:
    """Microseconds of CPU time for each exchange, connecting aside (a short run before shows what that costs)."""
    await exchanges(port, count // 10)
    began = time.process_time()
    await exchanges(port, count)
    return (time.process_time() - began) / count * 1e6


def run_one(name: str, port: int, count: int) -> None:
    """In the contestant's own process."""
    import uvloop

    exchanges: Exchanges = {"bare": bare, "pool": pool, "client": client, "aiohttp": aiohttp, "httpx": httpx}[
        name
    ]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(measured(exchanges, port, count))))


def sample(name: str, port: int, count: int) -> float | None:
    """None where the client is not installed."""
    python = str(PEERS) if name == "aiohttp" else sys.executable
    command = ["taskset", "-c", "0", python, "-m", "benchmarks.client", "--one", name, "--port", str(port)]
    done = subprocess.run(
        [*command, "--exchanges", str(count)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode:
        print(f"{name}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return None
    return float(json.loads(done.stdout))


def compare(rounds: int, count: int) -> dict[str, Any]:
    facts = machine_facts()
    floor = subprocess.Popen(
        ["taskset", "-c", "1", sys.executable, "-m", "benchmarks.client", "--serve"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert floor.stdout is not None
        port = int(floor.stdout.readline())
        samples: dict[str, list[float]] = {}
        for number in range(rounds):
            for name in CLIENTS if number % 2 == 0 else reversed(CLIENTS):
                found = sample(name, port, count)
                if found is not None:
                    samples.setdefault(name, []).append(found)
    finally:
        floor.terminate()
        floor.wait()
        if floor.stdout is not None:
            floor.stdout.close()
    medians = {name: round(statistics.median(found), 2) for name, found in samples.items()}
    ratios = {
        name: round(
            statistics.median(its / ours for its, ours in zip(found, samples["client"], strict=True)), 3
        )
        for name, found in samples.items()
        if len(found) == len(samples["client"])
    }
    return {
        "kind": "client",
        "facts": facts,
        "settings": {"rounds": rounds, "exchanges": count},
        "absent": {name: "it is not installed" for name in CLIENTS if name not in samples},
        "summary": {name: {"cpu_us": value, "to_ours": ratios.get(name)} for name, value in medians.items()},
        "samples": samples,
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.client", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--exchanges", type=int, default=20_000)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--one", choices=CLIENTS, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        import uvloop

        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(serve())
        except KeyboardInterrupt:
            pass
        return
    if options.one:
        run_one(options.one, options.port, options.exchanges)
        return
    os.environ.setdefault("PYTHONHASHSEED", "0")
    found = compare(options.rounds, options.exchanges)
    for name, cell in found["summary"].items():
        print(f"{name:10} {cell['cpu_us']:8.2f} us")
    if options.out is not None:
        tell(found, options.out)


if __name__ == "__main__":
    main()
