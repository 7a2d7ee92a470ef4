"""Requests without a server, to call one handler or one middleware with: the wire parses what a test says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from framework.http.endpoint import Endpoint
from framework.http.request import Address, Origin, Request
from framework.wire.leaves import Limits, parse_request

__all__ = ["BodyPieces", "fake_request"]


class BodyPieces:
    """A body that comes in given pieces. ``taken`` counts how many were asked for."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.trailers: list[tuple[str, str]] = []
        self.taken = 0
        self._pieces = iter(pieces)

    async def receive(self) -> bytes:
        """The next piece, b"" at the end."""
        self.taken += 1
        return next(self._pieces, b"")


class _NoConnection:
    """An exchange that nobody is on the other side of."""

    scheme = "http"
    peer = None

    def extra(self, name: str) -> Any:
        return None

    def resolve(self, request: Request) -> Origin:
        return Origin(Address("192.0.2.1", 1), "http", request.host)

    def after_response(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        raise RuntimeError("a fake request has no response that work could come after")


def fake_request(
    method: str = "GET",
    target: str = "/",
    headers: Mapping[str, str] | None = None,
    body: bytes | Iterable[bytes] | None = None,
    *,
    params: dict[str, Any] | None = None,
    max_body: int = 1_048_576,
) -> Request:
    """A request that nobody sent, with no dependencies and no way to answer it.

    Args:
        headers: beside a Host.
        body: whole, or in pieces that come as they are asked for: ``request.source`` is a ``BodyPieces``.
        params: of the path.
        max_body: the limit of its route.
    """
    fields = {"host": "test", **(headers or {})}
    pieces = BodyPieces([body] if isinstance(body, bytes) else body) if body is not None else None
    if pieces is not None:
        fields["transfer-encoding"] = "chunked"
    head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in fields.items()) + "\r\n"
    request = parse_request(head.encode("latin-1"), 0, Limits(), Request)
    assert request is not None
    request.attach(_NoConnection(), b"" if pieces is None else None, pieces)
    request.params = params or {}
    request.endpoint = Endpoint(_unreachable, _unreachable, max_body=max_body)
    return request


def _unreachable(*args: Any) -> Any:
    raise RuntimeError("a fake request has no route: call its handler yourself")
