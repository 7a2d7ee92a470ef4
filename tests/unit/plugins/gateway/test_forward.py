"""What passes through, and what the client gets when the upstream fails. Upstreams are scripts on real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest

from framework.errors import SetupError
from framework.plugins.gateway import Match, RouteConfig
from tests.support.gateways import Front, gateway_before
from tests.support.scripted import Peer

pytestmark = pytest.mark.anyio

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def one(**route: Any) -> Callable[[dict[str, str]], Mapping[str, Any]]:
    """A route to one cluster, of all upstreams in the order of their names."""
    return lambda urls: {
        "clusters": {
            "c": {"endpoints": list(urls.values()), "policy": "round_robin", **route.pop("of_cluster", {})}
        },
        "routes": {"r": {"cluster": "c", **route}},
    }


def says(answer: bytes) -> Callable[[Peer], Any]:
    """Answers every request with the same bytes."""

    async def play(peer: Peer) -> None:
        while True:
            await peer.head()
            peer.send(answer)

    return play


async def refuses(peer: Peer) -> None:
    raise AssertionError("nothing was to come here")


# -- passing on -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "method", "status", "body", "fields"),
    [
        (OK, "GET", 200, b"ok", {}),
        (b"HTTP/1.1 404 Nope\r\ncontent-length: 4\r\nx-a: 1\r\nx-a: 2\r\n\r\ngone", "GET", 404, b"gone", {}),
        (b"HTTP/1.1 204 No Content\r\nx-a: 1\r\n\r\n", "DELETE", 204, b"", {"x-a": "1"}),
        (b"HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\n\r\n", "GET", 304, b"", {"etag": '"a"'}),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 4711\r\n\r\n", "HEAD", 200, b"", {"content-length": "4711"}),
        (b"HTTP/1.1 500 Oops\r\ncontent-length: 3\r\n\r\nbad", "GET", 500, b"bad", {}),
        (b"HTTP/1.1 599 Odd\r\ncontent-length: 0\r\n\r\n", "GET", 599, b"", {}),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "GET", 200, b"abc", {}),
        (b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nuntil the end", "GET", 200, b"until the end", {}),
        (b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + OK, "GET", 200, b"ok", {}),
    ],
)  # fmt: skip
async def test_status_fields_and_body_pass_unchanged(
    answer: bytes, method: str, status: int, body: bytes, fields: dict[str, str]
) -> None:
    async def play(peer: Peer) -> None:
        await peer.head()
        peer.send(answer)
        if b"connection: close" in answer:
            peer.close()

    async with gateway_before({"a": play}, one()) as front:
        got = await front.client.request(method, "/x")
        assert (got.status, got.body) == (status, body)
        for name, value in fields.items():
            assert got.headers[name] == value
        if b"x-a: 2" in answer:
            assert got.headers.get_all("x-a") == ["1", "2"]


async def test_request_body_and_trailers_go_on_as_they_come() -> None:
    seen: list[bytes] = []

    async def play(peer: Peer) -> None:
        head = await peer.head()
        seen.append(head)
        seen.append(await peer.until(b"0\r\n"))
        seen.append(await peer.until(b"\r\n\r\n"))
        peer.send(OK)

    async with gateway_before({"a": play}, one()) as front:
        raw = await front.dial()
        raw.write(
            b"POST /up HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n"
            b"3\r\nabc\r\n2\r\nde\r\n0\r\nx-sum: 5\r\n\r\n"
        )
        answer = await raw.read_until(b"ok")
        assert answer.startswith(b"HTTP/1.1 200")
    head, body, trailers = seen
    assert b"transfer-encoding: chunked\r\n" in head
    assert b"content-length" not in head
    assert b"abc" in body
    assert trailers == b"x-sum: 5\r\n\r\n"


async def test_a_stream_is_seen_as_it_comes_g13() -> None:
    """Server-sent events: each reaches the client before the next is made."""
    go_on = asyncio.Event()

    async def play(peer: Peer) -> None:
        await peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        for number in range(3):
            peer.send(b"9\r\ndata: %d\n\n\r\n" % number)
            await go_on.wait()
            go_on.clear()
        peer.send(b"0\r\n\r\n")

    async with (
        gateway_before({"a": play}, one(policies={"compress": True})) as front,
        front.client.stream("GET", "/events", headers={"accept-encoding": "gzip"}) as answer,
    ):
        seen: list[bytes] = []
        async for piece in answer:
            seen.append(piece)
            go_on.set()
        assert b"".join(seen) == b"data: 0\n\ndata: 1\n\ndata: 2\n\n"
        assert len(seen) == 3


# -- faults -----------------------------------------------------------------------------------------------------------


async def cut_in_head(peer: Peer) -> None:
    await peer.head()
    peer.send(b"HTTP/1.1 200 OK\r\nx-a")
    peer.close()


async def reset(peer: Peer) -> None:
    await peer.head()
    peer.abort()


async def silent(peer: Peer) -> None:
    await peer.gone()


@pytest.mark.parametrize(
    ("play", "status"),
    [
        (cut_in_head, 502),
        (reset, 502),
        (says(b"nonsense\r\n\r\n"), 502),
        (says(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"), 502),
        (says(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcdef"), 502),
        (says(b"HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\nabcde"), 502),
        (says(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"), 502),
        (silent, 504),
    ],
)
async def test_every_upstream_fault_is_told_apart(play: Callable[[Peer], Any], status: int) -> None:
    times = {"total": 0.6, "per_try": 0.3}
    async with gateway_before({"a": play}, one(retry=None, timeouts=times)) as front:
        got = await front.client.get("/")
        assert (got.status, got.headers["content-type"]) == (status, "application/problem+json")
        assert got.json()["status"] == status
        (endpoint,) = front.gateway.generation.upstreams["c"].cluster.endpoints
        assert endpoint.active == 0
        assert front.gateway.generation.upstreams["c"].in_flight == 0


async def test_a_refused_connection_is_503_and_another_endpoint_is_taken() -> None:
    def dead_first(urls: dict[str, str]) -> Mapping[str, Any]:
        return {
            "clusters": {
                "dead": {"endpoints": ["http://127.0.0.1:1"]},
                "c": {"endpoints": ["http://127.0.0.1:1", urls["a"]], "policy": "round_robin"},
            },
            "routes": {"d": {"cluster": "dead", "match": {"path": "/dead"}}, "r": {"cluster": "c"}},
        }

    async with gateway_before({"a": says(OK)}, dead_first) as front:
        got = await front.client.get("/dead")
        assert (got.status, got.headers["retry-after"]) == (503, "1")
        for _ in range(6):
            assert (await front.client.post("/", content=b"x" * 10)).status == 200, (
                "nothing was sent: POST too"
            )


async def test_a_body_cut_short_is_never_taken_for_whole() -> None:
    async def play(peer: Peer) -> None:
        await peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n" + b"x" * 50_000)
        await peer.flushed(0)
        peer.close()

    async with gateway_before({"a": play}, one()) as front:
        raw = await front.dial()
        raw.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        data = await raw.read_to_end()
        assert len(data) < 100_000
        assert front.gateway.generation.upstreams["c"].in_flight == 0


async def test_post_retried_blindly() -> None:
    """A POST that was sent is not sent again; a PUT is, with its body."""
    for method, count, status in (("POST", 1, 502), ("PUT", 2, 200), ("GET", 2, 200)):
        heads: list[bytes] = []

        async def play(peer: Peer, heads: list[bytes] = heads) -> None:
            heads.append(await peer.head())
            if peer.number == 0:
                peer.abort()
                return
            if b"content-length: 5" in heads[-1]:
                assert await peer.take(5) == b"hello"
            peer.send(OK)

        async with gateway_before({"a": play}, one()) as front:
            content = b"" if method == "GET" else b"hello"
            got = await front.client.request(method, "/", content=content)
            assert (got.status, len(heads)) == (status, count)


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_retry_g6_never_sends_half_a_body(streamed: bool) -> None:
    """A body too large to keep is streamed, and not sent twice; one that is kept is sent whole again."""
    bodies: list[bytes] = []

    async def play(peer: Peer) -> None:
        head = await peer.head()
        assert b"content-length: 2000000" in head
        if peer.number == 0:
            await peer.take(10)
            peer.abort()
            return
        bodies.append(await peer.take(2_000_000))
        peer.send(OK)

    buffer = 1000 if streamed else 4_000_000
    async with gateway_before({"a": play}, one(buffer=buffer)) as front:
        got = await front.client.put("/", content=b"x" * 2_000_000)
        assert got.status == (502 if streamed else 200)
        assert bodies == ([] if streamed else [b"x" * 2_000_000])


async def test_a_stale_connection_g5_is_replaced_unseen() -> None:
    async def play(peer: Peer) -> None:
        await peer.head()
        peer.send(OK)
        if peer.number == 0:
            await peer.head()
            peer.close()
            return
        while True:
            await peer.head()
            peer.send(OK)

    async with gateway_before({"a": play}, one()) as front:
        assert (await front.client.get("/")).status == 200
        assert (await front.client.get("/")).status == 200
        assert len(front.peers["a"]) == 2


async def test_retries_stay_within_the_budget_g7() -> None:
    budget = {"ratio": 0.1, "min_per_second": 0.0, "window": 10.0}
    busy = says(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n")
    cluster = {"retry_budget": budget, "outliers": None}
    async with gateway_before({"a": busy}, one(of_cluster=cluster)) as front:
        for _ in range(50):
            assert (await front.client.get("/")).status == 503
        stats = front.gateway.generation.routes["r"].stats
        assert stats.requests == 50
        assert stats.retries <= 5
        assert front.gateway.generation.upstreams["c"].budget.denied >= 45


async def test_a_timed_out_upstream_call_keeps_running() -> None:
    """The guide's sketch answers the client and forgets the call. Ours ends it."""
    closed = asyncio.Event()

    async def play(peer: Peer) -> None:
        await peer.head()
        await peer.gone()
        closed.set()

    times = {"total": 0.5, "per_try": 0.2}
    async with gateway_before({"a": play}, one(retry=None, timeouts=times)) as front:
        assert (await front.client.get("/")).status == 504
        async with asyncio.timeout(5):
            await closed.wait()


