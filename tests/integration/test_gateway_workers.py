"""Two workers of one gateway, each a process: one change, one answer to operators."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from framework.errors import FrameworkError
from framework.net.client import HTTPClient
from tests.support.browser import browsing, needs_chromium
from tests.support.gateways import Line
from tests.support.load import Load
from tests.support.ports import free_port
from tests.support.scripted import Peer, listening
from tests.support.served import workers_of
from tests.support.upstreams import gateway_process, get, toml_of, users_app

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]


@pytest.fixture
def anyio_backend() -> str:
    """The processes are what is tested; how the test runs is no matter."""
    return "asyncio"


async def test_two_workers_reload_together_and_are_one_to_operators(tmp_path: Path) -> None:
    async with users_app(tmp_path, 1) as (instance,):
        file = tmp_path / "gateway.toml"
        admin = free_port()
        file.write_text(toml_of([instance.port], admin=admin))
        async with gateway_process(file, "--workers", "2") as gateway:
            async with Load(gateway.port, target="/users", clients=8, per_connection=5) as load:
                await load.more(100)
                _, state = await get(admin, "/state")
                assert len(state["workers"]) == 2
                assert state["routes"]["r"]["requests"] >= 100
                key = f"http://127.0.0.1:{instance.port}"
                more = '[gateway.routes.more]\ncluster = "c"\nmatch.path = "/more"\n'
                file.write_text(toml_of([instance.port], admin=admin, more=more))
                while await served_by(admin) != [2, 2]:
                    await load.more(10)
                assert load.failures == Counter()
            async with HTTPClient() as client:
                url = f"http://127.0.0.1:{admin}/clusters/c/drain"
                answer = await client.post(url, json={"endpoint": key})
                assert [one["known"] for one in json.loads(await answer.read())] == [True, True]
                text = await (await client.get(f"http://127.0.0.1:{admin}/metrics")).read(1_000_000)
            told = re.search(rb'gateway_route_requests_total{route="r",status="2xx"} ([0-9.]+)', text)
            assert told is not None
            assert float(told[1]) >= load.answered  # of both
            for _ in range(6):
                assert (await get(gateway.port, "/users"))[0] == 503


async def served_by(admin: int) -> list[int]:
    """The generation of each worker."""
    _, state = await get(admin, "/state")
    return [one["generation"] for one in state["workers"]]


async def answers(port: int, paths: Sequence[str], *, times: int = 12) -> dict[str, set[int]]:
    """The statuses of a path over that many connections, which the kernel shares out among the workers."""
    return {path: {(await get(port, path))[0] for _ in range(times)} for path in paths}


@pytest.mark.parametrize("admin_too", [True, False], ids=["operators", "no operators"])
async def test_an_edited_file_reaches_both_workers_at_one_time(tmp_path: Path, *, admin_too: bool) -> None:
    async with users_app(tmp_path, 1) as (instance,):
        file = tmp_path / "gateway.toml"
        admin = free_port()

        def write(route: str) -> None:
            text = toml_of([instance.port], admin=admin, route=route)
            file.write_text(text if admin_too else text.replace(f"[gateway.admin]\nport = {admin}\n", ""))

        write('match.path = "/users"')
        async with gateway_process(file, "--workers", "2") as gateway:
            assert await answers(gateway.port, ["/users", "/people"]) == {"/users": {200}, "/people": {404}}
            write('match.path = "/people"\nrewrite = "/users{rest}"')
            for _ in range(2):
                await gateway.says("generation 2: 1 routes, 1 clusters")
            assert await answers(gateway.port, ["/users", "/people"]) == {"/users": {404}, "/people": {200}}
            write('cluster_ = "x"')
            for _ in range(2):
                await gateway.says(r"the new configuration is not taken: .*cluster_.*gateway\.toml:\d+")
            assert await answers(gateway.port, ["/users", "/people"]) == {"/users": {404}, "/people": {200}}
            if admin_too:
                _, state = await get(admin, "/state")
                for worker in state["workers"]:
                    assert worker["generation"] == 2
                    assert "cluster_" in worker["problems"][0]


async def test_an_operators_reload_reaches_both_workers_and_tells_what_each_did(tmp_path: Path) -> None:
    async with users_app(tmp_path, 1) as (instance,):
        file = tmp_path / "gateway.toml"
        admin = free_port()

        def write(route: str) -> None:
            text = toml_of([instance.port], admin=admin, route=route)
            file.write_text(text.replace("[gateway.admin]", "[gateway]\nwatch = false\n[gateway.admin]"))

        async def reload() -> tuple[int, list[dict[str, Any]]]:
            async with HTTPClient() as client:
                answer = await client.post(f"http://127.0.0.1:{admin}/reload")
                return answer.status, json.loads(await answer.read())

        write('match.path = "/users"')
        async with gateway_process(file, "--workers", "2") as gateway:
            assert await served_by(admin) == [1, 1]
            write('match.path = "/people"\nrewrite = "/users{rest}"')
            status, outcomes = await reload()
            assert status == 200
            assert sorted(one["worker"] for one in outcomes) == workers_of(gateway.pid)
            assert [(one["generation"], one["problems"]) for one in outcomes] == [(2, [])] * 2
            assert await answers(gateway.port, ["/users", "/people"]) == {"/users": {404}, "/people": {200}}
            write('cluster_ = "x"')
            status, outcomes = await reload()
            assert status == 422
            for one in outcomes:
                assert one["generation"] == 2
                assert re.search(r"cluster_.*gateway\.toml:\d+", one["problems"][0])
            assert await answers(gateway.port, ["/users", "/people"]) == {"/users": {404}, "/people": {200}}


async def ok(peer: Peer) -> None:
    while True:
        await peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")


async def first_event(admin: int) -> dict[str, Any]:
    line = Line(*await asyncio.open_connection("127.0.0.1", admin))
    line.write(b"GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n")
    data = await line.read_until(b"}\n\n")
    await line.closed()
    return json.loads(data[data.index(b"data: ") + 6 :])


async def test_figures_for_operators_are_of_both_workers_whoever_tells_them(tmp_path: Path) -> None:
    """Each request on a connection of its own, which the kernel shares out: no worker alone has seen them all."""
    async with listening(ok) as (address, _):
        file = tmp_path / "gateway.toml"
        admin = free_port()
        file.write_text(toml_of([int(address.rpartition(":")[2])], admin=admin))
        async with gateway_process(file, "--workers", "2") as gateway:
            for _ in range(40):
                assert (await get(gateway.port, "/"))[0] == 200
            for state in ((await get(admin, "/state"))[1], await first_event(admin)):
                assert [one["pid"] for one in state["workers"]] == workers_of(gateway.pid)
                assert (state["routes"]["r"]["requests"], state["routes"]["r"]["statuses"][2]) == (40, 40)
                assert sum(state["routes"]["r"]["buckets"].values()) == 40
                assert state["clusters"]["c"]["endpoints"][f"http://{address}"]["started"] == 40
            assert (await get(admin, "/endpoints"))[1]["c"][0]["started"] == 40
            assert (
                b'gateway_route_requests_total{route="r",status="2xx"} 40.0'
                in (await get(admin, "/metrics"))[1]
            )
            # The one that has the listener is killed: the other takes it over, and sees the successor.
            async with HTTPClient() as client:
                teller = json.loads(await (await client.post(f"http://127.0.0.1:{admin}/reload")).read())[0]
            before = workers_of(gateway.pid)
            os.kill(teller["worker"], signal.SIGKILL)
            async with asyncio.timeout(30):
                while not await seen(admin, set(before) - {teller["worker"]}, 2):
                    pass
            for _ in range(10):
                assert (await get(gateway.port, "/"))[0] == 200
            _, state = await get(admin, "/state")
            assert 10 <= state["routes"]["r"]["requests"] < 50  # of those who serve
            text = (await get(admin, "/metrics"))[1]
            assert b'gateway_route_requests_total{route="r",status="2xx"}' in text


async def seen(admin: int, among: set[int], count: int) -> bool:
    """Whether an operator is told of that many workers that answer, and of these among them."""
    try:
        _, state = await get(admin, "/state")
    except (OSError, FrameworkError):
        await asyncio.sleep(0.05)  # a process tells nobody that it listens
        return False
    found = {one["pid"] for one in state["workers"] if one["generation"] is not None}
    return among < found and len(found) == count == len(state["workers"])


@needs_chromium
async def test_the_dashboard_shows_both_workers_as_one(tmp_path: Path) -> None:
    async with listening(ok) as (address, _):
        file = tmp_path / "gateway.toml"
        admin = free_port()
        text = toml_of([int(address.rpartition(":")[2])], admin=admin)
        file.write_text(text)
        async with gateway_process(file, "--workers", "2") as gateway, browsing() as visit:
            for _ in range(40):
                assert (await get(gateway.port, "/"))[0] == 200
            page = visit.page
            await page.goto(f"http://127.0.0.1:{admin}")
            await page.wait_for_selector("#facts:text('generation 1  ·  2 workers')")
            await page.wait_for_selector("#routes tr:has(td:text-is('r')) td:last-child:text-is('40')")
            file.write_text(text + "broken")
            await page.click("#reload")
            await page.wait_for_selector("#toast.bad >> text=gateway.toml")
            await page.wait_for_selector("#refusal:text('of 2 workers: 2 refused the file')")
            assert [one for one in visit.complaints if "422" not in one] == []
