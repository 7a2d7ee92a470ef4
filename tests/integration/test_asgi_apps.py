"""Apps of ours under another server and inside other frameworks, and other frameworks' applications inside ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import StreamingResponse
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from framework import App, Hooks, Response
from framework import Request as OurRequest
from framework import WebSocket as OurWebSocket
from framework.errors import SetupError
from framework.testing import TestClient
from tests.integration.asgi_serving import on_uvicorn

pytestmark = pytest.mark.anyio


def shop(log: list[str]) -> App:
    app = App()

    @app.lifespan
    async def pool(_: App) -> AsyncIterator[None]:
        log.append("start")
        yield
        log.append("stop")

    @app.get("/hello/{name}")
    async def hello(name: str) -> dict[str, str]:
        return {"hello": name}

    @app.post("/echo")
    async def echo(request: OurRequest) -> Response:
        return Response(await request.body(10_000_000), media_type="application/octet-stream")

    @app.get("/numbers")
    async def numbers() -> AsyncIterator[str]:
        for number in range(5):
            yield f"{number},"

    @app.websocket("/ws")
    async def talk(socket: OurWebSocket[Any, Any], name: str = "nobody") -> None:
        async for message in socket:
            if message == "bye":
                await socket.close(4002, "ciao")
            else:
                await socket.send(f"{name}: {message}" if isinstance(message, str) else message[::-1])
        log.append(f"closed {socket.close_code}")

    return app


async def check(client: httpx.AsyncClient, prefix: str = "") -> None:
    assert (await client.get(f"{prefix}/hello/ada")).json() == {"hello": "ada"}
    assert (await client.get(f"{prefix}/nowhere")).status_code == 404
    body = bytes(range(256)) * 10_000
    assert (await client.post(f"{prefix}/echo", content=body)).content == body
    assert (await client.get(f"{prefix}/numbers")).text == "0,1,2,3,4,"
    assert (await client.head(f"{prefix}/hello/ada")).headers["content-length"] == "15"
    url = f"ws://{client.base_url.host}:{client.base_url.port}{prefix}/ws"
    async with websockets.connect(f"{url}?name=ada") as socket:
        for size in (0, 5, 100_000):
            await socket.send("x" * size)
            assert await socket.recv() == "ada: " + "x" * size
        await socket.send(b"abc")
        assert await socket.recv() == b"cba"
        await socket.send("bye")
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4002, "ciao")
    async with websockets.connect(url) as socket:
        await socket.close(4003, "enough")


async def test_an_app_runs_under_uvicorn() -> None:
    log: list[str] = []
    async with on_uvicorn(shop(log)) as client:
        await check(client)
    assert log == ["start", "closed 4002", "closed 4003", "stop"]


async def test_an_app_mounted_in_starlette_runs_under_uvicorn() -> None:
    log: list[str] = []
    runtime = shop(log).build(environ={})

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with runtime.running():
            yield

    async with on_uvicorn(Starlette(routes=[Mount("/new", runtime)], lifespan=lifespan)) as client:
        await check(client, "/new")
    assert (log[0], log[-1]) == ("start", "stop")


async def test_an_app_mounted_in_fastapi_without_a_lifespan_starts_by_itself() -> None:
    log: list[str] = []
    outer = FastAPI()
    outer.mount("/new", shop(log))
    async with on_uvicorn(outer) as client:
        await check(client, "/new")
        assert log[0] == "start"


async def test_the_users_app_runs_under_uvicorn(tmp_path: Path) -> None:
    from apps.users.app import create_app

    settings = {
        "users.database": str(tmp_path / "users.db"),
        "users.argon2": {"time_cost": 1, "memory_kib": 8, "parallelism": 1},
    }
    async with on_uvicorn(create_app().build(environ={}, overrides=settings)) as client:
        user = {"email": "ada@example.com", "name": "Ada", "password": "correct horse battery"}
        made = await client.post("/users", json=user)
        assert made.status_code == 201, made.text
        assert (await client.post("/users", json=user)).status_code == 409
        assert (await client.get(made.headers["location"])).json() == made.json()
        assert (await client.post("/users", json={"email": 1})).status_code == 422
        listed = await client.get("/users")
        assert [one["email"] for one in listed.json()["items"]] == ["ada@example.com"]


def old(log: list[str]) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        log.append("old start")
        yield {"pool": "pool"}
        log.append("old stop")

    app = FastAPI(lifespan=lifespan)

    @app.get("/where")
    async def where(request: Request) -> list[Any]:
        scope = request.scope
        pool = request.state.pool
        return [
            scope["root_path"],
            scope["path"],
            scope["raw_path"].decode(),
            str(request.url_for("where")),
            pool,
        ]

    @app.get("/files/{name:path}")
    def files(name: str) -> str:
        return name

    @app.post("/echo")
    async def echo(request: Request) -> StreamingResponse:
        return StreamingResponse(request.stream())

    @app.get("/broken")
    async def broken() -> None:
        raise LookupError("a bug")

    @app.websocket("/ws")
    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        async for text in socket.iter_text():
            await socket.send_text(f"old {text}")
        log.append("closed")

    return app


class Stamp(Hooks):
    def after(self, request: OurRequest, response: Response) -> Response | None:
        response.headers.set("x-stamp", "ours")
        return None


async def test_a_fastapi_app_is_mounted_in_ours() -> None:
    log: list[str] = []
    app = shop(log)
    app.use(Stamp())
    app.mount("/old", old(log))
    async with TestClient(app, transport="socket") as client:
        answer = await client.get("/old/where")
        assert answer.json() == ["/old", "/old/where", "/old/where", "http://testserver/old/where", "pool"]
        assert answer.headers["x-stamp"] == "ours"
        assert (await client.get("/old/files/a%20b/%C3%A9")).json() == "a b/é"
        assert (await client.get("/old/x/../where")).json()[1] == "/old/where"
        assert (await client.get("/old/nowhere")).json() == {"detail": "Not Found"}
        assert (await client.post("/old/echo", content=b"x" * 500_000)).body == b"x" * 500_000
        assert (await client.get("/old/broken")).status == 500
        assert (await client.delete("/old/where")).status == 405
        assert (await client.request("PROPFIND", "/old/where")).status == 405
        assert (await client.get("/hello/ada")).json() == {"hello": "ada"}
        assert "/old" not in str((await client.get("/nowhere")).json().get("paths", ""))
        async with websockets.connect(f"ws://127.0.0.1:{client.server.port}/old/ws") as socket:
            await socket.send("hi")
            assert await socket.recv() == "old hi"
    assert log[:2] == ["old start", "start"] or log[:2] == ["start", "old start"]
    assert "closed" in log
    assert "old stop" in log


async def test_an_application_at_the_root_has_what_no_route_of_ours_has() -> None:
    app = shop([])
    app.mount("/", old([]))
    async with TestClient(app, transport="socket") as client:
        assert (await client.get("/where")).json()[:2] == ["", "/where"]
        assert (await client.get("/hello/ada")).json() == {"hello": "ada"}


async def test_a_mount_in_a_mount_knows_its_whole_root_path() -> None:
    inner = App()
    inner.mount("/old", old([]))
    app = App()
    app.mount("/v1", inner)
    async with TestClient(app, transport="socket") as client:
        assert (await client.get("/v1/old/where")).json()[:2] == ["/v1/old", "/v1/old/where"]


async def test_ours_in_starlette_with_fastapi_in_it() -> None:
    inner = App()
    inner.mount("/old", old([]))
    async with on_uvicorn(Starlette(routes=[Mount("/new", inner)])) as client:
        found = (await client.get("/new/old/where")).json()
        assert found[:3] == ["/new/old", "/new/old/where", "/new/old/where"]


async def test_what_a_mounted_application_does_behind_its_response_keeps_nobody_waiting() -> None:
    go = asyncio.Event()
    done: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await JSONResponse("ok")(scope, receive, send)
            await go.wait()
            done.append(scope["path"])

    outer = App()
    outer.mount("/x", app)
    async with TestClient(outer, transport="socket") as client:
        for _ in range(2):
            assert (await client.get("/x/y")).json() == "ok"
        assert done == []
        go.set()
    assert done == ["/x/y"] * 2


async def test_a_mounted_application_that_does_not_start_is_a_start_that_fails() -> None:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        raise LookupError("no database")
        yield

    app = App()
    app.mount("/old", Starlette(routes=[Route("/", lambda request: JSONResponse(1))], lifespan=lifespan))
    with pytest.raises(SetupError, match=r"mounted application .*Starlette.* failed to start: .*no database"):
        async with TestClient(app, transport="socket"):
            pass


@pytest.mark.parametrize("thing", [None, "app", object(), lambda scope: None])
async def test_what_is_no_application_cannot_be_mounted(thing: Any) -> None:
    with pytest.raises(SetupError, match="neither an App nor an ASGI application"):
        App().mount("/old", thing)
