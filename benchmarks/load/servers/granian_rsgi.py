"""Granian and an RSGI function, its own interface."""

from __future__ import annotations

from typing import Any

import msgspec
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.server import Server

from benchmarks.load import orders, work

TEXT_HEAD = [("content-type", work.TEXT_TYPE)]
JSON_HEAD = [("content-type", work.JSON_TYPE)]


async def application(scope: Any, protocol: Any) -> None:
    path: str = scope.path
    if path == work.HELLO:
        protocol.response_str(200, TEXT_HEAD, work.TEXT)
    elif path.startswith("/users/") and path[7:].isdecimal():
        protocol.response_str(200, TEXT_HEAD, work.user_text(int(path[7:])))
    elif path == work.ORDERS and scope.method == "POST":
        try:
            placed = orders.decode_order(await protocol())
        except msgspec.ValidationError as error:
            protocol.response_str(422, TEXT_HEAD, str(error))
            return
        protocol.response_bytes(200, JSON_HEAD, orders.encode_receipt(orders.accept(placed)))
    else:
        protocol.response_str(404, TEXT_HEAD, "not found")


def serve(target: str, interface: Interfaces) -> None:
    Server(
        target,
        address=work.HOST,
        port=work.settings().port,
        interface=interface,
        workers=1,
        runtime_threads=1,
        blocking_threads=1,
        loop=Loops.uvloop,
        http=HTTPModes.http1,
        websockets=False,
        backlog=4096,
        backpressure=20_000,  # also a limit of idle connections
        http1_settings=HTTP1Settings(header_read_timeout=work.KEEP_ALIVE_SECONDS * 1000),
        log_access=False,
        log_enabled=False,
    ).serve()


if __name__ == "__main__":
    serve("benchmarks.load.servers.granian_rsgi:application", Interfaces.RSGI)
