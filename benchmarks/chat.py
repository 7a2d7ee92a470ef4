"""One room through the whole chat:  python -m benchmarks.chat [--members N] [--seconds S] [--out FILE]

A server process with the plugin on SQLite (fsync'd), and a load that reads without a loop, pinned to a core each. What
is measured, with 1, 8 and 64 outstanding:

- ``post``: one member posts; every message is checked, made durable, acknowledged, and delivered to all. A message is
  outstanding until its acknowledgement.
- ``durable``: the same without a crowd: acknowledged posts per second of one connection and of several.
- ``typing``: ephemeral events, each of another state, delivered to all, none coalesced.

Everybody must get every message: a run in which anybody lacks one has no figure.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import quantiles
from typing import Any, Final

from benchmarks.broadcast.load import cpu_seconds
from benchmarks.facts import machine_facts, tell
from benchmarks.load.process import free_port
from framework.wire.websocket.handshake_client import make_key
from framework.wire.websocket.leaves import encode_text

SECRET: Final = "a secret of the benchmark, which is long enough"
MASK: Final = b"\x12\x34\x56\x78"
PATIENCE: Final = 20.0
MARK: Final = b'"e":"posted"'
DONE: Final = b'"t":"done"'
TYPING: Final = b'"t":"typing"'


def serve(port: int, folder: str) -> None:
    """The server's process."""
    from framework import App, run
    from framework.plugins.chat import ChatPlugin

    app = App()
    app.install(ChatPlugin())
    limits = {
        f"chat.{name}": "100000000/second" for name in ("request_rate", "byte_rate", "join_rate", "post_rate")
    }
    os.environ.update(
        {
            "FRAMEWORK_CHAT__STORE": f"sqlite:///{folder}/chat.db",
            "FRAMEWORK_CHAT__SECRETS": json.dumps([SECRET]),
            "FRAMEWORK_CHAT__MAX_IN_FLIGHT": "1000",
            "FRAMEWORK_CHAT__TYPING_INTERVAL": "0",
            "FRAMEWORK_SERVER__PORT": str(port),
            **{f"FRAMEWORK_{name.upper().replace('.', '__')}": rate for name, rate in limits.items()},
        }
    )
    run(app)


class Peer:
    """One client: a socket whose bytes are counted by what they contain."""

    def __init__(self, port: int, user: str) -> None:
        from framework.plugins.chat.tokens import Tokens

        self.user = user
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.tail = b""
        self.posted = self.done = self.typing = 0
        self.sock.sendall(
            b"GET /chat/ws HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n" % (port, make_key().encode())
        )
        self.until(b"\r\n\r\n")
        self.send({"t": "hello", "id": 0, "token": Tokens([SECRET]).issue(user)})
        self.until(b'"welcome"')

    def send(self, *frames: dict[str, Any]) -> None:
        self.sock.sendall(b"".join([encode_text(json.dumps(frame), MASK) for frame in frames]))

    def until(self, mark: bytes) -> None:
        data = b""
        while mark not in data:
            piece = self.sock.recv(1 << 16)
            if not piece:
                raise SystemExit("the server closed a connection")
            data += piece

    def follow(self, room: str, *, create: bool = False) -> None:
        self.send({"t": "create" if create else "join", "id": 1, "room": room})
        self.until(b'"t":"joined"')

    def read(self, buffer: bytearray) -> None:
        """Takes what came; a mark that two pieces share is counted with the second."""
        count = self.sock.recv_into(buffer)
        if not count:
            raise SystemExit(f"the server closed the connection of {self.user}")
        data = self.tail + bytes(memoryview(buffer)[:count])
        self.posted += data.count(MARK)
        self.done += data.count(DONE)
        self.typing += data.count(TYPING)
        # As long as the longest mark but one byte, and none that was counted.
        tail = data[-11:]
        while any(mark in tail for mark in (MARK, DONE, TYPING)):
            tail = tail[1:]
        self.tail = tail


