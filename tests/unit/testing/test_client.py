"""The test client over its three transports, and virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from framework import App, Request, Response
from framework.errors import PeerClosed
from framework.testing import Conditions, Stuck, TestClient, UnexpectedAnswer, run_virtual

pytestmark = pytest.mark.anyio

ClientFor = Callable[..., TestClient]


class Clock:
    def now(self) -> str:
        return "real"


class Fixed(Clock):
    def now(self) -> str:
        return "fixed"


def make_app() -> App:
    app = App()
    app.provide(Clock)

    @app.get("/now")
    async def now(clock: Clock) -> str:
        return clock.now()

    @app.post("/echo")
    async def echo(request: Request) -> Response:
        return Response(await request.body(), media_type=request.headers.get("content-type"))

    @app.get("/visit")
    async def visit(request: Request) -> Response:
        response = Response(request.cookies.get("seen", "never"))
        response.set_cookie("seen", "once")
        return response

    @app.get("/count/{n:int}")
    async def count(n: int) -> AsyncIterator[str]:
        for i in range(n):
            await asyncio.sleep(0)
            yield f"{i}\n"

    @app.get("/sleep/{seconds:int}")
    async def sleep(seconds: int) -> str:
        await asyncio.sleep(seconds)
        return "awake"

    return app


async def test_one_test_three_transports(client_for: ClientFor) -> None:
    async with client_for(make_app(), overrides={Clock: Fixed}) as client:
        assert (await client.get("/now")).text == "fixed"
        answer = await client.post("/echo", json={"a": [1, 2]}, headers={"X-Y": "z"})
        assert answer.json() == {"a": [1, 2]}
        assert (await client.post("/echo", form={"a": ["1", "2"]})).text == "a=1&a=2"
        assert (await client.post("/echo", content="x" * 300_000)).text == "x" * 300_000
        assert (await client.get("/visit")).text == "never"
        assert (await client.get("/visit")).text == "once"
        assert (await client.get("/count/100")).text == "".join(f"{i}\n" for i in range(100))
        assert (await client.head("/now")).body == b""
        assert (await client.get("/missing", params={"a": "b c"})).status == 404


async def test_uploads_and_downloads_are_streams(client_for: ClientFor) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for i in range(50):
            yield b"%d," % i

    async with client_for(make_app()) as client:
        answer = await client.post("/echo", content=pieces())
        assert answer.body == b"".join(b"%d," % i for i in range(50))
        async with client.stream("GET", "/count/100000") as incoming:
            assert incoming.status == 200
            assert (await anext(incoming)).startswith(b"0\n")
        assert (await client.get("/now")).text == "real"


async def test_expect_continue_shows(client_for: ClientFor) -> None:
    async with client_for(make_app()) as client:
        connection = await client.connect()
        connection.send(
            "POST", b"POST /echo HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n"
        )
        assert await connection.interim() == 100
        connection.write(b"ab")
        incoming = await connection.response()
        assert [piece async for piece in incoming] == [b"ab"]
        assert connection.transport is not None
        connection.transport.close()


def test_virtual_time_does_not_wait() -> None:
    async def main() -> float:
        async with TestClient(make_app(), settings={"server.keep_alive_timeout": 4000.0}) as client:
            assert (await client.get("/sleep/30")).text == "awake"
            answer = await client.get("/sleep/3600")
            assert answer.status == 504
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) >= 90


def test_a_bad_network_changes_nothing_but_the_time() -> None:
    async def main(seed: int) -> tuple[str, float]:
        conditions = Conditions(latency=(0.01, 0.2), max_piece=7, window=64)
        async with TestClient(make_app(), transport="network", conditions=conditions, seed=seed) as client:
            text = (await client.post("/echo", content="abc" * 100)).text
            text += (await client.get("/count/20")).text
        return text, asyncio.get_running_loop().time()

    expected = "abc" * 100 + "".join(f"{i}\n" for i in range(20))
    runs = [run_virtual(main(seed)) for seed in (1, 2, 1)]
    assert [text for text, _ in runs] == [expected] * 3
    assert runs[0] == runs[2]
    assert runs[0] != runs[1]


def test_resets_and_cuts_are_told_to_the_client() -> None:
    async def main() -> None:
        async with TestClient(
            make_app(), transport="network", settings={"server.header_timeout": 5.0}
        ) as client:
            waiting = asyncio.create_task(client.get("/sleep/50"))
            await asyncio.sleep(1)
            client.network.links[-1].reset()
            with pytest.raises(PeerClosed):
                await waiting
            connection = await client.connect()
            connection.write(b"GET / HT")
            incoming = await connection.response()
            assert incoming.status == 408

    run_virtual(main())


def test_a_test_that_would_hang_is_stuck() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Stuck, match="nothing is left to wait for"):
        run_virtual(main(), patience=0.01)


async def test_misuse_is_told() -> None:
    app = make_app()
    client = TestClient(app)
    with pytest.raises(RuntimeError, match="async with"):
        _ = client.server
    runtime: Any = app.build(environ={})
    with pytest.raises(ValueError, match="built already"):
        async with TestClient(runtime, overrides={Clock: Fixed}):
            pass


async def test_an_unexpected_answer_shows_the_problem_and_what_was_raised(client_for: ClientFor) -> None:
    app = make_app()

    @app.get("/bug")
    async def bug() -> None:
        raise LookupError("the shelf is empty")

    async with client_for(app) as client:
        with pytest.raises(UnexpectedAnswer, match=r"GET /bug: expected 200, the answer was 500") as caught:
            await client.get("/bug", expect=200)
        assert isinstance(caught.value.__cause__, LookupError)
        assert [str(error) for error in client.errors] == ["the shelf is empty"]
        with pytest.raises(UnexpectedAnswer, match='"title": "Not Found"') as caught:
            await client.get("/missing", expect=(200, 204))
        assert caught.value.__cause__ is None
        assert (await client.get("/missing", expect=404)).problem["status"] == 404
        with pytest.raises(UnexpectedAnswer):
            async with client.stream("GET", "/missing", expect=200):
                raise AssertionError
        assert (await client.get("/now", expect=range(200, 300))).text == "real"


async def test_visitors_have_cookies_connections_and_addresses_of_their_own(client_for: ClientFor) -> None:
    app = make_app()

    @app.get("/who")
    async def who(request: Request) -> str:
        assert request.client is not None
        return request.client.host

    async with client_for(app) as client:
        await client.get("/visit")
        other = client.visitor(host="127.0.0.9")
        assert (await other.get("/visit")).text == "never"
        assert (await client.get("/visit")).text == "once"
        assert [(await one.get("/who")).text for one in (client, other)] == ["127.0.0.1", "127.0.0.9"]
        assert (client.opened, other.opened) == (1, 1)


async def test_a_client_may_keep_no_cookies(client_for: ClientFor) -> None:
    async with client_for(make_app(), keep_cookies=False) as client:
        assert [(await client.get("/visit")).text for _ in range(2)] == ["never", "never"]


async def test_requests_share_a_connection_unless_they_overlap(client_for: ClientFor) -> None:
    async with client_for(make_app()) as client:
        for _ in range(3):
            await client.get("/now")
        assert client.opened == 1
        await asyncio.gather(*(client.get("/count/3") for _ in range(4)))
        assert client.opened == 4


async def test_raw_bytes(client_for: ClientFor) -> None:
    async with client_for(make_app()) as client:
        assert (await client.raw(b"GET /now HTTP/1.0\r\n\r\n", expect=200)).text == "real"
        with pytest.raises(UnexpectedAnswer, match="expected 200, the answer was 400"):
            await client.raw(b"GET /now\r\n\r\n", expect=200)


async def test_a_slow_reader_is_felt_by_the_server(client_for: ClientFor) -> None:
    """The client's side holds a bounded part of a body that nobody iterates."""
    made: list[int] = []
    app = App()

    @app.get("/endless")
    async def endless() -> AsyncIterator[bytes]:
        for number in range(400):
            made.append(number)
            yield b"x" * 65_536

    async with client_for(app) as client, client.stream("GET", "/endless") as incoming:
        await anext(incoming)
        for _ in range(3000):
            await asyncio.sleep(0)
        assert len(made) < 300
        size = 0
        async for piece in incoming:
            size += len(piece)
        assert size + 65_536 >= 399 * 65_536
    assert len(made) == 400


