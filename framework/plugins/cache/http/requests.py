"""Requests as a cache asks them: without the client's conditions, with its own."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from framework.http.request import Request
from framework.wire.leaves import Limits, parse_request

__all__ = ["CONDITIONS", "adopt", "asked_anew", "is_conditional", "key_of", "variant_of"]

CONDITIONS: Final = ("if-none-match", "if-modified-since", "if-range", "range")
_LIMITS: Final = Limits(1_048_576, 10_000, 65_536)
_MAX_PLAIN: Final = 480


def key_of(url: str) -> str:
    """The key of what is at a URL: that, or a digest where it is long."""
    return f"http:{url}" if len(url) <= _MAX_PLAIN else f"http#{sha256(url.encode()).hexdigest()}"


def variant_of(key: str, serial: str, names: Sequence[str], request: Request) -> str:
    """The key of the response to requests whose fields of these names are as this one's (RFC 9111 section 4.1)."""
    digest = sha256(serial.encode())
    for name in names:
        value = request.headers.combined(name)
        digest.update(b"\x00-" if value is None else b"\x00+" + b" ".join(value.encode().split()))
    return f"{key}#{digest.hexdigest()[:40]}"


def is_conditional(request: Request) -> bool:
    """Whether the client asks about what it has, or for a part."""
    return any(request.field(name) is not None for name in CONDITIONS)


def asked_anew(request: Request, *, etag: str | None = None, modified: str | None = None) -> Request:
    """The same request without the client's conditions and with these, which has its route, body and connection."""
    fields = [pair for pair in request.fields() if pair[0] not in CONDITIONS]
    if etag is not None:
        fields.append(("if-none-match", etag))
    if modified is not None:
        fields.append(("if-modified-since", modified))
    lines = "".join([f"{name}: {value}\r\n" for name, value in fields])
    head = f"{request.method} {request.target} HTTP/1.{request.minor}\r\n{lines}\r\n"
    made = parse_request(head.encode("latin-1"), 0, _LIMITS, Request)
    if made is None:
        raise RuntimeError("a request that was read cannot be read again")
    made.attach(request.exchange, request.received, request.source)
    made.endpoint, made.params, made.deadline = request.endpoint, request.params, request.deadline
    if request.made is not None:
        made.made = {key: value for key, value in request.made.items() if key != "headers"}
    return made


def adopt(request: Request, asked: Request) -> None:
    """Takes over what a handler has put on the request that it was asked by, for those further out to see."""
    if asked is not request and asked.made is not None:
        if request.made is None:
            request.made = {}
        request.made.update({key: value for key, value in asked.made.items() if key != "headers"})
