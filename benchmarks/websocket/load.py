"""A load of WebSocket echoes: connections that each keep a number of messages under way.

It counts bytes, not frames: what comes back of a message of known size has a known size, so that the client costs
little beside any server.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from functools import partial
from typing import Any, cast

import uvloop

from framework.wire.websocket.handshake_client import make_key
from framework.wire.websocket.leaves import encode_binary, encode_text

__all__ = ["Echoes", "Load"]


class Load:
    """What all connections have in common."""

    def __init__(self, size: int, depth: int, *, text: bool) -> None:
        payload = bytes(65 + index % 26 for index in range(size))
        mask = b"\x12\x34\x56\x78"
        self.frame = encode_text(payload.decode(), mask) if text else encode_binary(payload, mask)
        self.frames = [self.frame * count for count in range(depth + 1)]
        self.reply = len(encode_text(payload.decode()) if text else encode_binary(payload))
        self.depth = depth
        self.done = 0
        self.open = 0
        self.stopped = False


class Echoes(asyncio.Protocol):
    """One connection."""

    def __init__(self, load: Load, ready: asyncio.Future[None]) -> None:
        self._load = load
        self._ready = ready
        self._head = b""
        self._is_open = False
        self._bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n" % make_key().encode()
        )

    def data_received(self, data: bytes) -> None:
        load = self._load
        if not self._is_open:
            self._head += data
            if b"\r\n\r\n" not in self._head:
                return
            if not self._head.startswith(b"HTTP/1.1 101"):
                self._ready.set_exception(RuntimeError(self._head[:200].decode("latin-1")))
                return
            self._is_open = True
            self._ready.set_result(None)
            return
        self._bytes += len(data)
        count, self._bytes = divmod(self._bytes, load.reply)
        if count:
            load.done += count
            if not load.stopped:
                self.transport.write(load.frames[count] if count <= load.depth else load.frame * count)

    def start(self) -> None:
        self.transport.write(self._load.frames[self._load.depth])


async def run(options: argparse.Namespace) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    load = Load(options.size, options.depth, text=not options.binary)
    protocols: list[Echoes] = []
    for _ in range(options.connections):
        ready: asyncio.Future[None] = loop.create_future()
        _, protocol = await loop.create_connection(partial(Echoes, load, ready), options.host, options.port)
        protocols.append(protocol)
        await ready
    if options.idle:
        await asyncio.sleep(1.0)
        rss = _rss(options.pid)
        return {"rss_kib": rss, "connections": options.connections}
    for protocol in protocols:
        protocol.start()
    await asyncio.sleep(options.warm_up)
    before, started, cpu = load.done, time.perf_counter(), _cpu(options.pid)
    await asyncio.sleep(options.seconds)
    messages, seconds, used = load.done - before, time.perf_counter() - started, _cpu(options.pid) - cpu
    load.stopped = True
    return {
        "messages": messages,
        "seconds": seconds,
        "rate": messages / seconds,
        "cpu_us": used / messages * 1e6 if messages else None,
    }


def _cpu(pid: int) -> float:
    """CPU seconds of a process, all its threads, to the nanosecond where the kernel tells."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat") as file:
            total += int(file.read().split()[0])
    return total / 1e9


def _rss(pid: int) -> int:
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * (os.sysconf("SC_PAGE_SIZE") // 1024)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pid", type=int, required=True, help="the server's, whose CPU time is read")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--depth", type=int, default=1)
    parser.add_argument("--binary", action="store_true")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--warm-up", type=float, default=1.0)
    parser.add_argument("--idle", action="store_true", help="only open them, and tell the server's memory")
    print(json.dumps(uvloop.run(run(parser.parse_args()))))


if __name__ == "__main__":
    main()
