"""The gateway as a process of its own, before real servers that are killed, frozen, slow, and come back."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from framework.net.client import HTTPClient
from tests.support.gateways import Line
from tests.support.load import Load
from tests.support.ports import free_port
from tests.support.scripted import Peer, listening
from tests.support.upstreams import gateway_process, get, needs_nginx, nginx, toml_of, users_app

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]


@pytest.fixture
def anyio_backend() -> str:
    """The processes are what is tested; how the test runs is no matter."""
    return "asyncio"


# -- faults under load ------------------------------------------------------------------------------------------------


async def test_killing_an_instance_loses_no_idempotent_request(tmp_path: Path) -> None:
    """Three instances, one killed under load and started again, twice; every GET is answered 200."""
    async with users_app(tmp_path, 3) as instances:
        file = tmp_path / "gateway.toml"
        file.write_text(toml_of([one.port for one in instances], admin=(admin := free_port())))
        async with gateway_process(file) as gateway, Load(gateway.port, target="/users", clients=6) as load:
            await load.more(200)
            for _ in range(2):
                await instances[1].kill()
                await load.more(400)
                await instances[1].start()
                await load.more(200)
            assert load.failures == Counter()
            _, state = await get(admin, "/state")
            route = state["routes"]["r"]
            assert route["statuses"][5] == 0
            assert route["retries"] >= 1


async def test_no_post_is_done_twice_when_an_instance_is_killed(tmp_path: Path) -> None:
    """Users are made while instances die. Each address is made at most once; what was answered 201 is there."""
    async with users_app(tmp_path, 2) as instances:
        file = tmp_path / "gateway.toml"
        file.write_text(toml_of([one.port for one in instances]))
        outcomes: Counter[int] = Counter()
        made: list[str] = []
        async with gateway_process(file) as gateway, HTTPClient() as client:
            url = f"http://127.0.0.1:{gateway.port}/users"
            count = iter(range(10_000))

            async def make() -> None:
                while (number := next(count)) < 240:
                    email = f"u{number}@example.com"
                    user = {"email": email, "name": "U", "password": "correct horse battery"}
                    answer = await client.post(url, json=user)
                    await answer.read()
                    outcomes[answer.status] += 1
                    if answer.status == 201:
                        made.append(email)
                    if number == 80:
                        await instances[1].kill()

            await asyncio.gather(*(make() for _ in range(6)))
            # 409 would be a second try at a user that the first had made.
            assert set(outcomes) <= {201, 502}, outcomes
            assert outcomes[502] <= 6, (
                outcomes
            )  # at most those that were under way at the one that was killed
            found: list[str] = []
            after = "?limit=100"
            while True:
                page = json.loads(await (await client.get(url + after)).read())
                found += [one["email"] for one in page["items"]]
                if page["next"] is None:
                    break
                after = f"?limit=100&after={page['next']}"
        assert set(made) <= set(found)
        assert len(found) == len(set(found))
        assert len(found) <= len(made) + outcomes[502]


async def test_a_frozen_instance_costs_one_try_each_until_it_is_out(tmp_path: Path) -> None:
    async with users_app(tmp_path, 3) as instances:
        file = tmp_path / "gateway.toml"
        cluster = "outliers = { max_consecutive_local = 2, base_ejection = 30.0 }"
        times = "timeouts = { per_try = 0.3, total = 10.0 }"
        file.write_text(
            toml_of(
                [one.port for one in instances], cluster=cluster, route=times, admin=(admin := free_port())
            )
        )
        async with gateway_process(file) as gateway, Load(gateway.port, target="/users", clients=6) as load:
            await load.more(100)
            instances[0].signal(signal.SIGSTOP)
            try:
                await load.more(1000)
            finally:
                instances[0].signal(signal.SIGCONT)
            assert load.failures == Counter()
            _, state = await get(admin, "/state")
            assert state["routes"]["r"]["retries"] <= 12
            frozen = state["clusters"]["c"]["endpoints"][f"http://127.0.0.1:{instances[0].port}"]
            assert frozen["ejections"] == 1


async def test_a_flapping_instance_is_ejected_for_longer_each_time_and_nothing_is_lost(
    tmp_path: Path,
) -> None:
    """Every second request of one instance is cut: a raw server that misbehaves beside a good one."""

    async def flaps(peer: Peer) -> None:
        while True:
            await peer.head()
            if peer.number % 2:
                peer.abort()
                return
            peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
            peer.close()
            return

    async def good(peer: Peer) -> None:
        while True:
            await peer.head()
            peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    async with listening(flaps) as (one, peers), listening(good) as (other, _):
        file = tmp_path / "gateway.toml"
        ports = [int(address.rpartition(":")[2]) for address in (one, other)]
        cluster = (
            "outliers = { min_requests = 10, failure_rate = 0.3, interval = 0.5, base_ejection = 0.5 }\n"
            "retry_budget = { ratio = 0.5 }"  # a quarter of all requests fails at first
        )
        file.write_text(toml_of(ports, cluster=cluster, admin=(admin := free_port())))
        async with gateway_process(file) as gateway, Load(gateway.port, clients=4) as load:
            await load.more(3000)
            while True:
                _, state = await get(admin, "/state")
                if state["clusters"]["c"]["endpoints"][f"http://{one}"]["ejections"] >= 2:
                    break
                await load.more(100)
            assert load.failures == Counter()
            assert len(peers) < load.answered / 2


# -- reloads under load -----------------------------------------------------------------------------------------------


async def test_a_hundred_reloads_under_load_fail_no_request_and_close_no_websocket(tmp_path: Path) -> None:
    """Half of them change the very cluster that is asked: it is made anew each time."""

    async def play(peer: Peer) -> None:
        head = await peer.head()
        if b"upgrade: websocket" in head:
            peer.send(
                b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"
            )
            while True:
                peer.send((await peer.take(4)).upper())
        while True:
            peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            head = await peer.head()

    async with listening(play) as (address, _):
        port = int(address.rpartition(":")[2])
        file = tmp_path / "gateway.toml"
        admin = free_port()

        def write(number: int) -> None:
            extra = f'[gateway.routes.x]\ncluster = "c"\nmatch.path = "/x{number}"\n'
            new = tmp_path / "new.toml"
            new.write_text(
                toml_of([port], cluster=f"max_connections = {100 + number // 2}", admin=admin, more=extra)
            )
            new.rename(file)

        write(0)
        async with gateway_process(file) as gateway, sockets(gateway.port, 20) as lines:
            async with Load(gateway.port, clients=6) as load, HTTPClient() as client:
                await load.more(50)
                for number in range(1, 101):
                    write(number)
                    answer = await client.post(f"http://127.0.0.1:{admin}/reload")
                    assert (answer.status, json.loads(await answer.read())[0]["problems"]) == (200, [])
                    await load.more(20)
                assert load.failures == Counter()
            _, state = await get(admin, "/state")
            assert [one["generation"] for one in state["workers"]] == [101]
            assert state["routes"]["r"]["statuses"][5] == 0
            for line in lines:
                line.write(b"ping")
                assert await line.read_until(b"PING") == b"PING"


@asynccontextmanager
async def sockets(port: int, count: int) -> AsyncGenerator[list[Line]]:
    lines: list[Line] = []
    try:
        for _ in range(count):
            line = Line(*await asyncio.open_connection("127.0.0.1", port))
            lines.append(line)
            line.write(
                b"GET /ws HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
                b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            assert b" 101 " in await line.read_until(b"\r\n\r\n")
        yield lines
    finally:
        for line in lines:
            await line.closed()


@pytest.mark.parametrize("how", ["change", "SIGHUP"])
async def test_editing_the_file_changes_the_routes(tmp_path: Path, how: str) -> None:
    async with users_app(tmp_path, 1) as (instance,):
        file = tmp_path / "gateway.toml"
        file.write_text(toml_of([instance.port], route='match.path = "/users"'))
        async with gateway_process(file) as gateway:
            assert (await get(gateway.port, "/users"))[0] == 200
            assert (await get(gateway.port, "/people"))[0] == 404
            moved = 'match.path = "/people"\nrewrite = "/users{rest}"'
            file.write_text(toml_of([instance.port], route=moved))
            if how == "SIGHUP":
                gateway.signal(signal.SIGHUP)
            await gateway.says("generation 2: 1 routes, 1 clusters")
            assert (await get(gateway.port, "/people"))[0] == 200
            assert (await get(gateway.port, "/users"))[0] == 404
            file.write_text(toml_of([instance.port], route='cluster_ = "x"'))
            await gateway.says(r"the new configuration is not taken: .*cluster_.*gateway\.toml:\d+")
            assert (await get(gateway.port, "/people"))[0] == 200


# -- nginx as the upstream --------------------------------------------------------------------------------------------


@needs_nginx
async def test_what_nginx_says_comes_through(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(range(256)) * 40_000)
    locations = (
        f"root {tmp_path}; location /big {{ }} location /gone {{ return 410 'gone'; }}"
        "location /moved { return 301 http://elsewhere/; } location /none { return 204; }"
        "location /echo { return 200 '$http_host|$http_x_forwarded_for|$http_via|$request_uri'; }"
    )
    async with nginx(tmp_path, locations) as server:
        file = tmp_path / "gateway.toml"
        file.write_text(toml_of([server.port]))
        async with gateway_process(file) as gateway, HTTPClient() as client:
            base = f"http://127.0.0.1:{gateway.port}"
            answer = await client.get(f"{base}/big")
            assert await answer.read(20_000_000) == (tmp_path / "big").read_bytes()
            etag = answer.headers["etag"]
            answer = await client.get(f"{base}/big", headers={"range": "bytes=5-9"})
            assert (answer.status, await answer.read()) == (206, bytes(range(5, 10)))
            answer = await client.get(f"{base}/big", headers={"if-none-match": etag})
            assert (answer.status, await answer.read()) == (304, b"")
            answer = await client.request("HEAD", f"{base}/big")
            assert (answer.status, answer.headers["content-length"]) == (200, "10240000")
            await answer.read()
            for path, status in (("/gone", 410), ("/none", 204), ("/missing", 404)):
                answer = await client.get(base + path)
                await answer.read()
                assert answer.status == status
            host = f"127.0.0.1:{gateway.port}"
            for target in ("/echo/a%20b?c=d%2F", "/echo/a%2fb%20c", "/echo/%2F?d"):
                echo = await (await client.get(base + target)).read()
                assert echo.decode() == f"{host}|127.0.0.1|1.1 gateway|{target}"


async def test_metrics_and_the_access_log_tell_of_route_endpoint_and_upstream(tmp_path: Path) -> None:
    async with users_app(tmp_path, 1) as (instance,):
        file = tmp_path / "gateway.toml"
        text = toml_of([instance.port]).replace("[gateway.admin]\nport = 0", "[gateway]\naccess_log = true")
        file.write_text(text)
        async with gateway_process(file) as gateway:
            await get(gateway.port, "/users?secret=1")
            line = json.loads((await gateway.says(r'(\{.*"event":"request".*\})'))[1])
            assert (line["route"], line["cluster"], line["status"]) == ("gateway:r", "c", 200)
            assert line["endpoint"] == f"http://127.0.0.1:{instance.port}"
            assert 0 < line["upstream_ms"] <= line["ms"]
            assert "secret" not in json.dumps(line)
            text = (await get(gateway.port, "/metrics"))[1].decode()
            assert 'gateway_route_requests_total{route="r",status="2xx"} 1.0' in text
            endpoint = rf'cluster="c",endpoint="http://127\.0\.0\.1:{instance.port}",result="ok"'
            assert re.search(rf"gateway_endpoint_requests_total{{{endpoint}}} 1\.0", text)
