"""uvicorn + BlackSheep; the order is decoded by msgspec, the fastest its user can take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable

import msgspec
from blacksheep import Application, Content, Request, Response, text

from benchmarks.load import orders, work
from benchmarks.load.servers import asgi

Handler = Callable[[Request], Awaitable[Response]]
METHODS: Counter[str] = Counter()
STATUSES: Counter[int] = Counter()


async def hello(request: Request) -> Response:
    return text(work.TEXT)


async def user(request: Request) -> Response:
    value = request.route_values["id"]
    return text(work.user_text(int(value))) if value.isdecimal() else text("not a number", 404)


async def order(request: Request) -> Response:
    try:
        placed = orders.decode_order(await request.read() or b"")
    except msgspec.ValidationError as error:
        return text(str(error), 422)
    receipt = orders.encode_receipt(orders.accept(placed))
    return Response(200, content=Content(b"application/json", receipt))


async def filler(request: Request) -> Response:
    return text("filler")


async def count_methods(request: Request, handler: Handler) -> Response:
    METHODS[request.method] += 1
    return await handler(request)


async def count_statuses(request: Request, handler: Handler) -> Response:
    response = await handler(request)
    STATUSES[response.status] += 1
    return response


async def onion(request: Request, handler: Handler) -> Response:
    return await handler(request)


def application() -> Application:
    settings = work.settings()
    app = Application()
    before, after = work.fillers(settings.routes)

    def fill(patterns: list[str]) -> None:
        for pattern in patterns:
            app.router.add_get(pattern.replace("{id:int}", "{id}"), filler)

    fill(before)
    app.router.add_get(work.HELLO, hello)
    app.router.add_get("/users/{id}", user)
    app.router.add_post(work.ORDERS, order)
    fill(after)
    app.middlewares.extend([count_methods, count_statuses, *[onion] * settings.onions])
    return app


if __name__ == "__main__":
    asgi.serve(application())
