"""uvicorn + FastAPI, typed as its manual says: pydantic models in, pydantic models out."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from benchmarks.load import work
from benchmarks.load.servers import asgi


class Address(BaseModel):
    street: str
    city: str
    postcode: str
    country: str


class Customer(BaseModel):
    name: str
    email: str
    address: Address


class Line(BaseModel):
    sku: str
    name: str
    quantity: int
    price: float


class Order(BaseModel):
    id: int
    customer: Customer
    lines: list[Line]
    tags: list[str]
    note: str | None = None


class Receipt(BaseModel):
    order: int
    customer: str
    city: str
    quantity: int
    total: float


async def hello() -> str:
    return work.TEXT


async def user(id: int) -> str:
    return work.user_text(id)


async def order(placed: Order) -> Receipt:
    return Receipt(
        order=placed.id,
        customer=placed.customer.name,
        city=placed.customer.address.city,
        quantity=sum(line.quantity for line in placed.lines),
        total=sum(line.quantity * line.price for line in placed.lines),
    )


async def filler() -> str:
    return "filler"


async def filler_by_id(id: int) -> str:
    return f"filler {id}"


def application() -> FastAPI:
    settings = work.settings()
    app = FastAPI(openapi_url=None)
    before, after = work.fillers(settings.routes)

    def text(pattern: str, handler: object) -> None:
        path = pattern.replace("{id:int}", "{id}")
        app.add_api_route(path, handler, response_class=PlainTextResponse)  # type: ignore[arg-type]

    def fill(patterns: list[str]) -> None:
        for pattern in patterns:
            text(pattern, filler_by_id if "{" in pattern else filler)

    fill(before)
    text(work.HELLO, hello)
    text(work.USER, user)
    app.add_api_route(work.ORDERS, order, methods=["POST"])
    fill(after)
    for layer in reversed([*asgi.MIDDLEWARES, *[asgi.Onion] * settings.onions]):
        app.add_middleware(layer)
    return app


if __name__ == "__main__":
    asgi.serve(application())
