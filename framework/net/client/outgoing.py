"""A request as the connection sends it: head in bytes, body from wherever it comes. It knows no URL."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from typing import Final, TypeAlias

import msgspec

from framework.net.client.settings import Timeouts
from framework.net.wheel import NEVER
from framework.wire.leaves import ResponseHead

__all__ = ["BodySource", "OnInformational", "OutgoingRequest", "Trailers", "is_replayable"]

BodySource: TypeAlias = bytes | AsyncIterable[bytes] | Iterable[bytes]
Trailers: TypeAlias = Callable[[], Sequence[tuple[str, str]]]
OnInformational: TypeAlias = Callable[[ResponseHead], None]

# RFC 9110 section 9.2.2.
IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})


class OutgoingRequest(msgspec.Struct, kw_only=True):
    """What one exchange sends, and how it wants to be treated.

    The head is sent as it is: it has to be a whole and valid one (``framework.wire.request_head`` makes them) whose
    framing fields say what ``body`` and ``length`` do.

    Args:
        method: as in the head; it decides whether the response has a body.
        head: request line, field lines and the empty line.
        body: bytes, or an iterable of bytes that is sent as fast as the peer takes it. Sent by a Task of its own
            unless it is bytes; an async generator is closed in the end.
        length: of a body that is no bytes: its Content-Length; None sends it chunked.
        trailers: asked for the trailer fields of a chunked body when that is at its end.
        on_informational: told of every 1xx response before the final one; must not wait. What it raises fails
            the exchange.
        expect_continue: the head asks for 100 (Continue): the body waits for it, at most ``continue_timeout``.
        upgrade: 101 is an answer (to a request that asks for an upgrade); any other 101 breaks the protocol.
        idempotent: whether the request may be sent twice; None takes the method's word, for one without body.
        timeouts: None takes those of the pool.
        deadline: loop time by which everything has to be over.
    """

    method: str
    head: bytes
    body: BodySource = b""
    length: int | None = None
    trailers: Trailers | None = None
    on_informational: OnInformational | None = None
    expect_continue: bool = False
    continue_timeout: float = 1.0
    upgrade: bool = False
    idempotent: bool | None = None
    timeouts: Timeouts | None = None
    deadline: float = NEVER


def is_replayable(request: OutgoingRequest) -> bool:
    """Whether the request may be sent again where the first may have been served: never one with a streamed body,
    nor one with a body that nobody called idempotent."""
    if not isinstance(request.body, bytes):
        return False
    if request.idempotent is None:
        return request.method in IDEMPOTENT and not request.body
    return request.idempotent
