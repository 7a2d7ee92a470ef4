"""aiohttp's server on uvloop; the order is decoded by msgspec."""

from __future__ import annotations

from collections import Counter

import msgspec
import uvloop
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from benchmarks.load import orders, work

METHODS: Counter[str] = Counter()
STATUSES: Counter[int] = Counter()


async def hello(request: web.Request) -> web.Response:
    return web.Response(text=work.TEXT)


async def user(request: web.Request) -> web.Response:
    return web.Response(text=work.user_text(int(request.match_info["id"])))


async def order(request: web.Request) -> web.Response:
    try:
        placed = orders.decode_order(await request.read())
    except msgspec.ValidationError as error:
        return web.Response(text=str(error), status=422)
    return web.Response(body=orders.encode_receipt(orders.accept(placed)), content_type=work.JSON_TYPE)


async def filler(request: web.Request) -> web.Response:
    return web.Response(text="filler")


@web.middleware
async def count_methods(request: web.Request, handler: Handler) -> web.StreamResponse:
    METHODS[request.method] += 1
    return await handler(request)


@web.middleware
async def count_statuses(request: web.Request, handler: Handler) -> web.StreamResponse:
    response = await handler(request)
    STATUSES[response.status] += 1
    return response


def onion() -> Middleware:
    @web.middleware
    async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await handler(request)

    return around


def application() -> web.Application:
    settings = work.settings()
    app = web.Application(
        middlewares=[count_methods, count_statuses, *(onion() for _ in range(settings.onions))]
    )
    before, after = work.fillers(settings.routes)

    def fill(patterns: list[str]) -> None:
        for pattern in patterns:
            app.router.add_get(pattern.replace("{id:int}", r"{id:\d+}"), filler)

    fill(before)
    app.router.add_get(work.HELLO, hello)
    app.router.add_get(r"/users/{id:\d+}", user)
    app.router.add_post(work.ORDERS, order)
    fill(after)
    return app


if __name__ == "__main__":
    web.run_app(
        application(),
        host=work.HOST,
        port=work.settings().port,
        access_log=None,
        print=None,
        backlog=4096,
        keepalive_timeout=work.KEEP_ALIVE_SECONDS,
        loop=uvloop.new_event_loop(),
    )
