"""Routes of WebSockets, from declaration to close: binding, dependencies, denials, typed messages, limits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any

import msgspec
import pytest

from framework import (
    App,
    Header,
    Hooks,
    HTTPError,
    Request,
    Response,
    Scope,
    Upgrade,
    WebSocket,
    WebSocketListener,
)
from framework.errors import BindingError, SetupError, WebSocketClosed
from framework.middleware import time_left
from framework.testing import SocketClient, TestClient, WebSocketDenied, run_virtual


class Join(msgspec.Struct, tag="join"):
    room: str


class Leave(msgspec.Struct, tag="leave"):
    room: str


class Told(msgspec.Struct):
    text: str


class Repo:
    def __init__(self) -> None:
        self.closed: list[object] = []


class Link:
    """One for each connection."""

    def __init__(self) -> None:
        self.messages = 0


class Work:
    """One for each message."""

    def __init__(self, link: Link) -> None:
        self.link = link


class Echo(WebSocketListener):
    def on_message(self, ws: WebSocket, message: Any) -> None:
        ws.write_text(message)


async def denied(client: TestClient, path: str, **options: Any) -> Any:
    with pytest.raises(WebSocketDenied) as error:
        async with client.websocket(path, **options):
            pass
    return error.value.answer


def test_the_budget_of_the_handshake_ends_with_it() -> None:
    """A handler that talks for longer than its route's timeout still has time for what it does."""
    app = App(request_timeout=5.0)
    seen: list[float] = []

    def waiting(handler: Any) -> Any:
        async def waits(request: Request) -> Response:
            await asyncio.sleep(1)
            seen.append(time_left(request))
            response: Response = await handler(request)
            return response

        return waits

    app.use(waiting)

    @app.websocket("/ws")
    async def talk(ws: WebSocket) -> None:
        for _ in range(2):
            await asyncio.sleep(100)
            await ws.send_text(str(time_left(ws.request)))

    async def run() -> None:
        async with TestClient(app) as client, client.websocket("/ws") as ws:
            assert [await ws.receive(), await ws.receive()] == ["5.0", "5.0"]

    run_virtual(run())
    assert seen == [4.0]


def test_a_handler_takes_what_any_handler_takes() -> None:
    app = App()

    @app.websocket("/rooms/{room}/{number:int}")
    async def talk(
        number: int,
        ws: WebSocket,
        room: str,
        request: Request,
        *,
        size: int = 3,
        agent: Annotated[str, Header("x-agent")],
    ) -> None:
        await ws.send_json([room, number, size, agent, request is ws.request])

    async def run() -> None:
        async with (
            TestClient(app) as client,
            client.websocket("/rooms/blue/7?size=5", headers={"x-agent": "me"}) as ws,
        ):
            assert await ws.receive_json() == ["blue", 7, 5, "me", True]
            assert await ws.wait_closed() == 1000

    asyncio.run(run())


@pytest.mark.parametrize("transport", ["memory", "network", "socket"])
def test_every_transport_of_the_test_client(transport: Any) -> None:
    app = App()
    app.websocket("/echo", listener=Echo())

    async def run() -> None:
        async with TestClient(app, transport=transport) as client, client.websocket("/echo") as ws:
            for text in ("a", "b" * 100_000, "c"):
                await ws.send_text(text)
                assert await ws.receive() == text
            await ws.close(4000, "enough")
            assert ws.close_code == 4000

    asyncio.run(run())


def test_bad_handshakes() -> None:
    app = App()
    app.websocket("/echo", listener=Echo())

    async def run() -> None:
        async with TestClient(app) as client:
            answer = await client.get("/echo")
            assert answer.status == 426
            assert answer.headers["upgrade"] == "websocket"
            assert answer.headers["sec-websocket-version"] == "13"
            answer = await denied(client, "/echo", headers={"sec-websocket-version": "8"})
            assert answer.status == 426
            assert answer.headers["sec-websocket-version"] == "13"
            answer = await denied(client, "/echo", headers={"sec-websocket-key": "short"})
            assert answer.status == 400
            answer = await denied(client, "/echo", origin="https://evil.example")
            assert answer.status == 403
            assert answer.json()["detail"] == "the origin is not allowed"
            assert (await denied(client, "/nowhere")).status == 404
            assert (await client.post("/echo")).status == 405
            async with client.websocket("/echo", origin="http://testserver") as ws:
                await ws.send_text("same origin")
                assert await ws.receive() == "same origin"

    asyncio.run(run())


