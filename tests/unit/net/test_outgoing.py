"""The response's way out: who asked, hooks, encoding, background work."""

from __future__ import annotations

import asyncio
import logging
import time
from contextvars import ContextVar
from typing import Any, cast

import pytest

from framework.http.request import Request
from framework.http.response import Response
from tests.support.harness import App, harness, request_bytes

NAME: ContextVar[str] = ContextVar("name", default="nobody")


async def hello(request: Request) -> Response:
    return Response("hello")


# -- who asks ---------------------------------------------------------------------------------------------------------


async def who(request: Request) -> Response:
    client = request.client
    return Response(f"{client.host if client else 'unix'} {request.scheme} {request.url}")


FORWARDED: dict[str, Any] = {
    "x_forwarded_for": "203.0.113.9",
    "x_forwarded_proto": "https",
    "x_forwarded_host": "shop.example",
}


def test_without_trusted_proxies_their_fields_are_ignored() -> None:
    with harness(who) as server:
        reply = server.connect().get(**FORWARDED)
        assert reply.body == b"192.0.2.1 http http://example.com/"


def test_a_trusted_proxy_is_believed() -> None:
    with harness(who, trusted_proxies=("192.0.2.0/24",)) as server:
        reply = server.connect().get(**FORWARDED)
        assert reply.body == b"203.0.113.9 https https://shop.example/"


def test_ip_spoofed_through_x_forwarded_for_from_an_untrusted_peer_is_ignored() -> None:
    with harness(who, trusted_proxies=("10.0.0.0/8",)) as server:
        reply = server.connect().get(**FORWARDED)
        assert reply.body == b"192.0.2.1 http http://example.com/"


def test_a_unix_socket_has_no_address_and_may_be_trusted() -> None:
    for trusted, expected in (
        ((), b"unix http http://example.com/"),
        (("unix",), b"203.0.113.9 https https://shop.example/"),
    ):
        with harness(who, trusted_proxies=trusted) as server:
            client = server.connect(peername="")
            assert client.get(**FORWARDED).body == expected


def test_a_client_that_has_left_is_not_taken_for_a_unix_socket() -> None:
    """Its address outlives the connection, so that nobody becomes trusted by leaving."""
    seen: list[str] = []

    async def handler(request: Request) -> Response:
        try:
            await asyncio.sleep(100)
        finally:
            client = request.client
            seen.append(f"{client and client.host} {request.scheme}")
        return Response()

    with harness(handler, trusted_proxies=("unix",)) as server:
        client = server.connect()
        client.send(request_bytes(**FORWARDED))
        client.reset()
    assert seen == ["192.0.2.1 http"]


def test_the_scheme_is_the_connections() -> None:
    with harness(who) as server:
        assert b"https://" in server.connect(ssl_object=object()).get().body


@pytest.mark.parametrize(
    ("sockname", "expected"),
    [
        (("127.0.0.1", 8000), b"http://127.0.0.1:8000/x"),
        (("::1", 8000, 0, 0), b"http://[::1]:8000/x"),
        ("/run/app.sock", b"http://localhost/x"),
    ],
)
def test_a_request_without_a_host_asked_for_the_address_it_came_to(sockname: object, expected: bytes) -> None:
    async def handler(request: Request) -> Response:
        return Response(request.url)

    app = App()
    app.add("/x", handler)
    with harness(app) as server:
        client = server.connect(sockname=sockname)
        client.send(b"GET /x HTTP/1.0\r\n\r\n")
        assert client.reply().body == expected


# -- hooks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suspends", [False, True])
def test_after_hooks_see_the_final_response_errors_included(suspends: bool) -> None:
    seen: list[int] = []

    def first(request: Request, response: Response) -> Response | None:
        return Response("replaced", 201) if response.status == 500 else None

    def second(request: Request, response: Response) -> None:
        seen.append(response.status)
        response.headers.set("x-seen", "yes")

    async def handler(request: Request) -> Response:
        if suspends:
            await asyncio.sleep(0)
        if request.query_string:
            raise ValueError
        return Response()

    with harness(handler, options={"after": (first, second)}) as server:
        client = server.connect()
        assert client.get()["x-seen"] == "yes"
        client.send(request_bytes("GET", "/?fails"))
        reply = client.reply()
        assert (reply.status, reply.body, reply["x-seen"]) == (201, b"replaced", "yes")
    assert seen == [200, 201]


@pytest.mark.parametrize("suspends", [False, True])
def test_an_after_hook_that_fails_hides_the_response_from_none_of_the_others(suspends: bool) -> None:
    """An access log further out still sees the request, once, with the status that is sent."""
    seen: list[int] = []

    def broken(request: Request, response: Response) -> None:
        raise ValueError("a hook")

    def log(request: Request, response: Response) -> None:
        seen.append(response.status)

    async def handler(request: Request) -> Response:
        if suspends:
            await asyncio.sleep(0)
        return Response()

    with harness(handler, options={"after": (broken, log)}) as server:
        client = server.connect()
        assert client.get().status == 500
        assert client.get("/missing").status == 404
    assert seen == [500]


