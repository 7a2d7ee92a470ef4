"""What Starlette's documentation shows, on this server."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.endpoints import HTTPEndpoint
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import (
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from tests.integration.asgi_serving import serving_asgi

pytestmark = pytest.mark.anyio
LARGE = random.Random(5).randbytes(700_001)


async def user(request: Request) -> Response:
    response = JSONResponse(
        {
            "id": request.path_params["id"],
            "q": request.query_params.get("q"),
            "cookie": request.cookies.get("session"),
            "agent": request.headers["user-agent"],
            "url": str(request.url_for("user", id=7)),
        }
    )
    response.set_cookie("a", "1")
    response.set_cookie("b", "2")
    return response


class Item(HTTPEndpoint):
    async def get(self, request: Request) -> Response:
        return PlainTextResponse("item")

    async def put(self, request: Request) -> Response:
        return JSONResponse(await request.json(), status_code=201)


async def numbers(request: Request) -> Response:
    async def content() -> AsyncIterator[str]:
        for number in range(5):
            yield f"{number},"
            await asyncio.sleep(0)

    return StreamingResponse(content(), media_type="text/plain")


async def upload(request: Request) -> Response:
    async with request.form() as form:
        file: Any = form["file"]
        return JSONResponse({"name": file.filename, "size": len(await file.read()), "note": form["note"]})


async def count(request: Request) -> Response:
    return PlainTextResponse(str(sum([len(part) async for part in request.stream()])))


async def teapot(request: Request) -> Response:
    raise HTTPException(418, "a teapot")


async def broken(request: Request) -> Response:
    raise LookupError("a bug")


ROUTES = [
    Route("/users/{id:int}", user, name="user"),
    Route("/items", Item),
    Route("/numbers", numbers),
    Route("/upload", upload, methods=["POST"]),
    Route("/count", count, methods=["POST"]),
    Route("/teapot", teapot),
    Route("/broken", broken),
    Route("/redirect", lambda request: RedirectResponse("/items")),
]


async def test_routing_parameters_cookies_and_bodies() -> None:
    async with serving_asgi(Starlette(routes=ROUTES)) as client:
        answer = await client.get("/users/5", params={"q": "x y"}, headers={"cookie": "session=s"})
        assert answer.json() == {
            "id": 5,
            "q": "x y",
            "cookie": "s",
            "agent": client.headers["user-agent"],
            "url": f"{client.base_url}/users/7",
        }
        assert [value.partition(";")[0] for value in answer.headers.get_list("set-cookie")] == ["a=1", "b=2"]
        assert (await client.get("/users/x")).status_code == 404
        assert (await client.put("/items", json={"a": [1]})).json() == {"a": [1]}
        assert (await client.delete("/items")).status_code == 405
        assert (await client.head("/items")).status_code in (200, 405)
        assert (await client.get("/redirect", follow_redirects=True)).text == "item"


async def test_errors_are_the_applications_own(caplog: pytest.LogCaptureFixture) -> None:
    async with serving_asgi(Starlette(routes=ROUTES)) as client:
        assert (await client.get("/teapot")).text == "a teapot"
        answer = await client.get("/broken")
        assert (answer.status_code, answer.text) == (500, "Internal Server Error")
        assert (await client.get("/items")).text == "item"
    assert any(record.exc_info and record.exc_info[0] is LookupError for record in caplog.records)


async def test_streams_both_ways_and_forms() -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 10_000

    async with serving_asgi(Starlette(routes=ROUTES)) as client:
        assert (await client.get("/numbers")).text == "0,1,2,3,4,"
        assert (await client.post("/count", content=parts())).text == "200000"
        assert (await client.post("/count", content=LARGE)).text == str(len(LARGE))
        answer = await client.post("/upload", files={"file": ("a.bin", LARGE)}, data={"note": "é"})
        assert answer.json() == {"name": "a.bin", "size": len(LARGE), "note": "é"}


@pytest.mark.parametrize("size", [0, 10, len(LARGE)])
async def test_files_go_out_by_pathsend(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(LARGE[:size])
    seen: list[dict[str, Any]] = []

    async def download(request: Request) -> Response:
        return FileResponse(path, filename="given.bin")

    async def looking(scope: Any, receive: Any, send: Any) -> None:
        async def look(message: Any) -> None:
            seen.append(message["type"])
            await send(message)

        await app(scope, receive, look)

    app = Starlette(routes=[Route("/file", download)])
    async with serving_asgi(looking) as client:
        answer = await client.get("/file")
        assert answer.content == LARGE[:size]
        assert answer.headers["content-length"] == str(size)
        assert "given.bin" in answer.headers["content-disposition"]
        assert "http.response.pathsend" in seen
        head = await client.head("/file")
        assert (head.headers["content-length"], head.content) == (str(size), b"")
        if size > 100:
            part = await client.get("/file", headers={"range": "bytes=5-104"})
            assert (part.status_code, part.content) == (206, LARGE[5:105])
            several = await client.get("/file", headers={"range": "bytes=0-9,20-29"})
            assert several.status_code == 206
            assert LARGE[20:30] in several.content


async def test_a_file_that_is_not_there_is_an_error_not_a_torn_response(tmp_path: Path) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.pathsend", "path": str(tmp_path / "nowhere")})

    async with serving_asgi(app) as client:
        assert (await client.get("/")).status_code == 404


async def test_static_files(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<p>page</p>")
    app = Starlette(routes=[Mount("/static", StaticFiles(directory=tmp_path))])
    async with serving_asgi(app) as client:
        answer = await client.get("/static/page.html")
        assert answer.text == "<p>page</p>"
        again = await client.get("/static/page.html", headers={"if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert (await client.get("/static/%2e%2e/x")).status_code == 404


async def test_background_work_keeps_neither_the_response_nor_the_connection_waiting() -> None:
    go = asyncio.Event()
    done: list[str] = []

    async def work(name: str) -> None:
        await go.wait()
        done.append(name)

    async def sign_up(request: Request) -> Response:
        return PlainTextResponse("ok", background=BackgroundTask(work, request.query_params["name"]))

    async with serving_asgi(Starlette(routes=[Route("/", sign_up)])) as client:
        for name in ("ada", "bob"):
            assert (await client.get("/", params={"name": name})).text == "ok"
        assert done == []
        go.set()
    assert done == ["ada", "bob"]  # the shutdown has waited for them


class Timed(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        response.headers["x-timed"] = "1"
        return response


async def test_middleware_base_and_gzip() -> None:
    layers = [Middleware(GZipMiddleware, minimum_size=500), Middleware(Timed)]

    async def page(request: Request) -> Response:
        return PlainTextResponse("word " * 1000)

    routes = [*ROUTES, Route("/page", page)]
    async with serving_asgi(Starlette(routes=routes, middleware=layers)) as client:
        answer = await client.get("/page")
        assert answer.text == "word " * 1000
        assert (answer.headers["content-encoding"], answer.headers["x-timed"]) == ("gzip", "1")
        assert (await client.get("/numbers")).text == "0,1,2,3,4,"
        assert (await client.get("/items")).text == "item"
        assert (await client.post("/count", content=LARGE)).text == str(len(LARGE))


async def test_lifespan_state_reaches_the_requests() -> None:
    seen: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        seen.append("start")
        yield {"pool": ["connection"], "count": 0}
        seen.append("stop")

    async def pool(request: Request) -> Response:
        request.state.count += 1  # of a copy
        return JSONResponse([request.state.pool, request.state.count])

    async with serving_asgi(Starlette(routes=[Route("/", pool)], lifespan=lifespan)) as client:
        for _ in range(2):
            assert (await client.get("/")).json() == [["connection"], 1]
    assert seen == ["start", "stop"]


@pytest.mark.parametrize("wrapped", [False, True])
async def test_a_stream_ends_when_its_client_leaves(wrapped: bool) -> None:
    ended = asyncio.Event()

    async def ticks(request: Request) -> Response:
        async def content() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield b"x" * 1000
                    await asyncio.sleep(0)
            finally:
                ended.set()

        return StreamingResponse(content())

    app = Starlette(routes=[Route("/", ticks)], middleware=[Middleware(Timed)] if wrapped else [])
    async with serving_asgi(app) as client:
        async with client.stream("GET", "/") as response:
            assert await anext(response.aiter_bytes())
        async with asyncio.timeout(10):
            await ended.wait()


async def test_a_handler_learns_that_its_client_has_left() -> None:
    asked = asyncio.Event()
    seen: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def wait(request: Request) -> Response:
        asked.set()
        while not await request.is_disconnected():  # noqa: ASYNC110 - the only way there is
            await asyncio.sleep(0)
        seen.set_result("disconnected")
        return PlainTextResponse("to nobody")

    async def read(request: Request) -> Response:
        asked.set()
        try:
            await request.body()
        except ClientDisconnect:
            seen.set_result("torn body")
        return PlainTextResponse("to nobody")

    app = Starlette(routes=[Route("/wait", wait), Route("/read", read, methods=["POST"])])
    async with serving_asgi(app) as client:
        host, port = client.base_url.host, client.base_url.port
        for request, expected in (
            (b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n", "disconnected"),
            (b"POST /read HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nabc", "torn body"),
        ):
            _, writer = await asyncio.open_connection(host, port)
            writer.write(request)
            await asked.wait()
            writer.close()
            async with asyncio.timeout(10):
                assert await seen == expected
            asked.clear()
            seen = asyncio.get_running_loop().create_future()
            await writer.wait_closed()
