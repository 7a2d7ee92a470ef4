"""Hedges, mirrors, handlers of this process, and what is told upstream."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import pytest

from framework.http.request import Request
from framework.http.response import Response
from tests.support.gateways import gateway_before
from tests.support.scripted import Peer

pytestmark = pytest.mark.anyio

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def one(urls: dict[str, str], cluster: Mapping[str, Any] | None = None, **route: Any) -> dict[str, Any]:
    listed = {"endpoints": list(urls.values()), "policy": "round_robin", **(cluster or {})}
    return {"clusters": {"c": listed}, "routes": {"r": {"cluster": "c", **route}}}


# -- hedges -----------------------------------------------------------------------------------------------------------


async def test_a_hedge_answers_for_a_silent_endpoint_and_the_silent_try_is_ended() -> None:
    dropped = asyncio.Event()

    async def silent(peer: Peer) -> None:
        await peer.head()
        await peer.gone()
        dropped.set()

    async def quick(peer: Peer) -> None:
        while True:
            await peer.head()
            peer.send(OK)

    async with gateway_before(
        {"a": silent, "b": quick}, lambda urls: one(urls, hedge={"delay": 0.05})
    ) as front:
        answers = [await front.client.get("/") for _ in range(2)]
        assert [one.status for one in answers] == [200, 200]
        async with asyncio.timeout(5):
            await dropped.wait()
        upstream = front.gateway.generation.upstreams["c"]
        assert [one.active for one in upstream.cluster.endpoints] == [0, 0]
        assert upstream.in_flight == 0


async def test_a_post_is_never_hedged() -> None:
    heads: list[bytes] = []
    go, three = asyncio.Event(), asyncio.Event()

    async def slow(peer: Peer) -> None:
        heads.append(await peer.head())
        if len(heads) == 3:
            three.set()
        await go.wait()
        peer.send(OK)

    async with gateway_before({"a": slow, "b": slow}, lambda urls: one(urls, hedge={"delay": 0.01})) as front:
        asked = asyncio.create_task(front.client.post("/"))
        get = asyncio.create_task(front.client.get("/"))
        await three.wait()  # the GET came twice: time enough for the POST to have been doubled too
        go.set()
        assert [(await asked).status, (await get).status] == [200, 200]
        assert sum(head.startswith(b"POST") for head in heads) == 1


async def test_a_hedge_that_fails_as_well_is_told_as_the_last_failure() -> None:
    async def broken(peer: Peer) -> None:
        await peer.head()
        peer.abort()

    async with gateway_before(
        {"a": broken, "b": broken}, lambda urls: one(urls, retry=None, hedge={"delay": 0.01})
    ) as front:
        assert (await front.client.get("/")).status == 502
        assert front.gateway.generation.upstreams["c"].in_flight == 0


async def test_an_upstream_that_says_when_to_come_again_is_taken_at_its_word() -> None:
    async def busy(peer: Peer) -> None:
        while True:
            await peer.head()
            peer.send(b"HTTP/1.1 503 Busy\r\nretry-after: 120\r\ncontent-length: 4\r\n\r\nbusy")

    async with gateway_before({"a": busy}, lambda urls: one(urls, {"outliers": None})) as front:
        got = await front.client.get("/")
        assert (got.status, got.body, got.headers["retry-after"]) == (503, b"busy", "120")
        assert len(front.peers["a"]) == 1
        assert front.gateway.generation.routes["r"].stats.retries == 0


# -- mirrors ----------------------------------------------------------------------------------------------------------


async def test_a_mirror_gets_a_copy_and_nobody_waits_for_it() -> None:
    copies: list[bytes] = []
    copied = asyncio.Event()

    async def real(peer: Peer) -> None:
        await peer.head()
        assert await peer.take(5) == b"hello"
        peer.send(OK)

    async def shadow(peer: Peer) -> None:
        head = await peer.head()
        copies.append(head + await peer.take(5))
        copied.set()
        peer.abort()  # whatever becomes of it

    def config(urls: dict[str, str]) -> dict[str, Any]:
        mirror = {"cluster": "shadow"}
        return {
            "clusters": {"c": {"endpoints": [urls["a"]]}, "shadow": {"endpoints": [urls["b"]]}},
            "routes": {"r": {"cluster": "c", "policies": {"mirror": mirror}}},
        }

    async with gateway_before({"a": real, "b": shadow}, config) as front:
        got = await front.client.post("/x?y=1", content=b"hello")
        assert (got.status, got.body) == (200, b"ok")
        async with asyncio.timeout(5):
            await copied.wait()
        assert copies[0].startswith(b"POST /x?y=1 HTTP/1.1\r\n")
        assert copies[0].endswith(b"content-length: 5\r\n\r\nhello")


# -- handlers of this process -----------------------------------------------------------------------------------------


async def hello(request: Request) -> Response:
    return Response(b"here: " + request.path.encode())


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    names = {name.decode(): value.decode() for name, value in scope["headers"]}
    body = f"{scope['root_path']}|{scope['path']}|{names.get('x-user', '')}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-a", b"1")]})
    await send({"type": "http.response.body", "body": body})


async def test_handlers_and_asgi_applications_stand_behind_the_same_policies() -> None:
    guard = {"limits": {"all": {"quota": 1, "window": 60, "key": "all"}}}
    config = {
        "routes": {
            "h": {"handler": "hello", "match": {"path": "/h"}, "policies": guard},
            "a": {"handler": "asgi", "match": {"path": "/a"}, "strip": "/a", "policies": guard},
        }
    }
    async with gateway_before({}, lambda _: config, handlers={"hello": hello, "asgi": asgi}) as front:
        first, second = await front.client.get("/h/1"), await front.client.get("/h/1")
        assert (first.body, second.status) == (b"here: /h/1", 429)
        first, second = await front.client.get("/a/x%20y"), await front.client.get("/a")
        assert (first.body, second.status) == (b"/a|/a/x y|", 429)


async def decides(peer: Peer) -> None:
    while True:
        head = await peer.head()
        assert b"x-forwarded-uri: /a" in head or b"x-forwarded-uri: /up" in head
        peer.send(b"HTTP/1.1 200 OK\r\nx-user: ada\r\ncontent-length: 0\r\n\r\n")


@pytest.mark.parametrize("spelling", ["X-User", "x_user", "X.User"])
async def test_copied_fields_g4_are_the_deciding_services_alone(spelling: str) -> None:
    """A client that names itself is not believed: neither by the cluster behind, nor by an application here."""
    heads: list[bytes] = []

    async def play(peer: Peer) -> None:
        heads.append(await peer.head())
        peer.send(OK)

    def config(urls: dict[str, str]) -> dict[str, Any]:
        asked = {"forward_auth": {"cluster": "auth", "copy": ["x-user"], "subject": "x-user"}}
        return {
            "clusters": {"c": {"endpoints": [urls["a"]]}, "auth": {"endpoints": [urls["auth"]]}},
            "routes": {
                "r": {"cluster": "c", "policies": asked},
                "a": {"handler": "asgi", "match": {"path": "/a"}, "policies": asked},
            },
        }

    async with gateway_before({"a": play, "auth": decides}, config, handlers={"asgi": asgi}) as front:
        assert (await front.client.get("/up", headers={spelling: "root"})).status == 200
        told = [line for line in heads[0].split(b"\r\n") if b"user" in line]
        assert told == [b"x-user: ada"]
        got = await front.client.get("/a", headers={spelling: "root"})
        assert got.body.endswith(b"|ada")


# -- what is told upstream --------------------------------------------------------------------------------------------


async def test_the_trace_goes_on_with_the_gateways_span_in_it() -> None:
    heads: list[bytes] = []

    async def play(peer: Peer) -> None:
        heads.append(await peer.head())
        peer.send(OK)

    trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    async with gateway_before({"a": play}, one) as front:
        fields = {"traceparent": f"00-{trace}-{span}-01", "tracestate": "a=1"}
        await front.client.get("/", headers=fields)
    lines = [line.decode() for line in heads[0].split(b"\r\n") if line.startswith(b"trace")]
    assert len(lines) == 2
    assert lines[0].startswith(f"traceparent: 00-{trace}-")
    assert span not in lines[0]
    assert lines[1] == "tracestate: a=1"


async def test_two_clusters_g10_of_one_endpoint_judge_it_by_their_own_probes() -> None:
    """The same place, probed at two paths: one says well, one says ill. Neither takes the other's word."""

    async def play(peer: Peer) -> None:
        while True:
            head = await peer.head()
            bad = head.startswith(b"GET /bad ")
            peer.send(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n" if bad else OK)

    def config(urls: dict[str, str]) -> dict[str, Any]:
        quick = {"interval": 0.02, "jitter": 0.0, "unhealthy_after": 1}
        return {
            "clusters": {
                name: {"endpoints": [urls["a"]], "probe": {"path": f"/{name}", **quick}}
                for name in ("good", "bad")
            },
            "routes": {
                name: {"cluster": name, "match": {"path": f"/x{name}"}, "retry": None}
                for name in ("good", "bad")
            },
        }

    async with gateway_before({"a": play}, config) as front:
        clusters = front.gateway.generation.upstreams
        async with asyncio.timeout(10):
            while clusters["bad"].cluster.endpoints[0].available:  # noqa: ASYNC110 - probes tell nobody
                await asyncio.sleep(0.01)
        assert clusters["good"].cluster.endpoints[0].available
        assert (await front.client.get("/xgood")).status == 200
        assert (await front.client.get("/xbad")).status == 503


# -- the response cache -----------------------------------------------------------------------------------------------


async def test_the_cache_answers_for_the_upstream_and_keeps_nothing_of_a_principals() -> None:
    asked: list[bytes] = []

    async def play(peer: Peer) -> None:
        while True:
            asked.append((await peer.head()).split(b" ")[1])
            peer.send(b"HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 2\r\n\r\nok")

    def config(urls: dict[str, str]) -> dict[str, Any]:
        key = {"name": "a", "hash": sha256(b"key of a").hexdigest()}
        return {
            "clusters": {"c": {"endpoints": [urls["a"]]}},
            "routes": {
                "open": {"cluster": "c", "policies": {"cache": {}}},
                "own": {
                    "cluster": "c",
                    "match": {"path": "/own"},
                    "policies": {"cache": {}, "api_keys": [key]},
                },
            },
        }

    async with gateway_before({"a": play}, config) as front:
        answers = [await front.client.get("/x") for _ in range(3)]
        assert [one.status for one in answers] == [200, 200, 200]
        assert "hit" in answers[2].headers["cache-status"]
        assert asked == [b"/x"]
        for _ in range(2):
            got = await front.client.get("/own", headers={"x-api-key": "key of a"})
            assert got.status == 200
        assert asked == [b"/x", b"/own", b"/own"]
        assert (await front.client.get("/own")).status == 401
