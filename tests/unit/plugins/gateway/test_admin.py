"""Operators: who may ask, what they are told, what they can do; and several workers as one."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from framework.plugins.gateway.admin_api import admin_app, shown
from framework.plugins.gateway.config import AdminConfig, GatewayConfig
from framework.plugins.gateway.crew import Action, Crew, meeting
from framework.plugins.gateway.gateway import Event, Gateway
from framework.plugins.gateway.reporting import joined, state_of
from framework.plugins.gateway.service import GatewayService
from framework.plugins.gateway.source import Source
from framework.plugins.ratelimit.engine import MemoryEngine
from framework.testing import TestClient
from tests.support.browser import browsing, needs_chromium

pytestmark = pytest.mark.anyio

TOKEN = "a token of operators"
CONFIG: dict[str, Any] = {
    "clusters": {"c": {"endpoints": ["http://127.0.0.1:1", "http://127.0.0.1:2"], "breaker": {}}},
    "routes": {
        "r": {
            "cluster": "c",
            "policies": {
                "limits": {"all": {"quota": 3, "key": "all"}},
                "jwt": {"algorithms": ["HS256"], "secret": "very-secret-very-secret-very-secret"},
                "api_keys": [{"name": "a", "hash": "f" * 64}],
            },
        }
    },
}


def made() -> Gateway:
    return Gateway(
        msgspec.convert(CONFIG, GatewayConfig, dec_hook=_secret), engine=MemoryEngine(), secret=b"x" * 32
    )


def _secret(kind: type[Any], value: Any) -> Any:
    return kind(value)


def served(gateway: Gateway, **config: Any) -> TestClient:
    crew = Crew(GatewayService(gateway, None))
    app = admin_app(crew, msgspec.convert(config, AdminConfig, dec_hook=_secret))
    return TestClient(app, transport="socket", base_headers={"host": "localhost"})


async def test_an_operator_shows_the_token_and_strangers_get_nothing() -> None:
    async with served(made(), host="0.0.0.0", token=TOKEN) as client:
        for path in ("/state", "/config", "/endpoints", "/events"):
            got = await client.get(path)
            assert (got.status, got.headers["www-authenticate"]) == (401, "Bearer")
            assert (await client.get(path, headers={"authorization": "Bearer no"})).status == 401
        assert (await client.post("/reload")).status == 401
        assert (await client.get("/")).status == 200  # the page itself tells nothing
        assert (await client.get("/state", headers={"authorization": f"Bearer {TOKEN}"})).status == 200


async def test_a_listener_for_others_needs_a_token() -> None:
    for host in ("0.0.0.0", "::", "10.0.0.1", "example.com"):
        with pytest.raises(ValueError, match="token"):
            AdminConfig(host=host)
    assert AdminConfig(host="::1").token is None


async def test_without_a_token_pages_of_strangers_get_nothing() -> None:
    """A name of theirs that points here, and a form that they send here."""
    gateway = made()
    async with served(gateway) as client:
        assert (await client.get("/state", headers={"host": "evil.example"})).status == 421
        body = json.dumps({"endpoint": "http://127.0.0.1:1"}).encode()
        fields = {"content-type": "application/json"}
        for own in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
            got = await client.post("/clusters/c/drain", content=body, headers={**fields, **own})
            assert got.status == 403
        assert all(one.available for one in gateway.generation.upstreams["c"].cluster.endpoints)


async def test_operators_drain_readmit_reset_and_are_told() -> None:
    gateway = made()
    upstream = gateway.generation.upstreams["c"]
    one, other = upstream.cluster.endpoints
    async with served(gateway) as client:

        async def told(path: str, endpoint: str | None = None) -> int:
            content = b"" if endpoint is None else json.dumps({"endpoint": endpoint}).encode()
            fields = {} if endpoint is None else {"content-type": "application/json"}
            return (await client.post(path, content=content, headers=fields)).status

        assert await told("/clusters/c/drain", one.key) == 200
        assert {upstream.begin(None, ()).endpoint for _ in range(20)} == {other}
        assert (await client.get("/endpoints")).json()["c"][0]["why"] == "it is being drained"
        assert await told("/clusters/c/undrain", one.key) == 200
        assert one.available
        assert upstream.breaker is not None
        for _ in range(30):
            upstream.breaker.failed(upstream.breaker.enter(0.0), 0.0)
        assert (await client.get("/state")).json()["clusters"]["c"]["breaker"]["state"] == "open"
        assert await told("/clusters/c/reset") == 200
        assert upstream.breaker.state.value == "closed"
        assert await told("/clusters/c/readmit", one.key) == 200
        assert await told("/clusters/nobody/drain", one.key) == 404
        assert await told("/clusters/c/drain", "http://nobody") == 404
        assert await told("/clusters/c/explode", one.key) in (400, 404, 422)
        assert [event.text for event in gateway.events if event.what == "c"][-1] == f"readmit {one.key}"
        got = await client.post("/reload")
        assert (got.status, got.json()[0]["generation"]) == (422, 1)


async def test_the_configuration_is_shown_without_its_secrets() -> None:
    async with served(made()) as client:
        got = await client.get("/config")
    assert b"very-secret" not in got.body
    assert b"fff" not in got.body
    policies = got.json()["routes"]["r"]["policies"]
    assert (policies["jwt"]["secret"], policies["api_keys"][0]["hash"]) == ("***", "***")
    assert shown(made().generation.config)["clusters"]["c"]["endpoints"][0] == "http://127.0.0.1:1"


async def test_several_workers_are_one_to_operators(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two crews of one supervisor, as two processes have them: told apart by their pids."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    one, other = made(), made()
    one.generation.routes["r"].stats.count(200, 0.01, 1)
    other.generation.routes["r"].stats.count(503, 0.02, 3)
    async with meeting(GatewayService(one, None), 2, "9901") as first:
        with monkeypatch.context() as patch:
            patch.setattr("os.getpid", lambda: 4711)
            await _seen_from_the_second(one, other)
        assert len((await first.state()).workers) == 1
    assert left_in(tmp_path) == []


def left_in(folder: Path) -> list[Path]:
    return list(folder.rglob("*.sock"))


async def _seen_from_the_second(one: Gateway, other: Gateway) -> None:
    async with meeting(GatewayService(other, None), 2, "9901") as second:
        state = await second.state()
        route = state.routes["r"]
        assert (route.requests, route.statuses, route.retries) == (2, [0, 0, 1, 0, 0, 1], 2)
        assert len(state.workers) == 2
        key = "http://127.0.0.1:1"
        outcomes = await second.act(Action("drain", "c", key))
        assert [each.known for each in outcomes] == [True, True]
        for gateway in (one, other):
            endpoint = gateway.generation.upstreams["c"].cluster.endpoints[0]
            assert not endpoint.available
        assert not state_of(one).clusters["c"].endpoints[key].available


FILE = """
[gateway.clusters.c]
endpoints = ["http://127.0.0.1:1"]