async def test_a_request_nobody_answers_has_a_deadline() -> None:
    async with TestClient(make_app(), timeout=0.05, settings={"server.drain_timeout": 0.0}) as client:
        with pytest.raises(TimeoutError, match=r"GET /sleep/20 was not answered within 0\.05 s"):
            await client.get("/sleep/20")


async def test_a_url_for_other_programs() -> None:
    async with TestClient(make_app(), transport="socket") as client:
        assert client.url == f"http://127.0.0.1:{client.server.port}"
        with pytest.raises(RuntimeError, match="no simulated network"):
            _ = client.network
    async with TestClient(make_app()) as client:
        with pytest.raises(RuntimeError, match="transport"):
            _ = client.url


async def test_a_runtime_takes_no_settings_any_more() -> None:
    runtime = make_app().build(environ={})
    async with TestClient(runtime, transport="socket") as client:
        assert (await client.get("/now")).text == "real"
    for wrong in ({"settings": {"server.port": 1}}, {"environ": {"A": "b"}}):
        with pytest.raises(ValueError, match="built already"):
            async with TestClient(runtime, **wrong):
                pass


async def test_settings_from_the_environment() -> None:
    async with TestClient(make_app(), environ={"FRAMEWORK_SERVER__MAX_TARGET": "9"}) as client:
        await client.get("/missing/way", expect=414)


@pytest.mark.virtual_time
async def test_the_marker_runs_a_test_in_virtual_time(client_for: ClientFor) -> None:
    async with client_for(make_app(), transport="memory") as client:
        await client.get("/sleep/20", expect=200)
    assert asyncio.get_running_loop().time() >= 20


@pytest.mark.virtual_time
async def test_a_slow_upload_meets_its_deadline() -> None:
    slow = Conditions(bandwidth=10.0)
    async with TestClient(make_app(), transport="network", settings={"server.header_timeout": 5.0}) as client:
        connection = await client.connect(conditions=slow)
        connection.write(b"GET /now HTTP/1.1\r\nx-long: " + b"x" * 1000 + b"\r\n\r\n")
        assert (await connection.response()).status == 408
        assert (await client.get("/now", expect=200)).text == "real"
