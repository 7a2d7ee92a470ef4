"""A client that looks at single answers: what is measured is checked first."""

from __future__ import annotations

import socket

from benchmarks.load.scenarios import Reply, Scenario, complaint, refusals, request_bytes
from benchmarks.load.work import HOST

__all__ = ["ProbeError", "check", "exchange", "parse_reply"]


class ProbeError(Exception):
    """The server closed, or answered something that is not a response with a length."""


def parse_reply(data: bytes) -> tuple[Reply, bytes] | None:
    """The first response in ``data`` and the bytes after it; None while it is incomplete.

    Raises:
        ProbeError: not HTTP/1.1, or a body whose length is neither given nor chunked.
    """
    head, separator, rest = data.partition(b"\r\n\r\n")
    if not separator:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    version, _, status = first.partition(" ")
    if version != "HTTP/1.1" or not status[:3].isdigit():
        raise ProbeError(f"not a response: {first[:80]!r}")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = _chunked(rest) if headers.get("transfer-encoding") == "chunked" else _sized(rest, headers)
    return body and (Reply(int(status[:3]), headers, body[0]), body[1])


def _sized(rest: bytes, headers: dict[str, str]) -> tuple[bytes, bytes] | None:
    length = headers.get("content-length", "")
    if not length.isdigit():
        raise ProbeError("a response without Content-Length")
    size = int(length)
    return (rest[:size], rest[size:]) if len(rest) >= size else None


def _chunked(rest: bytes) -> tuple[bytes, bytes] | None:
    body = b""
    while True:
        line, separator, rest = rest.partition(b"\r\n")
        if not separator:
            return None
        size = int(line.partition(b";")[0], 16)
        if len(rest) < size + 2:
            return None
        if size == 0:
            return body, rest[2:]
        body, rest = body + rest[:size], rest[size + 2 :]


def exchange(port: int, scenario: Scenario, *, timeout: float = 5.0) -> list[Reply]:
    """Sends the scenario's requests at once (``depth`` of them) and returns as many responses.

    Raises:
        ProbeError: the connection closed early, or what came is not a response.
        OSError: no connection, or nothing for ``timeout`` seconds.
    """
    replies: list[Reply] = []
    buffer = b""
    with socket.create_connection((HOST, port), timeout) as connection:
        connection.sendall(request_bytes(scenario, f"{HOST}:{port}") * scenario.depth)
        while len(replies) < scenario.depth:
            parsed = parse_reply(buffer)
            if parsed is not None:
                reply, buffer = parsed
                replies.append(reply)
                continue
            data = connection.recv(65536)
            if not data:
                raise ProbeError(f"closed after {len(replies)} of {scenario.depth} responses")
            buffer += data
    if buffer:
        raise ProbeError(f"{len(buffer)} bytes more than was asked for")
    return replies


def check(port: int, scenario: Scenario, *, strict: bool) -> str | None:
    """What is wrong with the server's answers to the scenario, or None; ``strict``: bad requests get 4xx."""
    try:
        for reply in exchange(port, scenario):
            if problem := complaint(scenario, reply):
                return problem
        for bad in refusals(scenario) if strict else ():
            status = exchange(port, bad)[0].status
            if not 400 <= status < 500:
                return f"{bad.method} {bad.target} that must be refused got {status}"
    except (ProbeError, OSError) as error:
        return f"{type(error).__name__}: {error}"
    return None