[gateway.routes.r]
cluster = "c"
"""
MORE = "[gateway.routes.more]\ncluster = 'c'\nmatch.path = '/more'\n"


@asynccontextmanager
async def crew_of_two(
    files: Sequence[Path], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[tuple[Crew, Crew]]:
    """The second under another pid, which the first knows it by."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    gateways = [Gateway(Source([file], {}).read(), engine=MemoryEngine(), secret=b"x" * 32) for file in files]
    services = [
        GatewayService(gateway, Source([file], {})) for gateway, file in zip(gateways, files, strict=True)
    ]
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(meeting(services[0], 2, "9901"))
        with monkeypatch.context() as patch:
            patch.setattr("os.getpid", lambda: 4711)
            second = await stack.enter_async_context(meeting(services[1], 2, "9901"))
        yield first, second
        for gateway in gateways:
            await gateway.close()


async def test_the_first_worker_to_see_a_change_has_all_of_them_take_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(FILE)
    async with crew_of_two([file, file], tmp_path, monkeypatch) as (first, second):
        file.write_text(FILE + MORE)
        await second.service.on_change()
        for crew in (first, second):
            assert sorted(crew.gateway.generation.routes) == ["more", "r"]
        file.write_text(FILE + MORE.replace("'c'", "'nobody'"))
        await second.service.on_change()
        await first.service.on_change()  # it saw the change as well: there is nothing left to do
        said = [record for record in caplog.records if "is not taken" in record.getMessage()]
        assert len(said) == 2
        state = await first.state()
        assert [one.generation for one in state.workers] == [2, 2]
        assert all("there is no cluster 'nobody'" in one.problems[0] for one in state.workers)
        file.write_text(FILE)
        await first.service.on_change()
        told = [(one.generation, list(one.problems)) for one in (await second.state()).workers]
        assert told == [(3, [])] * 2


