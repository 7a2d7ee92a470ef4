"""Requests without a connection: parsed by the wire from what a test says, with a body that comes in given pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from framework.http.endpoint import Endpoint
from framework.http.request import Address, Origin, Request
from framework.wire.leaves import Limits, parse_request

__all__ = ["fake_request"]


class Pieces:
    """A body source. ``taken`` counts the pieces that were asked for."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.trailers: list[tuple[str, str]] = []
        self.taken = 0
        self._pieces = iter(pieces)

    async def receive(self) -> bytes:
        self.taken += 1
        return next(self._pieces, b"")


class NoConnection:
    """An exchange that nobody is on the other side of."""

    scheme = "http"
    peer = None

    def extra(self, name: str) -> Any:
        return None

    def resolve(self, request: Request) -> Origin:
        return Origin(Address("192.0.2.1", 1), "http", request.host)

    def after_response(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        raise NotImplementedError


def fake_request(
    method: str = "GET",
    target: str = "/",
    headers: Mapping[str, str] | None = None,
    body: Iterable[bytes] | None = None,
    *,
    max_body: int = 1_048_576,
) -> Request:
    """A request; with ``body``, its pieces come one by one, as many as are asked for."""
    fields = {"host": "test", **(headers or {})}
    if body is not None:
        fields["transfer-encoding"] = "chunked"
    head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in fields.items()) + "\r\n"
    request = parse_request(head.encode("latin-1"), 0, Limits(), Request)
    assert request is not None
    request.attach(NoConnection(), b"" if body is None else None, None if body is None else Pieces(body))
    request.params = {}
    request.endpoint = Endpoint(_unreachable, _unreachable, max_body=max_body)
    return request


def _unreachable(*args: Any) -> Any:
    raise NotImplementedError(args)
