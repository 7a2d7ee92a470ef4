"""How long a request's dependencies live, over a real socket: to the end of the response, whatever that end is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from framework import App, Handler, Hooks, HTTPError, Request, Response, StreamingResponse
from framework.errors import PeerClosed
from framework.middleware import Deadline
from framework.testing import TestClient

pytestmark = pytest.mark.anyio


class Session:
    def __init__(self) -> None:
        self.open = True


class Log(list[str]):
    """What happened, and a way to wait for it."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()

    def add(self, line: str) -> None:
        self.append(line)
        self.changed.set()

    async def until(self, line: str) -> None:
        async with asyncio.timeout(10):
            while line not in self:
                self.changed.clear()
                await self.changed.wait()


class Shop:
    """An app whose every route needs a session."""

    def __init__(self) -> None:
        self.log = Log()
        self.app = app = App()
        self.waiting = asyncio.Event()

        async def session() -> AsyncGenerator[Session]:
            made = Session()
            try:
                yield made
            except BaseException as error:
                self.log.add(type(error).__name__)
                raise
            else:
                self.log.add("well")
            finally:
                made.open = False

        app.provide(session)
        app.get("/plain")(self.plain)
        app.get("/stream")(self.stream)
        app.get("/endless")(self.endless)
        app.get("/wait")(self.wait)
        app.get("/late", middleware=[Deadline(0.01)])(self.wait)
        app.get("/broken")(self.broken)
        app.get("/made")(self.made)
        app.get("/dropped", middleware=[self.drop])(self.stream)
        app.get("/torn", middleware=[self.tear])(self.stream)
        app.get("/replaced", middleware=[Replace()])(self.stream)

    async def plain(self, session: Session) -> bool:
        return session.open

    async def stream(self, session: Session) -> AsyncIterator[str]:
        for _ in range(3):
            yield f"{session.open} "

    async def endless(self, session: Session) -> AsyncIterator[bytes]:
        while True:
            self.waiting.set()
            yield b"x" * 65536

    async def wait(self, session: Session) -> None:
        self.waiting.set()
        await asyncio.Event().wait()

    async def broken(self, session: Session) -> AsyncIterator[str]:
        yield "a"
        raise LookupError

    async def made(self, session: Session) -> StreamingResponse:
        return StreamingResponse(self.stream(session), media_type="text/plain")

    @staticmethod
    def drop(handler: Handler) -> Handler:
        async def around(request: Request) -> Response:
            await handler(request)
            return Response("dropped")

        return around

    @staticmethod
    def tear(handler: Handler) -> Handler:
        async def around(request: Request) -> Response:
            await handler(request)
            raise HTTPError(409)

        return around


class Replace(Hooks):
    def after(self, request: Request, response: Response) -> Response | None:
        return Response("replaced")


@asynccontextmanager
async def open_shop(settings: Mapping[str, object] | None = None) -> AsyncIterator[tuple[TestClient, Shop]]:
    shop = Shop()
    async with TestClient(shop.app, transport="socket", settings=settings) as client:
        yield client, shop


async def test_a_whole_response() -> None:
    async with open_shop() as (client, shop):
        assert (await client.get("/plain")).text == "true"
        assert shop.log == ["well"]


@pytest.mark.parametrize("path", ["/stream", "/made"])
async def test_a_stream(path: str) -> None:
    async with open_shop() as (client, shop):
        assert (await client.get(path)).text == "True True True "
        await shop.log.until("well")
        assert (await client.head(path)).status == 200
        assert shop.log == ["well", "well"]


async def test_a_stream_that_fails_is_cut_and_the_session_is_told() -> None:
    async with open_shop() as (client, shop):
        with pytest.raises(PeerClosed):
            await client.get("/broken")
        await shop.log.until("LookupError")


@pytest.mark.parametrize("path", ["/endless", "/wait"])
async def test_a_client_that_leaves(path: str) -> None:
    async with open_shop() as (client, shop):
        connection = await client.connect()
        connection.write(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        await shop.waiting.wait()
        connection.abort()
        await shop.log.until("CancelledError")
        assert (await client.get("/plain")).text == "true"


async def test_a_deadline() -> None:
    async with open_shop() as (client, shop):
        assert (await client.get("/late")).status == 504
        assert shop.log == ["CancelledError"]


async def test_a_shutdown() -> None:
    async with open_shop({"server.drain_timeout": 0.01}) as (client, shop):
        asking = asyncio.ensure_future(client.get("/wait"))
        await shop.waiting.wait()
    assert shop.log == ["CancelledError"]
    assert (await asking).status == 503


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [("/dropped", 200, "dropped"), ("/torn", 409, ""), ("/replaced", 200, "replaced")],
)
async def test_a_stream_that_a_middleware_did_not_let_out(path: str, status: int, text: str) -> None:
    async with open_shop() as (client, shop):
        answer = await client.get(path)
        assert answer.status == status
        assert text in answer.text
        await shop.log.until("well")
