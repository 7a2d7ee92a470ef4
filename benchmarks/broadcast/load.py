"""The load of a broadcast: many members, one of whom speaks and keeps some messages outstanding.

A message is outstanding until the speaker has it back. Sockets and epoll without a loop, and bytes are counted rather
than frames, so that reading costs little beside any server. At the end everybody must have got as many bytes as were
said, and one message more is compared byte by byte: a server that loses, repeats or breaks messages has no figure.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import socket
import time
from typing import Any

from framework.wire.websocket.handshake_client import make_key
from framework.wire.websocket.leaves import encode_text

__all__ = ["Crowd", "cpu_seconds", "main"]

QUIET = 5.0


class Crowd:
    """The members. ``frame`` is what the speaker sends, ``reply`` what everybody gets."""

    def __init__(self, port: int, members: int, size: int) -> None:
        text = "".join(chr(65 + index % 26) for index in range(size))
        self.frame = encode_text(text, b"\x12\x34\x56\x78")
        self.reply = encode_text(text)
        self.sockets = [connect(port) for _ in range(members)]
        self.speaker = self.sockets[members // 2]
        self.received = dict.fromkeys((each.fileno() for each in self.sockets), 0)
        self.sent = 0
        self._by_number = {each.fileno(): each for each in self.sockets}
        self._poll = select.epoll()
        for each in self.sockets:
            self._poll.register(each.fileno(), select.EPOLLIN)

    def run(self, depth: int, seconds: float) -> None:
        """Speaks for a while."""
        received, speaker, room = self.received, self.speaker.fileno(), len(self.reply)
        take = {number: each.recv_into for number, each in self._by_number.items()}
        poll, buffer = self._poll.poll, bytearray(1 << 18)
        stop = time.perf_counter() + seconds
        back = self.sent
        self.say(depth)
        while time.perf_counter() < stop:
            for number, _ in poll(1.0):
                count = take[number](buffer)
                if count == 0:
                    raise SystemExit("the server closed a connection")
                received[number] += count
                if number == speaker:
                    told = received[number] // room - back
                    back += told
                    if told:
                        self.say(told)

    def say(self, count: int) -> None:
        """Sends ``count`` messages in one write."""
        self.speaker.sendall(self.frame * count)
        self.sent += count

    @property
    def deliveries(self) -> int:
        return sum(self.received.values()) // len(self.reply)

    def settle(self) -> str | None:
        """Reads what is under way; returns what is wrong with it, or None."""
        due = self.sent * len(self.reply)
        stop = time.perf_counter() + QUIET
        last = bytearray()
        while any(count < due for count in self.received.values()) and time.perf_counter() < stop:
            for number, _ in self._poll.poll(0.1):
                last[:] = self._by_number[number].recv(1 << 18)
                self.received[number] += len(last)
        wrong = [count / len(self.reply) for count in self.received.values() if count != due]
        if wrong:
            return f"{len(wrong)} members got {min(wrong):g} to {max(wrong):g} of {self.sent} messages"
        self.say(1)
        for each in self.sockets:
            each.settimeout(QUIET)
            if read_exactly(each, len(self.reply)) != self.reply:
                return "the bytes of a message are not what was said"
        return None


def connect(port: int) -> socket.socket:
    """A member, its handshake done."""
    member = socket.create_connection(("127.0.0.1", port), timeout=QUIET)
    member.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    member.sendall(
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n" % (port, make_key().encode())
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = member.recv(4096)
        if not piece:
            raise SystemExit("the server closed a connection in its handshake")
        head += piece
    if not head.startswith(b"HTTP/1.1 101"):
        raise SystemExit(f"no handshake: {head[:200]!r}")
    return member


def read_exactly(member: socket.socket, size: int) -> bytes:
    """The next ``size`` bytes."""
    data = b""
    while len(data) < size:
        piece = member.recv(size - len(data))
        if not piece:
            raise SystemExit("the server closed a connection")
        data += piece
    return data


def cpu_seconds(pid: int) -> float:
    """CPU time of a process, all its threads, to the nanosecond."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat") as file:
            total += int(file.read().split()[0])
    return total / 1e9


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """One load, and whether everything arrived."""
    crowd = Crowd(options.port, options.members, options.size)
    crowd.run(options.depth, options.warm_up)
    if problem := crowd.settle():
        return {"problem": problem}
    crowd.sent, crowd.received = 0, dict.fromkeys(crowd.received, 0)
    for each in crowd.sockets:
        each.settimeout(QUIET)
    started, cpu = time.perf_counter(), cpu_seconds(options.pid)
    crowd.run(options.depth, options.seconds)
    count, seconds = crowd.deliveries, time.perf_counter() - started
    used = cpu_seconds(options.pid) - cpu
    if problem := crowd.settle():
        return {"problem": problem}
    return {"deliveries": count, "seconds": seconds, "rate": count / seconds, "cpu_us": used / count * 1e6}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pid", type=int, required=True, help="the server's, whose CPU time is read")
    parser.add_argument("--members", type=int, default=500)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--depth", type=int, default=1, help="messages outstanding")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--warm-up", type=float, default=1.0)
    print(json.dumps(measure(parser.parse_args())))


if __name__ == "__main__":
    main()
