"""Responses kept as a shared cache may: RFC 9111, RFC 9211, RFC 5861."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from framework import App, Request, Response, StreamingResponse
from framework.plugins.cache import Cache, ResponseCache
from framework.testing import TestClient
from tests.support.redis import redis_server
from tests.unit.plugins.cache.driver import eventually

__all__ = ["redis_server"]

pytestmark = pytest.mark.anyio


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Origin:
    """An app whose one route answers as it is told to, and counts."""

    def __init__(self, headers: dict[str, str] | None = None, **options: Any) -> None:
        self.clock = Clock()
        self.calls = 0
        self.headers = headers or {}
        self.status = 200
        self.body = "body"
        self.stream: list[bytes] | None = None
        self.seen: list[Request] = []
        self.error: Exception | None = None
        self.held = ""
        self.go = asyncio.Event()
        self.go.set()
        self.cache = ResponseCache(now=self.clock, name="t", **options)
        self.app = App()
        for method in ("GET", "POST"):
            self.app.route("/r", methods=[method], middleware=[self.cache])(self.answer)
        self.app.get("/other", middleware=[self.cache])(self.answer)

    async def answer(self, request: Request) -> Response:
        self.calls += 1
        self.seen.append(request)
        number = self.calls
        if self.held in ("", request.method):
            await self.go.wait()
        if self.error is not None:
            raise self.error
        etag = self.headers.get("etag")
        if etag is not None and request.headers.get("if-none-match") == etag:
            return Response(b"", 304, headers=self.headers)
        if self.stream is not None:
            return StreamingResponse(self._pieces(self.stream), headers=self.headers)
        return Response(f"{self.body} {number}", self.status, headers=self.headers)

    async def _pieces(self, pieces: list[bytes]) -> AsyncIterator[bytes]:
        for number, piece in enumerate(pieces):
            if number == 1 and self.held == "body":
                await self.go.wait()
            yield piece


def status_of(answer: Any) -> str:
    return answer.headers["cache-status"]


async def test_a_fresh_response_is_served_with_its_age() -> None:
    origin = Origin({"cache-control": "max-age=60"})
    async with TestClient(origin.app) as client:
        first = await client.get("/r", expect=200)
        assert status_of(first) == "t; fwd=uri-miss; fwd-status=200; stored"
        origin.clock.now += 20
        second = await client.get("/r", expect=200)
        assert (second.text, second.headers["age"]) == ("body 1", "20")
        assert status_of(second) == "t; hit; ttl=40"
        origin.clock.now += 40
        third = await client.get("/r", expect=200)
        assert third.text == "body 2"
        assert origin.calls == 2


@pytest.mark.parametrize(
    ("headers", "stored"),
    [
        ({}, False),
        ({"cache-control": "no-store, max-age=60"}, False),
        ({"cache-control": "private, max-age=60"}, False),
        ({"cache-control": 'private="x-a", max-age=60'}, False),
        ({"cache-control": "max-age=0"}, False),
        ({"cache-control": "max-age=-1"}, False),
        ({"cache-control": "max-age=1.5"}, False),
        ({"cache-control": 'max-age="60"'}, True),
        ({"cache-control": "MAX-AGE=60"}, True),
        ({"cache-control": "max-age=60, max-age=0"}, False),
        ({"cache-control": 'ext="a, max-age=60"'}, False),
        ({"cache-control": "s-maxage=60, max-age=0"}, True),
        ({"cache-control": "s-maxage=0, max-age=60"}, False),
        ({"cache-control": "max-age=99999999999999999999"}, True),
        ({"expires": "Thu, 01 Jan 2099 00:00:00 GMT"}, True),
        ({"expires": "0"}, False),
        ({"expires": "0", "cache-control": "max-age=60"}, True),
        ({"cache-control": "max-age=60", "vary": "*"}, False),
        ({"cache-control": "max-age=60", "set-cookie": "a=b"}, False),
        ({"cache-control": "max-age=60", "age": "60"}, False),
        ({"cache-control": "no-store, must-understand, max-age=60"}, True),
    ],
)
async def test_what_may_be_stored(headers: dict[str, str], stored: bool) -> None:
    origin = Origin(headers)
    async with TestClient(origin.app) as client:
        for _ in range(2):
            await client.get("/r", expect=200)
    assert origin.calls == (1 if stored else 2)


@pytest.mark.parametrize(
    ("status", "stored"),
    [
        (200, True),
        (204, True),
        (301, True),
        (404, True),
        (302, True),
        (206, False),
        (418, False),
        (503, True),
    ],
)
async def test_which_statuses_may_be_stored(status: int, stored: bool) -> None:
    origin = Origin({"cache-control": "max-age=60"})
    origin.status = status
    async with TestClient(origin.app) as client:
        for _ in range(2):
            await client.get("/r", expect=status)
    assert origin.calls == (1 if stored else 2)


@pytest.mark.parametrize(
    ("control", "stored"),
    [
        ("max-age=60", False),
        ("public, max-age=60", True),
        ("s-maxage=60", True),
        ("max-age=60, must-revalidate", True),
    ],
)
async def test_a_response_to_authorization_needs_leave(control: str, stored: bool) -> None:
    origin = Origin({"cache-control": control})
    async with TestClient(origin.app) as client:
        for _ in range(2):
            await client.get("/r", headers={"authorization": "Basic eA=="})
    assert origin.calls == (1 if stored else 2)


async def test_a_default_holds_for_nobody_in_particular() -> None:
    origin = Origin(default_ttl=60)
    async with TestClient(origin.app) as client:
        await client.get("/r")
        await client.get("/r")
        assert origin.calls == 1
    for name in ("cookie", "authorization"):
        origin = Origin(default_ttl=60)
        async with TestClient(origin.app) as client:
            await client.get("/r", headers={name: "a=b"})
            await client.get("/r", headers={name: "a=b"})
            assert origin.calls == 2


async def test_responses_vary() -> None:
    origin = Origin({"cache-control": "max-age=60", "vary": "Accept-Language, X-A"})
    async with TestClient(origin.app) as client:
        de = {"accept-language": "de"}
        en = {"accept-language": "en"}
        assert (await client.get("/r", headers=de)).text == "body 1"
        answer = await client.get("/r", headers=en)
        assert answer.text == "body 2"
        assert status_of(answer) == "t; fwd=vary-miss; fwd-status=200; stored"
        assert (await client.get("/r", headers=de)).text == "body 1"
        assert (await client.get("/r", headers=en)).text == "body 2"
        assert (await client.get("/r", headers={**en, "x-a": ""})).text == "body 3"
        # What was changed has changed in every language.
        await client.post("/r")
        assert (await client.get("/r", headers=de)).text == "body 5"
        assert (await client.get("/r", headers=en)).text == "body 6"


async def test_a_stale_response_is_validated() -> None:
    origin = Origin({"cache-control": "max-age=60", "etag": '"1"'})
    async with TestClient(origin.app) as client:
        await client.get("/r", headers={"if-none-match": '"0"'})
        assert origin.seen[0].headers.get("if-none-match") is None
        origin.clock.now += 61
        origin.headers["x-new"] = "yes"
        answer = await client.get("/r", expect=200)
        assert (answer.text, answer.headers["x-new"]) == ("body 1", "yes")
        assert status_of(answer) == "t; fwd=stale; fwd-status=304; stored"
        assert origin.seen[1].headers.get("if-none-match") == '"1"'
        assert status_of(await client.get("/r")) == "t; hit; ttl=60"
        origin.clock.now += 61
        origin.headers["etag"] = '"2"'
        assert (await client.get("/r")).text == "body 3"


async def test_the_client_is_told_that_it_has_it() -> None:
    origin = Origin({"cache-control": "max-age=60", "etag": '"1"', "x-other": "x"})
    async with TestClient(origin.app) as client:
        assert (await client.get("/r", headers={"if-none-match": '"1"'})).status == 304
        answer = await client.get("/r", headers={"if-none-match": 'W/"1", "7"'}, expect=304)
        assert answer.headers["etag"] == '"1"'
        assert "x-other" not in answer.headers
        assert (await client.get("/r", headers={"if-none-match": '"2"'}, expect=200)).text == "body 1"
        assert origin.calls == 1


async def test_no_cache_is_asked_about_each_time() -> None:
    origin = Origin({"cache-control": "no-cache, max-age=60", "etag": '"1"'})
    async with TestClient(origin.app) as client:
        for _ in range(3):
            assert (await client.get("/r", expect=200)).text == "body 1"
    assert origin.calls == 3


@pytest.mark.parametrize(
    ("control", "calls"),
    [
        ("no-cache", 2),
        ("max-age=10", 2),
        ("max-age=30", 1),
        ("min-fresh=50", 2),
        ("min-fresh=30", 1),
        ("no-store", 1),
    ],
)
async def test_what_requests_ask_of_caches(control: str, calls: int) -> None:
    origin = Origin({"cache-control": "max-age=60"})
    async with TestClient(origin.app) as client:
        await client.get("/r")
        origin.clock.now += 20
        await client.get("/r", headers={"cache-control": control})
    assert origin.calls == calls


async def test_requests_may_take_stale_ones_and_refuse_to_wait() -> None:
    origin = Origin({"cache-control": "max-age=60", "etag": '"1"'})
    async with TestClient(origin.app) as client:
        await client.get("/r", headers={"cache-control": "only-if-cached"}, expect=504)
        await client.get("/r", headers={"cache-control": "no-store"})
        assert origin.calls == 1
        await client.get("/r")
        assert origin.calls == 2
        origin.clock.now += 70
        await client.get("/r", headers={"cache-control": "max-stale=10"}, expect=200)
        await client.get("/r", headers={"cache-control": "max-stale"}, expect=200)
        await client.get("/r", headers={"cache-control": "only-if-cached, max-stale=11"}, expect=200)
        assert origin.calls == 2
        await client.get("/r", headers={"cache-control": "max-stale=9"}, expect=200)
        assert origin.calls == 3


async def test_an_error_is_answered_by_a_stale_response() -> None:
    origin = Origin({"cache-control": "max-age=60, stale-if-error=100", "etag": '"1"'})
    async with TestClient(origin.app) as client:
        await client.get("/r")
        origin.clock.now += 100
        origin.status, origin.headers = 503, {}
        answer = await client.get("/r", expect=200)
        assert (answer.text, answer.headers["age"]) == ("body 1", "100")
        assert "fwd-status=503" in status_of(answer)
        origin.clock.now += 61
        await client.get("/r", expect=503)


@pytest.mark.parametrize(
    "control", ["max-age=60, must-revalidate", "max-age=60, proxy-revalidate", "s-maxage=60"]
)
async def test_some_responses_are_never_served_stale(control: str) -> None:
    origin = Origin(
        {"cache-control": control, "etag": '"1"'}, stale_if_error=1000, stale_while_revalidate=1000
    )
    async with TestClient(origin.app) as client:
        await client.get("/r")
        origin.clock.now += 61
        origin.status, origin.headers = 503, {}
        await client.get("/r", headers={"cache-control": "max-stale"}, expect=503)


async def test_stale_while_revalidate() -> None:
    origin = Origin({"cache-control": "s-maxage=60, stale-while-revalidate=30"})
    async with TestClient(origin.app) as client:
        await client.get("/r")
        origin.clock.now += 70
        answer = await client.get("/r")
        assert (answer.text, status_of(answer)) == ("body 1", "t; hit; ttl=-10")
        await eventually(lambda: origin.calls == 2)
        await asyncio.sleep(0)
        assert (await client.get("/r")).text == "body 2"
        origin.clock.now += 91
        assert (await client.get("/r")).text == "body 3"


async def test_head_is_answered_by_what_get_stored() -> None:
    origin = Origin({"cache-control": "max-age=60"})
    async with TestClient(origin.app) as client:
        await client.head("/r")
        await client.head("/r")
        assert origin.calls == 2
        await client.get("/r")
        answer = await client.head("/r")
        assert (origin.calls, answer.body, answer.headers["age"]) == (3, b"", "0")


async def test_unsafe_methods_forget() -> None:
    origin = Origin({"cache-control": "max-age=60"})
    async with TestClient(origin.app) as client:
        await client.get("/r")
        await client.get("/other")
        origin.headers = {"location": "/other", "cache-control": "max-age=60"}
        await client.post("/r")
        assert (await client.get("/r")).text == "body 4"
        assert (await client.get("/other")).text == "body 5"
        origin.status = 500
        await client.post("/r")
        assert (await client.get("/r")).text == "body 4"


async def test_c1_a_response_under_way_when_its_url_is_changed_is_not_stored() -> None:
    for vary in ({}, {"vary": "x-a"}):
        origin = Origin({"cache-control": "max-age=60", **vary})
        origin.held = "GET"
        async with TestClient(origin.app) as client:
            origin.go.clear()
            getting = asyncio.ensure_future(client.get("/r"))
            await eventually(lambda origin=origin: origin.calls == 1)
            await client.post("/r", expect=200)
            origin.go.set()
            assert (await getting).text == "body 1"
            assert (await client.get("/r")).text == "body 3"
            assert (await client.get("/r")).text == "body 3"


async def test_a_stream_whose_client_goes_is_not_stored_and_holds_up_nobody() -> None:
    origin = Origin({"cache-control": "max-age=60"})
    origin.stream = [b"12345"] * 10
    origin.held = "body"
    origin.go.clear()
    async with TestClient(origin.app) as client:
        async with client.stream("GET", "/r") as answer:
            assert answer.status == 200
            assert len(origin.cache._crowds._leading) == 1
        await eventually(lambda: not origin.cache._crowds._leading)
        origin.go.set()
        assert (await client.get("/r")).body == b"12345" * 10
        assert origin.calls == 2
        assert (await client.get("/r")).body == b"12345" * 10
        assert origin.calls == 2
        assert len(origin.cache.cache._levels.ledger) == 0
        assert not origin.cache._crowds._leading


async def test_streams_are_stored_when_they_end_and_are_small() -> None:
    origin = Origin({"cache-control": "max-age=60"}, max_body=10)
    async with TestClient(origin.app) as client:
        origin.stream = [b"12345", b"67890"]
        for _ in range(2):
            assert (await client.get("/r")).body == b"1234567890"
        assert origin.calls == 1
        origin.stream = [b"12345", b"67890", b"1"]
        for _ in range(2):
            assert (await client.get("/other")).body == b"12345678901"
        assert origin.calls == 3


async def test_bodies_beyond_the_limit_go_by() -> None:
    origin = Origin({"cache-control": "max-age=60"}, max_body=3)
    async with TestClient(origin.app) as client:
        await client.get("/r")
        await client.get("/r")
    assert origin.calls == 2


async def test_requests_for_the_same_are_collapsed() -> None:
    origin = Origin({"cache-control": "max-age=60"})
    async with TestClient(origin.app) as client:
        origin.go.clear()
        asking = [asyncio.ensure_future(client.get("/r")) for _ in range(10)]
        await eventually(lambda: origin.calls == 1)
        await asyncio.sleep(0.01)
        origin.go.set()
        answers = await asyncio.gather(*asking)
        assert {answer.text for answer in answers} == {"body 1"}
        assert sum("collapsed" in status_of(answer) for answer in answers) == 9
        assert origin.calls == 1


async def test_requests_for_what_cannot_be_stored_wait_for_nobody_twice() -> None:
    origin = Origin({"cache-control": "no-store"})
    async with TestClient(origin.app) as client:
        origin.go.clear()
        asking = [asyncio.ensure_future(client.get("/r")) for _ in range(5)]
        await eventually(lambda: origin.calls == 1)
        origin.go.set()
        await asyncio.gather(*asking)
        origin.go.clear()
        asking = [asyncio.ensure_future(client.get("/r")) for _ in range(5)]
        await eventually(lambda: origin.calls == 10)  # all at once
        origin.go.set()
        await asyncio.gather(*asking)


async def test_a_client_that_goes_leaves_its_place_to_another() -> None:
    origin = Origin({"cache-control": "max-age=60"})
    async with TestClient(origin.app) as client:
        origin.go.clear()
        first = asyncio.ensure_future(client.get("/r"))
        await eventually(lambda: origin.calls == 1)
        others = [asyncio.ensure_future(client.get("/r")) for _ in range(5)]
        await asyncio.sleep(0.01)
        first.cancel()
        await eventually(lambda: origin.calls == 2)
        origin.go.set()
        assert {answer.text for answer in await asyncio.gather(*others)} == {"body 2"}


async def test_two_servers_share_responses_in_redis(redis_server: Any) -> None:
    host = {"host": "shop.example"}
    async with Cache(redis_server.url, timeout=20.0) as one, Cache(redis_server.url, timeout=20.0) as two:
        first = Origin({"cache-control": "max-age=60", "vary": "x-a"}, cache=one)
        second = Origin({"cache-control": "max-age=60", "vary": "x-a"}, cache=two)
        async with TestClient(first.app) as client, TestClient(second.app) as other:
            await client.get("/r", headers=host)
            assert (await other.get("/r", headers=host)).text == "body 1"
            assert second.calls == 0
            await other.post("/r", headers=host)
            await eventually(lambda: len(one.memory) < 2)
            await client.get("/r", headers=host)
            assert first.calls == 2


async def test_a_shared_response_object_is_not_written_to() -> None:
    shared = Response("x", headers={"cache-control": "no-store"})
    app = App()

    @app.get("/s", middleware=[ResponseCache()])
    async def handler() -> Response:
        return shared

    async with TestClient(app) as client:
        for _ in range(3):
            assert status_of(await client.get("/s")) == "framework; fwd=uri-miss; fwd-status=200"
