"""socketify, uWebSockets under Python; its two middlewares are plain function calls around the handler."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
from socketify import App, AppListenOptions

from benchmarks.load import orders, work

METHODS: Counter[str] = Counter()
STATUSES: Counter[str] = Counter()
Handler = Callable[[Any, Any], None]


def end(response: Any, body: str | bytes, status: str = "200 OK", content_type: str = work.TEXT_TYPE) -> None:
    STATUSES[status] += 1
    response.write_status(status).write_header("Content-Type", content_type).end(body)


def counted(handler: Handler) -> Handler:
    def call(response: Any, request: Any) -> None:
        METHODS[request.get_method()] += 1
        handler(response, request)

    return call


def hello(response: Any, request: Any) -> None:
    end(response, work.TEXT)


def user(response: Any, request: Any) -> None:
    value: str = request.get_parameter(0)
    if value.isdecimal():
        end(response, work.user_text(int(value)))
    else:
        end(response, "not a number", "404 Not Found")


def order(response: Any, request: Any) -> None:
    body = bytearray()

    def received(response: Any, chunk: bytes | None, is_end: bool) -> None:
        body.extend(chunk or b"")
        if not is_end:
            return
        try:
            placed = orders.decode_order(body)
        except msgspec.ValidationError as error:
            end(response, str(error), "422 Unprocessable Content")
            return
        end(response, orders.encode_receipt(orders.accept(placed)), content_type=work.JSON_TYPE)

    response.on_data(received)


def filler(response: Any, request: Any) -> None:
    end(response, "filler")


def main() -> None:
    settings = work.settings()
    app = App()
    before, after = work.fillers(settings.routes)
    for pattern in before:
        app.get(pattern.replace("{id:int}", ":id"), counted(filler))
    app.get(work.HELLO, counted(hello))
    app.get("/users/:id", counted(user))
    app.post(work.ORDERS, counted(order))
    for pattern in after:
        app.get(pattern.replace("{id:int}", ":id"), counted(filler))
    app.any("/*", lambda response, request: end(response, "not found", "404 Not Found"))
    app.listen(AppListenOptions(port=settings.port, host=work.HOST), lambda config: None)
    app.run()


if __name__ == "__main__":
    main()
