"""Handlers that do something with a body, and bodies in chunks."""

from __future__ import annotations

import asyncio

from framework.http.request import Request
from framework.http.response import Response
from tests.support.harness import request_bytes

__all__ = ["chunked", "echo", "ignore", "slowly"]


async def echo(request: Request) -> Response:
    return Response(await request.body())


async def ignore(request: Request) -> Response:
    return Response("ignored")


async def slowly(request: Request) -> Response:
    """Lets the body wait for a second."""
    await asyncio.sleep(1)
    return Response(await request.body())


def chunked(*pieces: bytes, trailer: bytes = b"") -> bytes:
    """A POST whose body comes in these chunks."""
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return request_bytes("POST", body=body + b"0\r\n" + trailer + b"\r\n", transfer_encoding="chunked")
