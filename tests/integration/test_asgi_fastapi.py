"""What FastAPI's tutorial shows, on this server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, File, Form, Header, HTTPException, Request, UploadFile
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import PlainTextResponse, StreamingResponse
from pydantic import BaseModel

from tests.integration.asgi_serving import serving_asgi

pytestmark = pytest.mark.anyio


class Item(BaseModel):
    name: str
    price: float
    tags: list[str] = []


class Unicorn(Exception):
    def __init__(self, name: str) -> None:
        self.name = name


def shop(log: list[str]) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        log.append("start")
        yield {"greeting": "hello"}
        log.append("stop")

    app = FastAPI(lifespan=lifespan)

    async def database() -> AsyncIterator[str]:
        log.append("open")
        try:
            yield "database"
        finally:
            log.append("close")

    def verified(x_token: Annotated[str, Header()]) -> str:
        if x_token != "secret":
            raise HTTPException(400, "X-Token header invalid")
        return x_token

    @app.get("/items/{item_id}")
    async def read(item_id: int, q: str | None = None) -> dict[str, Any]:
        return {"item_id": item_id, "q": q}

    @app.post("/items", status_code=201)
    async def create(item: Item) -> Item:
        return item

    @app.get("/sync")
    def sync(request: Request) -> dict[str, str]:
        return {"from": request.state.greeting}

    @app.get("/injected", dependencies=[Depends(verified)])
    async def injected(db: str = Depends(database)) -> str:
        return db

    @app.post("/files")
    async def files(
        note: Annotated[str, Form()], file: UploadFile, raw: Annotated[bytes, File()]
    ) -> list[Any]:
        return [note, file.filename, len(await file.read()), len(raw)]

    @app.post("/notify")
    async def notify(name: str, tasks: BackgroundTasks) -> str:
        tasks.add_task(log.append, f"sync {name}")
        tasks.add_task(later, f"async {name}")
        return "sent"

    async def later(text: str) -> None:
        await asyncio.sleep(0)
        log.append(text)

    @app.get("/stream")
    def stream() -> StreamingResponse:
        return StreamingResponse(iter([b"one,", b"two,", b"three"]), media_type="text/plain")

    @app.exception_handler(Unicorn)
    async def unicorn(request: Request, error: Unicorn) -> PlainTextResponse:
        return PlainTextResponse(f"{error.name} did something", 418)

    @app.get("/unicorns/{name}")
    async def unicorns(name: str) -> None:
        raise Unicorn(name)

    @app.middleware("http")
    async def stamp(request: Request, call_next: Any) -> Any:
        response = await call_next(request)
        response.headers["x-stamp"] = request.method
        return response

    app.add_middleware(CORSMiddleware, allow_origins=["https://shop.example"])
    return app


async def test_parameters_bodies_and_validation() -> None:
    async with serving_asgi(shop([])) as client:
        answer = await client.get("/items/5", params={"q": "somequery"})
        assert (answer.json(), answer.headers["x-stamp"]) == ({"item_id": 5, "q": "somequery"}, "GET")
        answer = await client.post("/items", json={"name": "Foo", "price": 1.5})
        assert (answer.status_code, answer.json()) == (201, {"name": "Foo", "price": 1.5, "tags": []})
        assert (await client.get("/items/x")).status_code == 422
        assert (await client.post("/items", content=b"{")).status_code == 422
        assert (await client.get("/openapi.json")).json()["info"]["title"] == "FastAPI"
        assert "swagger" in (await client.get("/docs")).text


async def test_plain_functions_run_in_threads_beside_each_other() -> None:
    async with serving_asgi(shop([])) as client:
        answers = await asyncio.gather(*(client.get("/sync") for _ in range(20)))
        assert [answer.json() for answer in answers] == [{"from": "hello"}] * 20


async def test_dependencies_with_yield_are_closed() -> None:
    log: list[str] = []
    async with serving_asgi(shop(log)) as client:
        assert (await client.get("/injected", headers={"x-token": "secret"})).json() == "database"
        assert (await client.get("/injected", headers={"x-token": "wrong"})).status_code == 400
    assert log == ["start", "open", "close", "stop"]


async def test_uploads() -> None:
    async with serving_asgi(shop([])) as client:
        files = {"file": ("a.txt", b"x" * 3_000_000), "raw": ("b.txt", b"y" * 5)}
        assert (await client.post("/files", data={"note": "n"}, files=files)).json() == [
            "n",
            "a.txt",
            3_000_000,
            5,
        ]


async def test_background_tasks_run() -> None:
    log: list[str] = []
    async with serving_asgi(shop(log)) as client:
        assert (await client.post("/notify", params={"name": "ada"})).json() == "sent"
    assert log == ["start", "sync ada", "async ada", "stop"]


async def test_streams_exception_handlers_and_cors() -> None:
    async with serving_asgi(shop([])) as client:
        assert (await client.get("/stream")).text == "one,two,three"
        answer = await client.get("/unicorns/yolo")
        assert (answer.status_code, answer.text) == (418, "yolo did something")
        origin = {"origin": "https://shop.example"}
        answer = await client.get("/items/1", headers=origin)
        assert answer.headers["access-control-allow-origin"] == "https://shop.example"
        preflight = await client.options("/items", headers={**origin, "access-control-request-method": "GET"})
        assert preflight.status_code == 200
