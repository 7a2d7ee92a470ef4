"""fastpysgi, a server in C, and a WSGI function."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import fastpysgi
import msgspec

from benchmarks.load import orders, work

StartResponse = Callable[[str, list[tuple[str, str]]], object]


def application(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    path: str = environ["PATH_INFO"]
    if path == work.HELLO:
        return answer(start_response, "200 OK", work.TEXT.encode())
    if path.startswith("/users/") and path[7:].isdecimal():
        return answer(start_response, "200 OK", work.user_text(int(path[7:])).encode())
    if path == work.ORDERS and environ["REQUEST_METHOD"] == "POST":
        try:
            placed = orders.decode_order(environ["wsgi.input"].read())
        except msgspec.ValidationError as error:
            return answer(start_response, "422 Unprocessable Content", str(error).encode())
        receipt = orders.encode_receipt(orders.accept(placed))
        return answer(start_response, "200 OK", receipt, work.JSON_TYPE)
    return answer(start_response, "404 Not Found", b"not found")


def answer(
    start_response: StartResponse, status: str, body: bytes, content_type: str = work.TEXT_TYPE
) -> Iterable[bytes]:
    start_response(status, [("Content-Type", content_type), ("Content-Length", str(len(body)))])
    return [body]


if __name__ == "__main__":
    fastpysgi.server.backlog = 4096
    fastpysgi.server.tcp_nodelay = (
        1  # off by default: pipelined answers would wait for delayed ACKs, 40 ms each
    )
    fastpysgi.run(application, host=work.HOST, port=work.settings().port, loglevel=fastpysgi.LL_ERROR)