async def test_a_client_that_leaves_g18_takes_the_upstream_call_with_it() -> None:
    asked, closed = asyncio.Event(), asyncio.Event()

    async def play(peer: Peer) -> None:
        await peer.head()
        asked.set()
        await peer.gone()
        closed.set()

    async with gateway_before({"a": play}, one()) as front:
        raw = await front.dial()
        raw.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        await asked.wait()
        raw.close()
        async with asyncio.timeout(5):
            await closed.wait()
        upstream = front.gateway.generation.upstreams["c"]
        assert (upstream.in_flight, upstream.cluster.endpoints[0].active) == (0, 0)


async def test_overload_is_503_with_a_time() -> None:
    asked, release = asyncio.Event(), asyncio.Event()

    async def play(peer: Peer) -> None:
        await peer.head()
        asked.set()
        await release.wait()
        peer.send(OK)

    async with gateway_before({"a": play}, one(of_cluster={"max_requests": 1})) as front:
        first = asyncio.create_task(front.client.get("/"))
        await asked.wait()
        second = await front.client.get("/")
        assert (second.status, second.headers["retry-after"]) == (503, "1")
        release.set()
        assert (await first).status == 200


async def test_the_breaker_opens_and_answers_at_once() -> None:
    breaker = {"max_consecutive": 2, "min_calls": 100}
    bad = says(b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n")
    async with gateway_before(
        {"a": bad}, one(of_cluster={"breaker": breaker, "outliers": None}, retry=None)
    ) as front:
        assert [(await front.client.get("/")).status for _ in range(4)] == [500, 500, 503, 503]
        assert len(front.peers["a"]) == 1


# -- after a refusal nothing more runs --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policies", "status"),
    [
        ({"api_keys": [{"name": "a", "hash": "0" * 64}]}, 401),
        ({"deny": ["127.0.0.0/8"]}, 403),
        ({"maintenance": "back soon"}, 503),
        ({"max_body": 3}, 413),
        ({"fault": {"enabled": True, "abort": 418, "abort_part": 1.0}}, 418),
        ({"limits": {"all": {"quota": 1, "window": 60, "key": "all"}}}, 429),
        ({"jwt": {"algorithms": ["HS256"], "secret": "x" * 32}, "roles": ["admin"]}, 401),
    ],
)
async def test_after_a_401_the_request_still_goes_on(policies: dict[str, Any], status: int) -> None:
    """The guide's sketch sends the refusal and forwards all the same."""
    play = says(OK) if "limits" in policies else refuses
    async with gateway_before({"a": play}, one(policies=policies)) as front:
        if "limits" in policies:
            assert (await front.client.post("/", content=b"hello")).status == 200
        before = len(front.peers["a"])
        got = await front.client.post("/", content=b"hello")
        assert (got.status, got.headers["content-type"]) == (status, "application/problem+json")
        assert len(front.peers["a"]) == before