class Crowd:
    """The members of one room; the first of them speaks."""

    def __init__(self, port: int, members: int, room: str) -> None:
        self.peers = [Peer(port, f"user{number}") for number in range(members)]
        self.room = room
        for number, peer in enumerate(self.peers):
            peer.follow(room, create=number == 0)
        self.buffer = bytearray(1 << 18)
        self.poll = select.epoll()
        self.by_number = {peer.sock.fileno(): peer for peer in self.peers}
        for number in self.by_number:
            self.poll.register(number, select.EPOLLIN)
        self.sent = 0
        self.calm()

    def turn(self, timeout: float) -> bool:
        found = self.poll.poll(timeout)
        for number, _ in found:
            self.by_number[number].read(self.buffer)
        return bool(found)

    def calm(self) -> None:
        """Reads until nothing comes, presence included."""
        while self.turn(1.5):
            pass
        for peer in self.peers:
            peer.posted = peer.done = peer.typing = 0
        self.sent = 0

    def say(self, count: int) -> None:
        frames = [
            {
                "t": "post",
                "id": self.sent + number,
                "room": self.room,
                "mid": f"{os.urandom(8).hex()}",
                "text": "x" * 64,
            }
            for number in range(count)
        ]
        self.peers[0].send(*frames)
        self.sent += count

    def post(self, depth: int, seconds: float) -> dict[str, Any]:
        """Posts, with so many outstanding."""
        speaker = self.peers[0]
        begun = time.perf_counter()
        times: list[float] = []
        started = begun
        self.say(depth)
        while time.perf_counter() - begun < seconds:
            back = speaker.done
            self.turn(1.0)
            if speaker.done > back:
                now = time.perf_counter()
                times.append(now - started)
                started = now
                self.say(speaker.done - back)
        while any(peer.posted < self.sent for peer in self.peers):
            if not self.turn(PATIENCE):
                lacking = sum(peer.posted < self.sent for peer in self.peers)
                raise SystemExit(f"{lacking} members lack messages")
        took = time.perf_counter() - begun
        result = {
            "messages_per_second": round(self.sent / took),
            "deliveries_per_second": round(self.sent * len(self.peers) / took),
            "acknowledgement_gap_p50_ms": round(quantiles(times, n=100)[49] * 1000, 2),
            "acknowledgement_gap_p99_ms": round(quantiles(times, n=100)[98] * 1000, 2),
        }
        self.calm()
        return result

    def type(self, depth: int, seconds: float) -> dict[str, Any]:
        """Says that it types, and that it does not, by turns; outstanding until it hears of itself."""
        speaker = self.peers[0]
        begun = time.perf_counter()
        on = True

        def say(count: int) -> None:
            nonlocal on
            for _ in range(count):
                speaker.send({"t": "typing", "room": self.room, "on": on})
                on = not on

        say(depth)
        while time.perf_counter() - begun < seconds:
            back = speaker.typing
            self.turn(1.0)
            if speaker.typing > back:
                say(speaker.typing - back)
        while self.turn(0.5):
            pass
        took = time.perf_counter() - begun - 0.5
        delivered = sum(peer.typing for peer in self.peers)
        if len({peer.typing for peer in self.peers}) > 1:
            raise SystemExit("members lack events")
        self.calm()
        return {"deliveries_per_second": round(delivered / took)}

    def close(self) -> None:
        self.poll.close()
        for peer in self.peers:
            peer.sock.close()


def measure(members: int, seconds: float) -> dict[str, Any]:
    """One run of everything."""
    port = free_port()
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(dir=".") as folder:
        path = str(Path(folder).resolve())
        server = subprocess.Popen([sys.executable, "-m", "benchmarks.chat", "--serve", str(port), path])
        try:
            os.sched_setaffinity(server.pid, {cores[0]})
            os.sched_setaffinity(0, {cores[-1]})
            _wait(port)
            results: dict[str, Any] = {}
            alone = Crowd(port, 1, "alone")
            for depth in (1, 8, 64, 512):
                cpu = cpu_seconds(server.pid)
                results[f"durable, {depth} outstanding"] = alone.post(depth, seconds)
                results[f"durable, {depth} outstanding"]["server_cpu"] = round(
                    cpu_seconds(server.pid) - cpu, 2
                )
            alone.close()
            crowd = Crowd(port, members, "crowd")
            crowd.post(8, 1.0)
            for depth in (1, 8, 64):
                cpu = cpu_seconds(server.pid)
                results[f"post, {depth} outstanding"] = crowd.post(depth, seconds)
                results[f"post, {depth} outstanding"]["server_cpu"] = round(cpu_seconds(server.pid) - cpu, 2)
            results["typing, 1 outstanding"] = crowd.type(1, seconds)
            crowd.close()
            return results
        finally:
            os.sched_setaffinity(0, set(cores))
            server.terminate()
            server.wait(30)


def _wait(port: int) -> None:
    due = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > due:
                raise
            time.sleep(0.05)


def main() -> int:
    if sys.argv[1:2] == ["--serve"]:
        serve(int(sys.argv[2]), sys.argv[3])
        return 0
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chat", description=__doc__)
    parser.add_argument("--members", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--out", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    facts = machine_facts()
    summary = {"members": arguments.members, **measure(arguments.members, arguments.seconds)}
    tell({"kind": "chat", "facts": facts, "summary": summary}, arguments.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