def test_a_hook_that_returns_rubbish_is_a_500() -> None:
    def rubbish(request: Request, response: Response) -> Any:
        return "rubbish"

    for where in ("before", "after"):
        with harness(
            hello, options={where: (rubbish if where == "after" else lambda request: "rubbish",)}
        ) as server:
            client = server.connect()
            assert client.get().status == 500
            assert client.get("/missing").status == 404


# -- encoding ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "response",
    [
        Response(status=99),
        Response(status=cast("int", "200")),
        Response(headers={"transfer-encoding": "chunked"}),
        Response(b"12", headers={"content-length": "3"}),
        Response(media_type="text/plain\r\nx: y"),
    ],
)
def test_a_response_that_cannot_be_sent_is_a_500(response: Response) -> None:
    async def handler(request: Request) -> Response:
        if request.query_string:
            await asyncio.sleep(0)
        return response

    with harness(handler) as server:
        client = server.connect()
        for target in ("/", "/?suspend"):
            client.send(request_bytes("GET", target))
            assert client.reply().status == 500
        assert len(server.app.errors) == 2
        assert not client.closed


def test_an_error_response_that_cannot_be_sent_is_a_bare_500(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(App):
        def failed(self, request: Request, error: BaseException) -> Response:
            return Response(status=12)

    async def handler(request: Request) -> Response:
        raise ValueError

    with harness(Broken(handler)) as server:
        client = server.connect()
        reply = client.get()
        assert (reply.status, reply["content-type"]) == (500, "application/problem+json")
        assert client.get("/missing").status == 404
    assert "cannot be sent" in caplog.text


@pytest.mark.parametrize("suspends", [False, True])
def test_head_is_answered_without_a_body(suspends: bool) -> None:
    async def handler(request: Request) -> Response:
        if suspends:
            await asyncio.sleep(0)
        return Response("a body")

    with harness(handler) as server:
        client = server.connect()
        client.send(request_bytes("HEAD") + request_bytes("GET"))
        head, get = client.replies("HEAD", "GET")
        assert (head.body, get.body) == (b"", b"a body")
        assert head["content-length"] == get["content-length"] == "6"


def test_the_date_is_true_after_a_long_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_700_000_000.0
    monkeypatch.setattr(time, "time", lambda: now)
    with harness(hello) as server:
        client = server.connect()
        assert client.get()["date"] == "Tue, 14 Nov 2023 22:13:20 GMT"
        now += 3600
        server.advance(0.3)
        assert client.get()["date"] == "Tue, 14 Nov 2023 23:13:20 GMT"


# -- background work --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suspends", [False, True])
def test_background_work_runs_once_the_response_is_written(suspends: bool) -> None:
    seen: list[str] = []

    async def work(name: str) -> None:
        seen.append(f"{name} {NAME.get()} {client.transport.received[:12].decode()}")
        await asyncio.sleep(5)
        seen.append("done")

    async def handler(request: Request) -> Response:
        if suspends:
            await asyncio.sleep(0)
        NAME.set("somebody")
        request.background(work, "work")
        return Response()

    with harness(handler) as server:
        client = server.connect()
        assert client.get().status == 200
        assert seen == ["work somebody HTTP/1.1 200"]
        assert len(server.core.background) == 1
        assert client.get("/missing").status == 404, "nothing waits for it"
        server.advance(5)
        assert seen[1:] == ["done"]


@pytest.mark.parametrize("suspends", [False, True])
def test_background_work_runs_though_the_handler_failed(suspends: bool) -> None:
    seen: list[str] = []

    async def handler(request: Request) -> Response:
        request.background(seen.append, "work")
        if suspends:
            await asyncio.sleep(0)
        raise ValueError

    with harness(handler) as server:
        assert server.connect().get().status == 500
        assert seen == ["work"]


def test_background_work_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        raise ValueError("in the background")

    async def handler(request: Request) -> Response:
        request.background(work)
        return Response()

    with harness(handler) as server:
        assert server.connect().get().status == 200
    (record,) = [each for each in caplog.records if each.name == "framework.server"]
    assert record.levelno == logging.ERROR
    assert "in the background" in caplog.text


def test_background_work_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(request: Request) -> Response:
        for _ in range(3):
            request.background(asyncio.sleep, 10)
        return Response()

    with harness(handler, max_background_tasks=2) as server:
        assert server.connect().get().status == 200
        assert len(server.core.background) == 2
    assert "background work was dropped" in caplog.text


def test_refusals_are_counted() -> None:
    with harness(hello) as server:
        for _ in range(2):
            server.connect().send(b"rubbish\r\n\r\n")
        server.connect().send(b"GET / HTTP/3.0\r\n\r\n")
        assert server.core.refused == {400: 2, 505: 1}
