"""A client process that opens keep-alive connections, asks once on each, and holds them until its input ends.

``python -m benchmarks.load.holder PORT COUNT SOURCE``: prints "open N" when all have had their answer; for
every line it reads it asks once more on each and prints "alive N". SOURCE is the loopback address it connects
from: each has port numbers of its own, so that more connections can be opened than one address has ports for.
"""

from __future__ import annotations

import socket
import sys

from benchmarks.load.probe import parse_reply
from benchmarks.load.scenarios import SCENARIOS, complaint, request_bytes
from benchmarks.load.work import HOST

ANSWER_TIMEOUT = 20.0


def answered(connection: socket.socket, request: bytes) -> bool:
    """Whether one more request on the connection gets the right answer."""
    try:
        connection.sendall(request)
        buffer = b""
        while (parsed := parse_reply(buffer)) is None:
            data = connection.recv(65536)
            if not data:
                return False
            buffer += data
    except OSError:
        return False
    return complaint(SCENARIOS[0], parsed[0]) is None


def main(port: int, count: int, source: str) -> None:
    request = request_bytes(SCENARIOS[0], f"{HOST}:{port}")
    connections = []
    for _ in range(count):
        connection = socket.create_connection((HOST, port), ANSWER_TIMEOUT, source_address=(source, 0))
        connections.append(connection)
        if not answered(connection, request):
            raise SystemExit(f"no answer on connection {len(connections)}")
    say(f"open {len(connections)}")
    for _ in sys.stdin:
        say(f"alive {sum(answered(connection, request) for connection in connections)}")


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