@pytest.mark.parametrize(
    ("origins", "origin", "allowed"),
    [
        (["https://Friend.example"], "https://friend.example", True),
        (["https://friend.example"], "http://testserver", False),
        (["*"], "https://anyone.example", True),
        ([], "http://testserver", False),
    ],
)
def test_origins(origins: list[str], origin: str, allowed: bool) -> None:
    app = App()
    app.websocket("/echo", listener=Echo(), origins=origins)

    async def run() -> None:
        async with TestClient(app) as client:
            if allowed:
                async with client.websocket("/echo", origin=origin) as ws:
                    assert not ws.closed
            else:
                assert (await denied(client, "/echo", origin=origin)).status == 403

    asyncio.run(run())


def test_subprotocols_and_compression() -> None:
    app = App()
    seen: list[Any] = []

    @app.websocket("/x", subprotocols=("v2", "v1"), compression=True)
    async def handler(ws: WebSocket) -> None:
        seen.append((ws.subprotocol, ws.deflater is not None))
        async for message in ws:
            await ws.send(message)

    async def run() -> None:
        async with TestClient(app) as client:
            async with client.websocket("/x", subprotocols=("v1", "v2"), compression=True) as ws:
                assert ws.subprotocol == "v2"
                assert ws.headers["sec-websocket-extensions"].startswith("permessage-deflate")
                text = "all work and no play " * 1000
                await ws.send_text(text)
                assert await ws.receive() == text
            async with client.websocket("/x", subprotocols=("v3",)) as ws:
                assert ws.subprotocol is None

    asyncio.run(run())
    assert seen == [("v2", True), (None, False)]


def test_what_a_handler_answers_instead_denies() -> None:
    app = App()

    @app.websocket("/door/{word}")
    async def door(word: str) -> Any:
        if word == "error":
            raise HTTPError(401, "who are you")
        if word == "response":
            return Response("not today", 503, headers={"retry-after": "10"})
        if word == "dict":
            return {"no": "entry"}
        return Echo()

    async def run() -> None:
        async with TestClient(app) as client:
            assert (await denied(client, "/door/error")).status == 401
            answer = await denied(client, "/door/response")
            assert (answer.status, answer.text, answer.headers["retry-after"]) == (503, "not today", "10")
            assert (await denied(client, "/door/dict")).json() == {"no": "entry"}
            async with client.websocket("/door/open") as ws:
                await ws.send_text("hello")
                assert await ws.receive() == "hello"

    asyncio.run(run())


def test_what_does_not_fit_the_parameters_denies_with_every_error() -> None:
    app = App()

    @app.websocket("/x")
    async def handler(ws: WebSocket, a: int, b: int) -> None: ...

    async def run() -> None:
        async with TestClient(app) as client:
            answer = await denied(client, "/x?a=x")
            assert answer.status == 422
            assert [error["pointer"] for error in answer.json()["errors"]] == ["/a", "/b"]

    asyncio.run(run())


