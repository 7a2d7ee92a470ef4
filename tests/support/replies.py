"""Reads what a server wrote. Its own small parser, so that the framework's is not judged by itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Reply", "read_replies", "read_reply"]


@dataclass(frozen=True)
class Reply:
    """One response. ``complete`` is false for one that was cut."""

    status: int
    fields: tuple[tuple[str, str], ...]
    body: bytes
    complete: bool = True

    def __getitem__(self, name: str) -> str:
        (value,) = self.all(name)
        return value

    def __contains__(self, name: str) -> bool:
        return bool(self.all(name))

    def all(self, name: str) -> list[str]:
        """Every value of a field."""
        return [value for key, value in self.fields if key == name]

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    def without_date(self) -> Reply:
        """The reply but for what differs from run to run."""
        kept = tuple(pair for pair in self.fields if pair[0] != "date")
        return Reply(self.status, kept, self.body, self.complete)


def read_reply(data: bytes, method: str = "GET", *, closed: bool = False) -> tuple[Reply, bytes]:
    """The first response of ``data`` and what follows it; ``closed`` when nothing more will come."""
    head, mark, rest = bytes(data).partition(b"\r\n\r\n")
    assert mark, f"no whole head in {data[:200]!r}"
    first, *lines = head.decode("latin-1").split("\r\n")
    version, status, _ = first.split(" ", 2)
    assert version == "HTTP/1.1", first
    pairs = [line.partition(": ")[::2] for line in lines]
    assert all(name == name.lower() and name for name, _ in pairs), pairs
    fields = tuple(pairs)
    reply = Reply(int(status), fields, b"")
    if method == "HEAD" or reply.status < 200 or reply.status in (204, 304):
        return reply, rest
    if "transfer-encoding" in reply:
        assert reply["transfer-encoding"] == "chunked"
        assert "content-length" not in reply
        return _chunked(reply, rest)
    if "content-length" in reply:
        length = int(reply["content-length"])
        body = rest[:length]
        return Reply(reply.status, fields, body, len(body) == length), rest[length:]
    assert reply["connection"] == "close", "a body without an end"
    return Reply(reply.status, fields, rest, closed), b""


def _chunked(reply: Reply, data: bytes) -> tuple[Reply, bytes]:
    body = b""
    while True:
        line, mark, data = data.partition(b"\r\n")
        if not mark:
            return Reply(reply.status, reply.fields, body, False), b""
        size = int(line, 16)
        if size == 0:
            assert data[:2] == b"\r\n"
            return Reply(reply.status, reply.fields, body), data[2:]
        body += data[:size]
        if len(data) < size + 2:
            return Reply(reply.status, reply.fields, body, False), b""
        assert data[size : size + 2] == b"\r\n"
        data = data[size + 2 :]


def read_replies(data: bytes, methods: Sequence[str] = (), *, closed: bool = False) -> list[Reply]:
    """All final responses of ``data``, to requests with ``methods`` (GET where there are no more)."""
    replies: list[Reply] = []
    rest = bytes(data)
    while rest:
        method = methods[len(replies)] if len(replies) < len(methods) else "GET"
        reply, rest = read_reply(rest, method, closed=closed)
        if reply.status >= 200:
            replies.append(reply)
    return replies
