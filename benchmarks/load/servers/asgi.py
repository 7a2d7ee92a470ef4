"""What the ASGI servers share: the bare application, the middlewares, and how uvicorn is run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from benchmarks.load import orders, work

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


async def bare(scope: Scope, receive: Receive, send: Send) -> None:
    """The three answers without a framework."""
    path: str = scope["path"]
    if path == work.HELLO:
        await reply(send, 200, work.TEXT.encode())
    elif path.startswith("/users/") and path[7:].isdecimal():
        await reply(send, 200, work.user_text(int(path[7:])).encode())
    elif path == work.ORDERS and scope["method"] == "POST":
        await post_order(receive, send)
    else:
        await reply(send, 404, b"not found")


async def post_order(receive: Receive, send: Send) -> None:
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    try:
        order = orders.decode_order(body)
    except msgspec.ValidationError as error:
        await reply(send, 422, str(error).encode())
        return
    await reply(send, 200, orders.encode_receipt(orders.accept(order)), work.JSON_TYPE)


async def reply(send: Send, status: int, body: bytes, content_type: str = work.TEXT_TYPE) -> None:
    headers = [(b"content-type", content_type.encode()), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class CountMethods:
    """A middleware that only looks at the request."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.seen: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.seen[scope["method"]] += 1
        await self.app(scope, receive, send)


class CountStatuses:
    """A middleware that only looks at the response."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.seen: Counter[int] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def look(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.seen[message["status"]] += 1
            await send(message)

        await self.app(scope, receive, look)


class Onion:
    """A middleware around the application: ASGI's plain way, the cheapest there is."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


MIDDLEWARES: tuple[Callable[[App], App], ...] = (CountMethods, CountStatuses)


def serve(app: Any, *, lifespan: str = "auto") -> None:
    """uvicorn at its fastest: uvloop, httptools, no access log, nothing it need not do."""
    import uvicorn

    uvicorn.run(
        app,
        host=work.HOST,
        port=work.settings().port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan=lifespan,
        access_log=False,
        log_level="warning",
        proxy_headers=False,
        backlog=4096,
        timeout_keep_alive=work.KEEP_ALIVE_SECONDS,
    )