async def test_operators_see_which_worker_refused_a_reload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has a file of its own here, as if it had been changed between them."""
    one, other = tmp_path / "one.toml", tmp_path / "other.toml"
    for file in (one, other):
        file.write_text(FILE)
    async with crew_of_two([one, other], tmp_path, monkeypatch) as (first, _):
        app = admin_app(first, AdminConfig())
        async with TestClient(app, transport="socket", base_headers={"host": "localhost"}) as client:
            one.write_text(FILE + MORE)
            other.write_text(FILE + "[gateway.routes.r.more]\n")
            got = await client.post("/reload")
            assert got.status == 422
            mine, others = got.json()
            assert (mine["worker"], mine["generation"], mine["problems"]) == (os.getpid(), 2, [])
            assert (others["worker"], others["generation"]) == (4711, 1)
            assert "other.toml:7" in others["problems"][0]
            workers = {each["pid"]: each for each in (await client.get("/state")).json()["workers"]}
            assert workers[os.getpid()] == {"pid": os.getpid(), "generation": 2, "problems": []}
            assert workers[4711] == {"pid": 4711, "generation": 1, "problems": others["problems"]}
            other.write_text(FILE + MORE)
            assert (await client.post("/reload")).status == 200
            assert (await client.get("/state")).json()["workers"][1]["problems"] == []


async def test_operators_see_a_worker_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(FILE)

    async def hangs_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with crew_of_two([file, file], tmp_path, monkeypatch) as (first, _):
        path = tmp_path / f"framework-gateway-{os.getuid()}" / f"{os.getppid()}-9901-4712.sock"
        server = await asyncio.start_unix_server(hangs_up, str(path))
        try:
            told = {
                each.pid: (each.generation, list(each.problems)) for each in (await first.state()).workers
            }
            assert told == {
                os.getpid(): (1, []),
                4711: (1, []),
                4712: (None, ["this worker does not answer"]),
            }
            app = admin_app(first, AdminConfig())
            async with TestClient(app, transport="socket", base_headers={"host": "localhost"}) as client:
                for way, body in (
                    ("/reload", b""),
                    ("/clusters/c/drain", b'{"endpoint":"http://127.0.0.1:1"}'),
                ):
                    got = await client.post(
                        way, content=body, headers={"content-type": "application/json"} if body else {}
                    )
                    assert got.status == 504
                    silent = next(each for each in got.json() if each["worker"] == 4712)
                    assert (silent["known"], silent["generation"]) == (False, None)
        finally:
            server.close()
            path.unlink()


async def test_joined_counts_add_up_and_the_worst_is_told() -> None:
    one, other = made(), made()
    cluster = other.generation.upstreams["c"].cluster
    cluster.drain(cluster.endpoints[0])
    state = joined([state_of(one), state_of(other)])
    told = state.clusters["c"].endpoints["http://127.0.0.1:1"]
    assert (told.available, told.why) == (False, "it is being drained")


def test_what_all_workers_tell_in_one_moment_is_told_once() -> None:
    def events(*times: float) -> Any:
        told = [Event(at, "gateway", "generation 2", good=True) for at in times]
        return msgspec.structs.replace(
            state_of(made()), events=[*told, Event(101.5, "c", "is out", good=False)]
        )

    found = joined([events(100.0, 200.0), events(101.0, 202.0), events(102.0, 260.0)]).events
    assert [(event.at, event.what) for event in found] == [
        (100.0, "gateway"),
        (101.5, "c"),
        (200.0, "gateway"),
        (260.0, "gateway"),
    ]


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_dashboard_shows_it_live(scheme: str) -> None:
    gateway = made()
    stats = gateway.generation.routes["r"].stats
    async with served(gateway, token=TOKEN) as client, browsing(color_scheme=scheme) as visit:
        assert client.server is not None
        page = visit.page
        await page.goto(client.server.urls[0])
        await page.fill("#token", "not the one at all")
        await page.click("#login button")
        await page.wait_for_selector("#refused:text('not the right one')")
        visit.complaints.clear()  # the browser's own word on the 401
        await page.fill("#token", TOKEN)
        await page.click("#login button")
        await page.wait_for_selector("#live.good")
        counting = asyncio.create_task(_counting(stats))
        try:
            await page.wait_for_selector("#rate polygon >> nth=1")
            await page.wait_for_selector("#routes td:has-text('r')")
            await page.click("tr:has-text('http://127.0.0.1:1') button:text('Drain')")
            await page.wait_for_selector("tr:has-text('http://127.0.0.1:1') >> text=it is being drained")
            await page.wait_for_selector("#changes >> text=drain http://127.0.0.1:1")
            await page.click("#reload")
            await page.wait_for_selector("#toast.bad >> text=not from a file")
            width = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
        finally:
            counting.cancel()
        assert width <= 0
        assert visit.hosts == {client.server.urls[0].removeprefix("http://")}
        assert [one for one in visit.complaints if "422" not in one] == []


@needs_chromium
async def test_the_dashboard_shows_workers_that_refused_the_file(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(FILE)
    service = GatewayService(made(), Source([file], {}))
    app = admin_app(Crew(service), AdminConfig())
    async with TestClient(app, transport="socket") as client, browsing() as visit:
        assert client.server is not None
        await visit.page.goto(client.server.urls[0])
        await visit.page.wait_for_selector("#live.good")
        assert await visit.page.is_hidden("#refusal")
        file.write_text(FILE + "broken")
        assert (await service.reload()).problems
        await visit.page.wait_for_selector("#refusal:text('of 1 workers: 1 refused the file')")
        assert "gateway.toml" in (await visit.page.get_attribute("#refusal", "title") or "")
        file.write_text(FILE)
        await service.reload()
        await visit.page.wait_for_selector("#refusal", state="hidden")
        assert visit.complaints == []


async def _counting(stats: Any) -> None:
    while True:
        stats.count(200, 0.004, 1)
        stats.count(503, 0.2, 2)
        await asyncio.sleep(0.01)
