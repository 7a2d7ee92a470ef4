"""Sanic on its own server; the order is decoded by msgspec. Pairs of its hooks stand for onions."""

from __future__ import annotations

from collections import Counter

import msgspec
from sanic import Sanic
from sanic.request import Request
from sanic.response import HTTPResponse, raw, text

from benchmarks.load import orders, work

METHODS: Counter[str] = Counter()
STATUSES: Counter[int] = Counter()


async def hello(request: Request) -> HTTPResponse:
    return text(work.TEXT)


async def user(request: Request, id: int) -> HTTPResponse:
    return text(work.user_text(id))


async def order(request: Request) -> HTTPResponse:
    try:
        placed = orders.decode_order(request.body)
    except msgspec.ValidationError as error:
        return text(str(error), 422)
    return raw(orders.encode_receipt(orders.accept(placed)), content_type=work.JSON_TYPE)


async def filler(request: Request) -> HTTPResponse:
    return text("filler")


async def filler_by_id(request: Request, id: int) -> HTTPResponse:
    return text(f"filler {id}")


async def count_method(request: Request) -> None:
    METHODS[request.method] += 1


async def count_status(request: Request, response: HTTPResponse) -> None:
    STATUSES[response.status] += 1


def hooks() -> tuple[object, object]:
    async def before(request: Request) -> None:
        return None

    async def after(request: Request, response: HTTPResponse) -> None:
        return None

    return before, after


def application() -> Sanic:
    settings = work.settings()
    app = Sanic("bench", configure_logging=False)
    app.config.ACCESS_LOG = False
    app.config.KEEP_ALIVE_TIMEOUT = work.KEEP_ALIVE_SECONDS
    app.config.TOUCHUP = True
    before, after = work.fillers(settings.routes)

    def fill(patterns: list[str]) -> None:
        for number, pattern in enumerate(patterns):
            path = pattern.replace("{id:int}", "<id:int>")
            name = path.strip("/").replace("/", "_") + str(number)
            app.add_route(filler_by_id if "<" in path else filler, path, name=name)

    fill(before)
    app.add_route(hello, work.HELLO)
    app.add_route(user, "/users/<id:int>")
    app.add_route(order, work.ORDERS, methods=["POST"])
    fill(after)
    app.register_middleware(count_method, "request")
    app.register_middleware(count_status, "response")
    for _ in range(settings.onions):
        look, see = hooks()
        app.register_middleware(look, "request")
        app.register_middleware(see, "response")
    return app


if __name__ == "__main__":
    application().run(
        work.HOST,
        work.settings().port,
        single_process=True,
        access_log=False,
        motd=False,
        debug=False,
        backlog=4096,
    )
