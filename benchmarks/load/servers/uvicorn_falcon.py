"""uvicorn + Falcon (ASGI); the order is decoded by msgspec. Pairs of its hooks stand for onions."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
from falcon.asgi import App, Request, Response

from benchmarks.load import orders, work
from benchmarks.load.servers import asgi


class Hello:
    async def on_get(self, request: Request, response: Response) -> None:
        response.content_type = work.TEXT_TYPE
        response.text = work.TEXT


class User:
    async def on_get(self, request: Request, response: Response, id: int) -> None:
        response.content_type = work.TEXT_TYPE
        response.text = work.user_text(id)


class Orders:
    async def on_post(self, request: Request, response: Response) -> None:
        try:
            placed = orders.decode_order(await request.stream.read())
        except msgspec.ValidationError as error:
            response.status = 422
            response.text = str(error)
            return
        response.data = orders.encode_receipt(orders.accept(placed))


class Filler:
    async def on_get(self, request: Request, response: Response, **params: Any) -> None:
        response.content_type = work.TEXT_TYPE
        response.text = "filler"


class CountMethods:
    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()

    async def process_request(self, request: Request, response: Response) -> None:
        self.seen[request.method] += 1


class CountStatuses:
    def __init__(self) -> None:
        self.seen: Counter[int] = Counter()

    async def process_response(
        self, request: Request, response: Response, resource: object, succeeded: bool
    ) -> None:
        self.seen[response.status_code] += 1


class Pair:
    """What stands for an onion here."""

    async def process_request(self, request: Request, response: Response) -> None:
        return None

    async def process_response(
        self, request: Request, response: Response, resource: object, succeeded: bool
    ) -> None:
        return None


def application() -> Any:
    settings = work.settings()
    app = App(middleware=[CountMethods(), CountStatuses(), *(Pair() for _ in range(settings.onions))])
    before, after = work.fillers(settings.routes)
    for pattern in before:
        app.add_route(pattern, Filler())
    app.add_route(work.HELLO, Hello())
    app.add_route(work.USER, User())
    app.add_route(work.ORDERS, Orders())
    for pattern in after:
        app.add_route(pattern, Filler())
    return app


if __name__ == "__main__":
    asgi.serve(application())
