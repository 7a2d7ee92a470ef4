"""Other configurations while requests go through: what is closed, what stays, what is left behind."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from framework.plugins.gateway import Gateway, GatewayConfig
from framework.plugins.gateway.service import GatewayService
from framework.plugins.gateway.source import Source
from framework.plugins.ratelimit.engine import MemoryEngine
from framework.testing import run_virtual
from tests.support.gateways import gateway_before
from tests.support.scripted import Peer

pytestmark = pytest.mark.anyio

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def configured(**tree: Any) -> GatewayConfig:
    return msgspec.convert(tree, GatewayConfig)


def gateway_of(config: GatewayConfig, **options: Any) -> Gateway:
    return Gateway(config, engine=MemoryEngine(), secret=b"x" * 32, **options)


def sockets() -> int:
    return sum(
        os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
        for name in os.listdir("/proc/self/fd")
        if os.path.islink(f"/proc/self/fd/{name}")
    )


def test_a_thousand_reloads_g9_leave_nothing_behind() -> None:
    """Each makes a cluster with probes, look-ups, a breaker and limits anew, and puts the last one away."""

    def tree(number: int) -> GatewayConfig:
        probe = {"path": "/health", "interval": 1.0 + number % 2, "timeout": 0.1}
        limit = {"quota": 5 + number % 3, "window": 1.0}
        return configured(
            clusters={
                "c": {"endpoints": ["http://127.0.0.1:1"], "probe": probe, "breaker": {}},
                "named": {"endpoints": ["dns+http://localhost:1"], "refresh_interval": 1.0 + number % 2},
            },
            routes={
                "r": {"cluster": "c", "policies": {"limits": {"all": limit}}},
                "n": {"cluster": "named", "match": {"path": "/n"}},
            },
        )

    async def main() -> None:
        gateway = gateway_of(tree(0), retire_grace=0.5)
        await gateway.open()
        await asyncio.sleep(5)
        before = len(asyncio.all_tasks()), sockets()
        kept = gateway.generation.upstreams["named"]
        for number in range(1, 1001):
            await gateway.reload(tree(number))
            await asyncio.sleep(0.01)
        await asyncio.sleep(5)
        assert gateway.retiring == ()
        assert (len(asyncio.all_tasks()), sockets()) == before
        assert gateway.generation.upstreams["named"] is kept
        assert gateway.generation.number == 1001
        await gateway.close()
        await asyncio.sleep(1)
        assert len(asyncio.all_tasks()) == 1
        del gateway, kept
        gc.collect()

    run_virtual(main())


async def test_a_reload_g15_closes_no_stream_not_even_of_a_cluster_that_is_replaced() -> None:
    go = asyncio.Event()

    async def play(peer: Peer) -> None:
        await peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        peer.send(b"5\r\nfirst\r\n")
        await go.wait()
        peer.send(b"4\r\nlast\r\n0\r\n\r\n")

    def config(urls: dict[str, str]) -> dict[str, Any]:
        return {"clusters": {"c": {"endpoints": [urls["a"]]}}, "routes": {"r": {"cluster": "c"}}}

    async with gateway_before({"a": play}, config) as front:
        raw = await front.dial()
        raw.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        await raw.read_until(b"first")
        old = front.gateway.generation.upstreams["c"]
        before = front.gateway.generation.config
        changed = msgspec.structs.replace(before.clusters["c"], max_connections=7)
        await front.gateway.reload(msgspec.structs.replace(before, clusters={"c": changed}))
        assert front.gateway.generation.upstreams["c"] is not old
        assert list(front.gateway.retiring) == [old]
        go.set()
        await raw.read_until(b"last\r\n0\r\n\r\n")
        await old.emptied()
        await front.gateway.reload(msgspec.structs.replace(before, clusters={}, routes={}))
        assert (await front.client.get("/")).status == 404


async def test_a_reload_that_fails_leaves_clusters_as_they_were() -> None:
    """What the next generation would have taken over was not changed by the attempt."""

    async def play(peer: Peer) -> None:
        while True:
            await peer.head()
            peer.send(OK)

    def config(urls: dict[str, str]) -> dict[str, Any]:
        return {"clusters": {"c": {"endpoints": [urls["a"]]}}, "routes": {"r": {"cluster": "c"}}}

    async with gateway_before({"a": play}, config) as front:
        before = front.gateway.generation.config
        moved = msgspec.structs.replace(before.clusters["c"], endpoints=("http://127.0.0.1:1",))
        broken = msgspec.convert({"cluster": "nobody's"}, type(before.routes["r"]))
        wrong = msgspec.structs.replace(before, clusters={"c": moved}, routes={"r": broken})
        with pytest.raises(Exception, match="there is no cluster"):
            await front.gateway.reload(wrong)
        upstream = front.gateway.generation.upstreams["c"]
        assert upstream.config is before.clusters["c"]
        assert (await front.client.get("/")).status == 200


FILE = """
[gateway.clusters.c]
endpoints = ["http://127.0.0.1:1"]

[gateway.routes.r]
cluster = "c"
"""


def test_the_file_is_watched_and_a_broken_one_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(FILE)
    source = Source([file], {})

    async def seconds(count: float) -> None:
        for _ in range(int(count * 20)):
            await asyncio.sleep(0.05)
            await asyncio.to_thread(lambda: None)  # the watcher looks by a thread

    async def main() -> None:
        gateway = gateway_of(source.read())
        await gateway.open()
        async with GatewayService(gateway, source) as service:
            await seconds(2)
            assert gateway.generation.number == 1
            file.write_text(FILE + "[gateway.routes.more]\ncluster = 'c'\nmatch.path = '/more'\n")
            await seconds(4)
            assert sorted(gateway.generation.routes) == ["more", "r"]
            file.write_text(FILE + "[gateway.routes.bad]\ncluster = 'd'\nmatch.path = '/more'\n")
            await seconds(4)
            assert gateway.generation.number == 2
            assert not gateway.events[-1].good
            said = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
            assert said == [
                f"the new configuration is not taken: gateway.routes.bad: there is no cluster 'd' ({file}:7)"
            ]
            file.unlink()
            await seconds(3)
            assert gateway.generation.number == 2
            replaced = tmp_path / "new.toml"
            replaced.write_text(FILE)
            replaced.rename(file)  # as editors write
            await seconds(4)
            assert sorted(gateway.generation.routes) == ["r"]
            assert (await service.reload()).problems == ()
        await gateway.close()

    run_virtual(main())


def test_limits_of_one_process_are_refused_where_several_serve_after_a_reload_too() -> None:
    limited = {"r": {"cluster": "c", "policies": {"limits": {"all": {"quota": 1}}}}}
    clusters = {"c": {"endpoints": ["http://127.0.0.1:1"]}}
    plain = configured(clusters=clusters, routes={"r": {"cluster": "c"}})

    async def main() -> None:
        gateway = gateway_of(plain, workers=2)
        with pytest.raises(Exception, match=r"routes\.r: its limits would be counted by each of 2 workers"):
            await gateway.reload(configured(clusters=clusters, routes=limited))

    asyncio.run(main())
