"""The plugin as an app has it: settings, guests, checks, metrics, what it refuses at the build."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from framework import App
from framework.errors import SetupError
from framework.plugins.chat import ChatPlugin
from framework.plugins.health import Health
from framework.plugins.metrics import Metrics
from framework.testing import TestClient, WebSocketDenied
from tests.unit.plugins.chat.support import SECRET, Client, chat

pytestmark = pytest.mark.anyio


def problems(settings: dict[str, Any]) -> str:
    app = App()
    app.install(ChatPlugin())
    with pytest.raises(SetupError) as caught:
        app.build(environ={}, overrides=settings)
    return str(caught.value)


def test_what_is_refused_at_the_build() -> None:
    assert "chat.store" in problems({"chat.store": "mongodb://x"})
    assert "chat.bus" in problems({"chat.bus": "pigeons://"})
    assert "32 characters" in problems({"chat.secrets": ["short"]})
    assert "chat.secrets" in problems({"server.workers": 2, "chat.bus": "workers://"})
    assert "path" in problems({"chat.path": "chat"})
    assert "post_rate" in problems({"chat.post_rate": "often"})


def test_a_bus_of_one_process_is_refused_under_several_workers() -> None:
    assert "workers://" in problems({"server.workers": 2, "chat.secrets": [SECRET]})


async def test_it_runs_on_a_file_by_one_line(tmp_path: Path) -> None:
    app = App()
    app.install(ChatPlugin())
    settings = {"chat.store": f"sqlite:///{tmp_path}/chat.db", "chat.guests": True}
    for turn in range(2):
        async with TestClient(app, settings=settings) as http:
            guest = (await http.post("/chat/guest", json={"name": "Zoë"}, expect=200)).json()
            async with http.websocket("/chat/ws", subprotocols=("chat.v1.msgpack", "chat.v1.json")) as ws:
                assert ws.subprotocol == "chat.v1.msgpack"
                client = Client(ws)
                assert (await client.ok("hello", token=guest["token"]))["name"] == "Zoë"
                if not turn:
                    await client.ok("create", room="town")
                joined = await client.ok("join", room="town")
                assert [message["text"] for message in joined.get("messages", [])] == ["kept"] * turn
                await client.ok("post", room="town", mid=str(turn), text="kept")
    with sqlite3.connect(tmp_path / "chat.db") as connection:
        assert connection.execute("SELECT count(*) FROM messages").fetchone() == (2,)
    connection.close()


async def test_guests_get_tokens_and_renew_them() -> None:
    async with chat(guests=True, guest_rate="4/minute") as town:
        first = (await town.http.post("/chat/guest", json={"name": "Ada"}, expect=200)).json()
        assert first["expires_in"] == 3600
        fields = {"authorization": f"Bearer {first['token']}"}
        second = (await town.http.post("/chat/token", headers=fields, expect=200)).json()
        assert second["user"] == first["user"] == town.tokens.verify(second["token"]).user
        await town.http.post("/chat/token", headers={"authorization": "Bearer rubbish"}, expect=401)
        await town.http.post("/chat/guest", json={"name": "a\x00b"}, expect=422)
        await town.http.post("/chat/guest", json={"name": "Ada"}, expect=429)


async def test_there_are_no_guests_and_no_operators_unless_wanted() -> None:
    async with chat() as town:
        await town.http.post("/chat/guest", json={"name": "Ada"}, expect=404)
        await town.http.post("/chat/token", expect=404)
        await town.http.get("/chat/admin/status", expect=404)


async def test_a_page_of_another_origin_is_refused() -> None:
    async with chat() as town:
        with pytest.raises(WebSocketDenied) as caught:
            async with town.http.websocket("/chat/ws", headers={"origin": "https://evil.example"}):
                raise AssertionError("let in")
        assert caught.value.answer.status == 403


async def test_health_and_metrics(tmp_path: Path) -> None:
    app = App()
    app.install(Health())
    app.install(Metrics())
    app.install(ChatPlugin())
    async with TestClient(
        app,
        settings={"chat.store": f"sqlite:///{tmp_path}/chat.db", "chat.guests": True, "health.details": True},
    ) as http:
        checks = (await http.get("/readyz", expect=200)).json()["checks"]
        assert {"chat.store", "chat.bus"} <= checks.keys()
        token = (await http.post("/chat/guest", json={"name": "Ada"}, expect=200)).json()["token"]
        async with http.websocket("/chat/ws") as ws:
            client = Client(ws)
            await client.ok("hello", token=token)
            await client.ok("create", room="town")
            await client.ok("post", room="town", mid="m", text="x")
            await client.push("events")
            text = (await http.get("/metrics", expect=200)).text
    for line in (
        "chat_connections 1.0",
        "chat_rooms 1.0",
        "chat_entries_total 1.0",
        "chat_deliveries_total 1.0",
    ):
        assert line in text


async def test_the_protocol_is_described_where_that_is_wanted(tmp_path: Path) -> None:
    app = App()
    app.install(ChatPlugin())
    settings: dict[str, Any] = {"chat.store": f"sqlite:///{tmp_path}/chat.db", "chat.path": "/talk"}
    async with TestClient(app, settings=settings) as http:
        await http.get("/talk/asyncapi.json", expect=404)
    async with TestClient(app, settings=settings | {"chat.asyncapi": True, "chat.max_batch": 7}) as http:
        response = await http.get("/talk/asyncapi.json", expect=200)
        assert response.headers["content-type"] == "application/json"
        document = response.json()
        assert document["channels"]["chat"]["address"] == "/talk/ws"
        assert document["components"]["schemas"]["Batch"]["maxItems"] == 7
