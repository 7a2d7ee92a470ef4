"""The heads of the pure twin, and their limits: plain classes with slots, to which a subclass may add."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["Facts", "Head", "Limits", "RequestHead", "ResponseHead"]


class Facts(NamedTuple):
    """What a field block says about framing, routing and the connection's life."""

    content_length: int
    chunked: bool
    keep_alive: bool
    upgrade: bool
    expect_continue: bool
    host: str

    def tell(self, head: Head) -> None:
        (
            head.content_length,
            head.chunked,
            head.keep_alive,
            head.upgrade,
            head.expect_continue,
            head.host,
        ) = self


class Limits:
    """The bounds of a head: whole in bytes, number of field lines, target in bytes.

    Raises ValueError unless 0 < max_target < max_head and max_fields >= 1.
    """

    __slots__ = ("max_fields", "max_head", "max_target", "memo")

    def __init__(self, max_head: int = 32768, max_fields: int = 100, max_target: int = 8192) -> None:
        if not 0 < max_target < max_head or max_fields < 1:
            raise ValueError("limits of a head: 0 < max_target < max_head and max_fields >= 1")
        self.max_head = max_head
        self.max_fields = max_fields
        self.max_target = max_target
        # Clients send the same block with every request of a connection; see _pure.py for its bound.
        self.memo: dict[bytes, Facts] = {}


class Head:
    """What the field block of any message says about its framing; its fields stay bytes until asked for.

    Attributes:
        minor: of the HTTP version, 0 or 1.
        content_length: in bytes, -1 without the field.
        chunked: whether chunked is the last transfer coding.
        keep_alive: whether the peer lets the connection live on after this message.
        upgrade: whether the peer asks (or agrees) to change the protocol; the field ``upgrade`` names it.
        expect_continue: whether the peer waits for 100 (Continue) before it sends the body.
        end: the position in the data of the first byte behind the head.
        host: of the target where that is absolute, else of the Host field, as sent; "" where there is none.
    """

    __slots__ = (
        "block",
        "chunked",
        "content_length",
        "end",
        "expect_continue",
        "host",
        "keep_alive",
        "minor",
        "upgrade",
    )
    minor: int
    content_length: int
    chunked: bool
    keep_alive: bool
    upgrade: bool
    expect_continue: bool
    end: int
    host: str
    block: bytes  # of this twin only: the minor version's digit, then all field lines, each ended by CRLF

    def fields(self) -> list[tuple[str, str]]:
        """All field lines in order as (lower-case name, value), values decoded as ISO-8859-1."""
        pairs: list[tuple[str, str]] = []
        for line in self.block.decode("latin-1").split("\r\n")[1:-1]:
            name, _, value = line.partition(":")
            pairs.append((name.lower(), value.strip(" \t")))
        return pairs

    def raw_fields(self) -> list[tuple[bytes, bytes]]:
        """All field lines in order as (lower-case name, value), both bytes."""
        pairs: list[tuple[bytes, bytes]] = []
        for line in self.block.split(b"\r\n")[1:-1]:
            name, _, value = line.partition(b":")
            pairs.append((name.lower(), value.strip(b" \t")))
        return pairs

    def field(self, name: str) -> str | None:
        """The value of the first field called ``name`` (lower case), or None."""
        line = f"\r\n{name}:".encode()
        at = self.block.lower().find(line)
        if at < 0 or ":" in name or "\r" in name:
            return None
        at += len(line)
        return self.block[at : self.block.index(b"\r", at)].strip(b" \t").decode("latin-1")


class RequestHead(Head):
    """A request line and its field block.

    Attributes:
        method: as sent.
        target: the request target as sent.
        raw_path: its path, still percent-encoded; "*" or "" (CONNECT) where it has none.
        query_string: what follows "?", still percent-encoded.
        plain_path: whether the path is canonical as it stands.
        deadline, endpoint, exchange, made, params, received, source: for the layer above, None until it sets them.
    """

    __slots__ = (
        "deadline",
        "endpoint",
        "exchange",
        "made",
        "method",
        "params",
        "plain_path",
        "query_string",
        "raw_path",
        "received",
        "source",
        "target",
    )
    deadline: Any
    endpoint: Any
    exchange: Any
    made: Any
    params: Any
    received: Any
    source: Any
    method: str
    target: str
    raw_path: str
    query_string: str
    plain_path: bool


class ResponseHead(Head):
    """A status line and its field block."""

    __slots__ = ("reason", "status")
    status: int
    reason: str