def test_middleware_sees_the_upgrade_as_101_and_may_deny() -> None:
    seen: list[Any] = []

    class Look(Hooks):
        def before(self, request: Request) -> Response | None:
            return Response("hook", 403) if request.query.get("deny") == "hook" else None

        def after(self, request: Request, response: Response) -> None:
            seen.append(response.status)
            response.headers.set("x-seen", "yes")

    def onion(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def around(request: Request) -> Response:
            await asyncio.sleep(0)
            if request.query.get("deny") == "onion":
                return Response("onion", 403)
            response = await handler(request)
            seen.append(("onion", response.status))
            return response

        return around

    app = App()
    app.use(Look())
    app.use(onion)
    app.websocket("/echo", listener=Echo())

    async def run() -> None:
        async with TestClient(app) as client:
            for way in ("hook", "onion"):
                assert (await denied(client, f"/echo?deny={way}")).text == way
            async with client.websocket("/echo") as ws:
                assert ws.headers["x-seen"] == "yes"
                await ws.send_text("through")
                assert await ws.receive() == "through"

    asyncio.run(run())
    assert seen == [403, 403, ("onion", 101), 101]


def test_scopes() -> None:
    repos: list[Repo] = []
    links: list[Link] = []
    works: list[Work] = []
    closed: list[str] = []

    async def repo() -> AsyncIterator[Repo]:
        repos.append(Repo())
        try:
            yield repos[-1]
        finally:
            closed.append("repo")

    async def link() -> AsyncIterator[Link]:
        links.append(Link())
        try:
            yield links[-1]
        finally:
            closed.append("link")

    async def work(link: Link) -> AsyncIterator[Work]:
        works.append(Work(link))
        try:
            yield works[-1]
        finally:
            closed.append("work")

    app = App()
    app.provide(repo)
    app.provide(link, scope=Scope.CONNECTION)
    app.provide(work)

    @app.websocket("/wanted")
    async def wanted(ws: WebSocket, repo: Repo, link: Link) -> None:
        async for _ in ws:
            async with ws.scope() as scope:
                work = await scope.get(Work)
                assert work.link is link
                assert await scope.get(Work) is work
                assert await scope.get(Request) is ws.request
                work.link.messages += 1
            await ws.send_json(link.messages)

    @app.websocket("/asked")
    async def asked(ws: WebSocket) -> None:
        async for _ in ws:
            async with ws.scope() as scope:
                (await scope.get(Work)).link.messages += 1
                await ws.send_json((await scope.get(Link)).messages)

    async def run(path: str) -> None:
        async with TestClient(app) as client:
            async with client.websocket(path) as ws:
                for number in (1, 2, 3):
                    await ws.send_text("go")
                    assert await ws.receive_json() == number
                assert closed == ["work"] * 3
            for _ in range(10):  # the turns in which the server's side ends too
                await asyncio.sleep(0)

    asyncio.run(run("/wanted"))
    assert closed == ["work"] * 3 + ["repo", "link"]
    assert (len(repos), len(links), len(works)) == (1, 1, 3)
    closed.clear()
    asyncio.run(run("/asked"))
    assert closed == ["work"] * 3 + ["link"]


@pytest.mark.parametrize("how", ["raise", "return"])
def test_a_denial_closes_what_was_made_for_it(how: str) -> None:
    closed: list[object] = []

    async def repo() -> AsyncIterator[Repo]:
        try:
            yield Repo()
        except HTTPError as error:
            closed.append(("repo", error.status))
            raise
        else:
            closed.append("repo")

    async def link() -> AsyncIterator[Link]:
        try:
            yield Link()
        finally:
            closed.append("link")

    app = App()
    app.provide(repo)
    app.provide(link, scope=Scope.CONNECTION)

    @app.websocket("/x")
    async def handler(repo: Repo, link: Link) -> Any:
        if how == "raise":
            raise HTTPError(403)
        return Response("no", 403)

    async def run() -> None:
        async with TestClient(app) as client:
            assert (await denied(client, "/x")).status == 403

    asyncio.run(run())
    assert closed == [("repo", 403) if how == "raise" else "repo", "link"]


def test_a_listener_class_is_made_anew_with_what_it_needs() -> None:
    made: list[Any] = []

    class Counting(WebSocketListener):
        def __init__(self, link: Link, start: int = 5) -> None:
            self.link, self.count = link, start
            made.append(self)

        def on_message(self, ws: WebSocket, message: Any) -> None:
            self.count += 1
            ws.write_text(str(self.count))

    app = App()
    app.provide(Link, scope=Scope.CONNECTION)
    app.websocket("/count", listener=Counting)

    async def run() -> None:
        async with TestClient(app) as client:
            for start, first in (("", "6"), ("?start=10", "11")):
                async with client.websocket(f"/count{start}") as ws:
                    await ws.send_text("")
                    assert await ws.receive() == first

    asyncio.run(run())
    assert len(made) == 2
    assert made[0].link is not made[1].link


async def told(ws: WebSocket[Join | Leave, Told]) -> None:
    async for message in ws:
        match message:
            case Join(room):
                await ws.send(Told(f"joined {room}"))
            case Leave(room):
                await ws.send(Told(f"left {room}"))


class Teller(WebSocketListener):
    def on_message(self, ws: WebSocket[Join | Leave, Told], message: Join | Leave) -> None:
        ws.write_text(f'{{"text":"{"joined" if isinstance(message, Join) else "left"} {message.room}"}}')


@pytest.mark.parametrize("style", ["handler", "listener"])
def test_typed_messages(style: str) -> None:
    app = App()
    if style == "handler":
        app.websocket("/x")(told)
    else:
        app.websocket("/x", listener=Teller())

    async def run() -> None:
        async with TestClient(app) as client:
            async with client.websocket("/x") as ws:
                await ws.send_text('{"type":"join","room":"blue"}')
                assert await ws.receive_json() == {"text": "joined blue"}
                await ws.send_bytes(b'{"type":"leave","room":"blue"}')
                assert await ws.receive_json() == {"text": "left blue"}
                await ws.send_text('{"type":"join","room":7}')
                with pytest.raises(WebSocketClosed) as closed:
                    await ws.receive()
                assert closed.value.code == 1008
                assert "/room" in closed.value.reason
            async with client.websocket("/x") as ws:
                await ws.send_text("{")
                assert await _end(ws) == 1007
            async with client.websocket("/x") as ws:
                await ws.send_text('{"type":"jump"}')
                assert await _end(ws) == 1008

    asyncio.run(run())


@pytest.mark.parametrize("style", ["handler", "listener"])
@pytest.mark.parametrize("kind", ["dict", "str", "bytes", "none"])
def test_invalid_messages_can_be_answered(style: str, kind: str) -> None:
    answers: dict[str, Any] = {"dict": {"error": "what"}, "str": "what", "bytes": b"what", "none": None}
    app = App()

    def answer(ws: WebSocket, error: Exception) -> Any:
        return answers[kind]

    if style == "handler":
        app.websocket("/x", on_invalid=answer)(told)
    else:
        app.websocket("/x", on_invalid=answer, listener=Teller())

    async def run() -> None:
        async with TestClient(app) as client, client.websocket("/x") as ws:
            await ws.send_text("{")
            await ws.send_text('{"type":"join","room":"blue"}')
            if kind == "dict":
                assert await ws.receive_json() == {"error": "what"}
            elif kind != "none":
                assert await ws.receive() == answers[kind]
            assert await ws.receive_json() == {"text": "joined blue"}

    asyncio.run(run())


async def _end(ws: SocketClient) -> int:
    async for _ in ws:
        pass
    assert ws.close_code is not None
    return ws.close_code


def test_settings_give_the_defaults_and_routes_override_them() -> None:
    app = App()
    app.websocket("/small", listener=Echo())
    app.websocket("/large", listener=Echo(), max_message=1000, max_frame=1000)

    async def run() -> None:
        settings = {"websocket.max_message": 10, "websocket.max_frame": 10}
        async with TestClient(app, settings=settings) as client:
            async with client.websocket("/small") as ws:
                await ws.send_text("x" * 11)
                assert await _end(ws) == 1009
            async with client.websocket("/large") as ws:
                await ws.send_text("x" * 1000)
                assert await ws.receive() == "x" * 1000

    asyncio.run(run())


def test_an_error_after_the_upgrade_is_logged_with_the_requests_id(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = App()

    @app.websocket("/x")
    async def handler(ws: WebSocket) -> None:
        await ws.send_text(ws.request.id)
        raise ValueError("after the upgrade")

    async def run() -> str:
        async with TestClient(app) as client, client.websocket("/x") as ws:
            name = str(await ws.receive())
            assert await _end(ws) == 1011
            assert isinstance(client.errors[-1], ValueError)
            return name

    name = asyncio.run(run())
    (record,) = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert f"GET /x (request {name})" in record.getMessage()


def test_groups_and_mounts() -> None:
    inner = App()
    inner.websocket("/echo", listener=Echo())
    app = App()
    app.group("/api").websocket("/echo", listener=Echo())
    app.mount("/inner", inner)

    async def run() -> None:
        async with TestClient(app) as client:
            for path in ("/api/echo", "/inner/echo"):
                async with client.websocket(path) as ws:
                    await ws.send_text("hello")
                    assert await ws.receive() == "hello"

    asyncio.run(run())


def test_an_ordinary_route_may_return_an_upgrade() -> None:
    links: list[Any] = []
    closed: list[str] = []

    async def repo() -> AsyncIterator[Repo]:
        try:
            yield Repo()
        finally:
            closed.append("repo")

    app = App()
    app.provide(repo)

    @app.get("/tunnel")
    async def tunnel(repo: Repo) -> Response:
        return Upgrade("tunnel", lambda link: links.append(link))

    async def run() -> None:
        async with TestClient(app) as client:
            connection = await client.connect()
            connection.write(
                b"GET /tunnel HTTP/1.1\r\nhost: x\r\nupgrade: tunnel\r\nconnection: upgrade\r\n\r\n"
            )
            assert (await connection.response()).status == 101
            assert closed == [], "what connect was given has to close it"
            links[0].transport.abort()

    asyncio.run(run())
    assert len(links) == 1


# -- mistakes that are found when they are made -----------------------------------------------------------------------


def test_faults_of_a_declaration() -> None:
    app = App()
    for options, told_of in (
        ({"max_message": 0}, "max_message"),
        ({"ping_interval": "often"}, "ping_interval"),
        ({"origins": "https://example.com"}, "origins is a list"),
        ({"subprotocols": "v1"}, "subprotocols is a list"),
        ({"on_invalid": "shout"}, "on_invalid"),
        ({"max_mesage": 1}, "no option 'max_mesage'"),
    ):
        with pytest.raises(SetupError, match=told_of):
            app.websocket("/x", **options)  # type: ignore[arg-type]
    with pytest.raises(SetupError, match="no WebSocketListener"):
        app.websocket("/x", listener=object())  # type: ignore[arg-type]


def test_faults_of_a_handler() -> None:
    def plain(ws: WebSocket) -> None: ...

    async def two(one: WebSocket, other: WebSocket) -> None: ...

    async def positional(ws: WebSocket, a: int, /) -> None: ...

    async def undecodable(ws: WebSocket[Join | Told, Told]) -> None: ...

    for handler, told_of in (
        (plain, "async"),
        (two, "one WebSocket"),
        (positional, "positional-only"),
        (undecodable, "cannot be decoded"),
    ):
        app = App()
        app.websocket("/x")(handler)
        with pytest.raises(BindingError, match=told_of):
            app.build(environ={})
    app = App()

    @app.get("/x")
    async def plain_route(ws: WebSocket) -> None: ...

    with pytest.raises(BindingError, match=r"only a route of App\.websocket"):
        app.build(environ={})


def test_overrides_reach_websockets() -> None:
    class Other(Link):
        pass

    app = App()
    app.provide(Link, scope=Scope.CONNECTION)

    @app.websocket("/x")
    async def handler(ws: WebSocket, link: Link) -> None:
        await ws.send_text(type(link).__name__)

    async def run(overrides: dict[Any, Any]) -> Any:
        async with TestClient(app, overrides=overrides) as client, client.websocket("/x") as ws:
            return await ws.receive()

    assert asyncio.run(run({})) == "Link"
    assert asyncio.run(run({Link: Other})) == "Other"
