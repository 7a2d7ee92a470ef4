"""uvicorn + Starlette; the order is decoded by msgspec, since Starlette brings no typed bodies of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from benchmarks.load import orders, work
from benchmarks.load.servers import asgi

Endpoint = Callable[[Request], Awaitable[Response]]


async def hello(request: Request) -> Response:
    return PlainTextResponse(work.TEXT)


async def user(request: Request) -> Response:
    return PlainTextResponse(work.user_text(request.path_params["id"]))


async def order(request: Request) -> Response:
    try:
        placed = orders.decode_order(await request.body())
    except msgspec.ValidationError as error:
        return PlainTextResponse(str(error), 422)
    return Response(orders.encode_receipt(orders.accept(placed)), media_type=work.JSON_TYPE)


async def filler(request: Request) -> Response:
    return PlainTextResponse("filler")


def application(order: Endpoint = order) -> Starlette:
    settings = work.settings()
    before, after = work.fillers(settings.routes)
    routes = [
        *(Route(pattern, filler) for pattern in before),
        Route(work.HELLO, hello),
        Route(work.USER, user),
        Route(work.ORDERS, order, methods=["POST"]),
        *(Route(pattern, filler) for pattern in after),
    ]
    layers = [*asgi.MIDDLEWARES, *[asgi.Onion] * settings.onions]
    return Starlette(routes=routes, middleware=[Middleware(layer) for layer in layers])


if __name__ == "__main__":
    asgi.serve(application())
