"""A connection that changes its protocol: in its place among pipelined responses, past hooks, or not at all."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from framework.errors import HTTPError
from framework.http.request import Request
from framework.http.response import Response, StreamingResponse
from framework.http.upgrade import Upgrade
from framework.net.upgrade import TakenLink
from tests.support.harness import App, harness, request_bytes

UPGRADE = {"upgrade": "echo", "connection": "upgrade"}


class Lines(asyncio.Protocol):
    """What is upgraded to: it says what it got."""

    def __init__(self) -> None:
        self.received = b""
        self.links: list[TakenLink] = []
        self.lost = 0

    def connect(self, link: Any) -> None:
        self.links.append(link)
        link.transport.set_protocol(self)
        link.transport.write(b"hello")
        self.data_received(link.received)

    def data_received(self, data: bytes) -> None:
        self.received += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost += 1


class Held:
    def __init__(self) -> None:
        self.closed = 0

    async def close(self, error: BaseException | None = None) -> None:
        self.closed += 1


def upgrading(lines: Lines, *, slow: bool = False, held: Held | None = None) -> Any:
    async def handler(request: Request) -> Response:
        if slow:
            await asyncio.sleep(1.0)
        upgrade = Upgrade("echo", lines.connect, headers={"x-own": "yes"})
        if held is not None:
            upgrade.hold(held)
        return upgrade

    return handler


@pytest.mark.parametrize("slow", [False, True])
def test_the_101_then_the_other_protocol(slow: bool) -> None:
    lines = Lines()
    with harness(upgrading(lines, slow=slow)) as server:
        client = server.connect()
        client.send(request_bytes(**UPGRADE) + b"early")
        client.send(b" bird")
        server.advance(2.0)
        assert client.raw() == (
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\nconnection: upgrade\r\nx-own: yes\r\n\r\nhello"
        )
        client.send(b"!")
        assert lines.received == b"early bird!"
        assert lines.links[0].peer is not None
        assert lines.links[0].scheme == "http"
        assert not lines.links[0].leaving
        assert not server.core.connections, "it is no HTTP connection any more"
        client.reset()
        assert lines.lost == 1


def test_pipelined_responses_come_ahead_of_the_101() -> None:
    lines = Lines()
    app = App(upgrading(lines))

    async def plain(request: Request) -> Response:
        return Response("first")

    app.add("/plain", plain)
    with harness(app) as server:
        client = server.connect()
        client.send(request_bytes("GET", "/plain") * 2 + request_bytes(**UPGRADE))
        raw = client.raw()
        assert raw.count(b"first") == 2
        assert raw.index(b"101 Switching") > raw.rindex(b"first")
        client.reset()


@pytest.mark.parametrize("slow", [False, True])
def test_after_hooks_see_the_101(slow: bool) -> None:
    seen: list[int] = []

    def after(request: Request, response: Response) -> None:
        seen.append(response.status)
        response.headers.set("x-hook", "was here")

    lines = Lines()
    with harness(upgrading(lines, slow=slow), options={"after": (after,)}) as server:
        client = server.connect()
        client.send(request_bytes(**UPGRADE))
        server.advance(2.0)
        assert b"x-hook: was here\r\n" in client.raw()
        assert seen == [101]
        client.reset()


@pytest.mark.parametrize("slow", [False, True])
@pytest.mark.parametrize("kind", ["plain", "stream"])
def test_a_hook_that_answers_otherwise_drops_the_upgrade(slow: bool, kind: str) -> None:
    async def pieces() -> Any:
        yield b"stre"
        yield b"amed"

    def after(request: Request, response: Response) -> Response:
        return Response("denied", 403) if kind == "plain" else StreamingResponse(pieces(), 403)

    lines, held = Lines(), Held()
    app = App(upgrading(lines, slow=slow, held=held), after=(after,))
    with harness(app) as server:
        client = server.connect()
        client.send(request_bytes(**UPGRADE))
        server.advance(2.0)
        reply = client.reply()
        assert reply.status == 403
        assert reply.body == (b"denied" if kind == "plain" else b"streamed")
        assert held.closed == 1
        assert lines.links == []


@pytest.mark.parametrize("slow", [False, True])
@pytest.mark.parametrize("field", ["upgrade", "transfer-encoding", "bad\nname"])
def test_an_upgrade_that_cannot_be_sent_is_a_500(slow: bool, field: str) -> None:
    lines, held = Lines(), Held()

    async def handler(request: Request) -> Response:
        upgrade = Upgrade("echo", lines.connect)
        upgrade.hold(held)
        if slow:
            await asyncio.sleep(1.0)
        upgrade.headers.pairs.append((field, "1"))
        return upgrade

    with harness(handler) as server:
        client = server.connect()
        client.send(request_bytes(**UPGRADE))
        server.advance(2.0)
        assert client.reply().status == 500
        assert held.closed == 1
        assert lines.links == []


def test_an_upgrade_ahead_of_its_requests_body_is_a_500() -> None:
    lines = Lines()
    with harness(upgrading(lines)) as server:
        client = server.connect()
        client.send(request_bytes("POST", "/", b"whole", **UPGRADE)[:-2])
        assert b" 500 " in client.raw()
        assert lines.links == []


@pytest.mark.parametrize("slow", [False, True])
def test_a_client_that_is_gone_gets_no_upgrade(slow: bool) -> None:
    lines, held = Lines(), Held()

    async def handler(request: Request) -> Response:
        upgrade = Upgrade("echo", lines.connect)
        upgrade.hold(held)
        try:
            await asyncio.sleep(1.0)
        except asyncio.CancelledError:
            if slow:
                await asyncio.sleep(1.0)
        return upgrade

    with harness(handler) as server:
        client = server.connect()
        client.send(request_bytes(**UPGRADE))
        client.reset()
        server.advance(3.0)
        assert held.closed == 1
        assert lines.links == []
        assert not server.core.connections


def test_an_upgrade_that_is_forgotten_closes_what_it_holds() -> None:
    held = Held()

    async def handler(request: Request) -> Response:
        Upgrade("echo", Lines().connect).hold(held)
        raise HTTPError(403)

    with harness(handler) as server:
        client = server.connect()
        client.send(request_bytes(**UPGRADE))
        assert client.reply().status == 403
        server.advance(0.1)
        assert held.closed == 1


def test_a_connect_that_fails_ends_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    def connect(link: Any) -> None:
        raise ValueError("no")

    async def handler(request: Request) -> Response:
        return Upgrade("echo", connect)

    with harness(handler) as server:
        client = server.connect()
        client.send(request_bytes(**UPGRADE))
        assert client.transport.aborted
    assert "could not change its protocol" in caplog.text


def test_an_upgrade_while_the_server_drains_is_told_so() -> None:
    lines = Lines()
    with harness(upgrading(lines, slow=True)) as server:
        client = server.connect()
        client.send(request_bytes(**UPGRADE))
        server.call(client.connection.shut_down)
        server.advance(2.0)
        assert lines.links[0].leaving
        client.reset()