# -- tunnels ----------------------------------------------------------------------------------------------------------

UPGRADE = (
    b"GET /ws HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


async def switches(peer: Peer) -> None:
    head = await peer.head()
    assert b"upgrade: websocket\r\n" in head
    assert b"sec-websocket-key" in head
    peer.send(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\nfirst")
    while True:
        data = await peer.take(4)
        peer.send(data.upper())


async def test_tunnels_pass_bytes_both_ways_and_outlive_reloads() -> None:
    async with gateway_before({"a": switches}, one()) as front:
        raw = await front.dial()
        raw.write(UPGRADE + b"ping")
        assert (await raw.read_until(b"PING")).endswith(b"\r\n\r\nfirstPING")
        upstream = front.gateway.generation.upstreams["c"]
        assert upstream.in_flight == 1
        config = front.gateway.generation.config
        more = RouteConfig(match=Match(path="/more"), cluster="c", strip="/more")
        changed = msgspec.structs.replace(config, routes={**config.routes, "more": more})
        for _ in range(20):
            await front.gateway.reload(changed)
            await front.gateway.reload(config)
        raw.write(b"pong")
        assert await raw.read_until(b"PONG") == b"PONG"
        assert front.gateway.generation.upstreams["c"] is upstream
        raw.close()
        async with asyncio.timeout(5):
            await upstream.emptied()
        assert upstream.cluster.endpoints[0].active == 0


@pytest.mark.parametrize("side", ["client", "upstream"])
async def test_tunnels_g14_end_from_either_side(side: str) -> None:
    async def play(peer: Peer) -> None:
        await peer.head()
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n")
        assert await peer.take(4) == b"data"
        if side == "upstream":
            peer.send(b"bye")
            peer.close()
        else:
            await peer.gone()

    async with gateway_before({"a": play}, one()) as front:
        raw = await front.dial()
        raw.write(UPGRADE + b"data")
        if side == "upstream":
            assert (await raw.read_to_end()).endswith(b"\r\n\r\nbye")
        else:
            await raw.read_until(b"\r\n\r\n")
            raw.close()
        upstream = front.gateway.generation.upstreams["c"]
        async with asyncio.timeout(5):
            await upstream.emptied()


async def test_a_denied_upgrade_is_an_answer_like_any() -> None:
    deny = says(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno")
    async with gateway_before({"a": deny}, one()) as front:
        raw = await front.dial()
        raw.write(UPGRADE)
        assert (await raw.read_until(b"no")).startswith(b"HTTP/1.1 403")


def of(front: Front) -> int:
    return front.gateway.generation.number


async def test_a_reload_that_is_wrong_changes_nothing() -> None:
    async with gateway_before({"a": says(OK)}, one()) as front:
        config = front.gateway.generation.config
        broken = msgspec.structs.replace(config, clusters={})
        with pytest.raises(SetupError, match="there is no cluster 'c'"):
            await front.gateway.reload(broken)
        assert of(front) == 1
        assert (await front.client.get("/")).status == 200
