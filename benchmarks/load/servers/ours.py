"""The framework, used as its manual says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from benchmarks.load import orders, work
from benchmarks.load.orders import Order, Receipt
from framework import App, Handler, Hooks, Request, Response, run


class CountMethods(Hooks):
    """Only looks at the request."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()

    def before(self, request: Request) -> None:
        self.seen[request.method] += 1


class CountStatuses(Hooks):
    """Only looks at the response."""

    def __init__(self) -> None:
        self.seen: Counter[int] = Counter()

    def after(self, request: Request, response: Response) -> None:
        self.seen[response.status] += 1


def onion(following: Handler) -> Handler:
    async def around(request: Request) -> Response:
        return await following(request)

    return around


async def hello() -> str:
    return work.TEXT


async def user(id: int) -> str:
    return work.user_text(id)


async def order(placed: Order) -> Receipt:
    return orders.accept(placed)


async def filler() -> str:
    return "filler"


async def filler_by_id(id: int) -> str:
    return f"filler {id}"


def application(routes: int, onions: int) -> App:
    app = App()
    before, after = work.fillers(routes)

    def fill(patterns: list[str]) -> None:
        for pattern in patterns:
            handler: Callable[..., object] = filler_by_id if "{" in pattern else filler
            app.get(pattern)(handler)

    fill(before)
    app.get(work.HELLO)(hello)
    app.get(work.USER)(user)
    app.post(work.ORDERS)(order)
    fill(after)
    app.use(CountMethods())
    app.use(CountStatuses())
    for _ in range(onions):
        app.use(onion)
    return app


if __name__ == "__main__":
    settings = work.settings()
    server = {
        "server.host": work.HOST,
        "server.port": settings.port,
        "server.backlog": 4096,
        "server.keep_alive_timeout": work.KEEP_ALIVE_SECONDS,
    }
    run(application(settings.routes, settings.onions), overrides=server)
