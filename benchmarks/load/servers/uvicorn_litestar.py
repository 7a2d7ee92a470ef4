"""uvicorn + Litestar with msgspec Structs, its native types."""

from __future__ import annotations

from litestar import Litestar, MediaType, get, post
from litestar.handlers import HTTPRouteHandler

from benchmarks.load import orders, work
from benchmarks.load.orders import Order, Receipt
from benchmarks.load.servers import asgi


@get(work.HELLO, media_type=MediaType.TEXT)
async def hello() -> str:
    return work.TEXT


@get("/users/{user_id:int}", media_type=MediaType.TEXT)
async def user(user_id: int) -> str:
    return work.user_text(user_id)


@post(work.ORDERS, status_code=200)
async def order(data: Order) -> Receipt:
    return orders.accept(data)


def filler(pattern: str) -> HTTPRouteHandler:
    if "{" in pattern:

        @get(pattern.replace("{id:int}", "{number:int}"), media_type=MediaType.TEXT)
        async def by_id(number: int) -> str:
            return f"filler {number}"

        return by_id

    @get(pattern, media_type=MediaType.TEXT)
    async def plain() -> str:
        return "filler"

    return plain


def application() -> Litestar:
    settings = work.settings()
    before, after = work.fillers(settings.routes)
    return Litestar(
        route_handlers=[
            *(filler(pattern) for pattern in before),
            hello,
            user,
            order,
            *(filler(pattern) for pattern in after),
        ],
        middleware=[*asgi.MIDDLEWARES, *[asgi.Onion] * settings.onions],
        openapi_config=None,
        logging_config=None,
    )


if __name__ == "__main__":
    asgi.serve(application())
