"""Metrics over HTTP: what is counted, under which labels, and who may add to it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from framework import App, HTTPError, Request, Response, Scope, StreamingResponse
from framework.errors import DeadlineExceeded, PluginError, RemoteProtocolError, ResourceError
from framework.middleware.chain import Hooks, Phase
from framework.plugins.metrics import Metrics
from framework.testing import TestClient

pytestmark = pytest.mark.anyio
Labels = dict[str, str]


def make_app(**options: Any) -> App:
    app = App()
    app.install(Metrics(**options))

    @app.get("/users/{id:int}")
    async def user(id: int) -> str:
        return "x" * id

    @app.post("/echo")
    async def echo(request: Request) -> bytes:
        return await request.body()

    @app.get("/fail")
    async def fail() -> None:
        raise ValueError

    @app.get("/teapot")
    async def teapot() -> None:
        raise HTTPError(418)

    @app.get("/stream")
    async def stream() -> AsyncGenerator[bytes]:
        yield b"abc"
        yield b"de"

    return app


async def scrape(client: TestClient) -> dict[str, list[tuple[Labels, float]]]:
    answer = await client.get("/metrics")
    assert answer.status == 200
    found: dict[str, list[tuple[Labels, float]]] = {}
    parse: Any = parse_text
    for family in parse(answer.text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


async def value(client: TestClient, name: str, **labels: str) -> float:
    samples = (await scrape(client)).get(name, [])
    return sum(number for found, number in samples if labels.items() <= found.items())


async def test_metric_labels_from_raw_paths() -> None:
    """Row 23: whatever paths and methods clients make up, the number of series stays what the routes make it."""
    async with TestClient(make_app()) as client:
        for number in range(100):
            await client.get(f"/users/{number}")
            await client.get(f"/nothing/{number}")
            await client.get(f"/users/%ZZ{number}")
            await client.request(f"METHOD{number}", f"/users/{number}")
            await client.request(f"METHOD{number}", f"/nothing/{number}")
        samples = (await scrape(client))["http_requests_total"]
    assert sorted(
        (labels["method"], labels["route"], labels["status"], count) for labels, count in samples
    ) == [
        ("GET", "/users/{id:int}", "200", 100),
        ("GET", "unmatched", "400", 100),
        ("GET", "unmatched", "404", 100),
        ("other", "unmatched", "404", 100),
        ("other", "unmatched", "405", 100),
    ]


async def test_made_up_methods_leave_nothing_in_memory() -> None:
    from framework.plugins.metrics.requests import RequestMetrics
    from framework.testing import fake_request

    metrics = RequestMetrics([1.0])
    for number in range(1000):
        request = fake_request(f"METHOD{number}")
        metrics.before(request)
        metrics.after(request, Response())
    assert sum(map(len, metrics._routes.values())) == 1


async def test_a_method_of_a_route_is_a_label_of_its_own() -> None:
    app = make_app()

    @app.route("/cache", methods=["PURGE"])
    async def purge() -> None: ...

    async with TestClient(app) as client:
        await client.request("PURGE", "/cache")
        assert await value(client, "http_requests_total", method="PURGE", route="/cache", status="204") == 1


async def test_sizes_durations_and_statuses() -> None:
    async with TestClient(make_app()) as client:
        await client.get("/users/10")
        await client.head("/users/10")
        await client.post("/echo", content=b"12345")
        for path in ("/fail", "/teapot"):
            await client.get(path)
        assert (
            await value(client, "http_response_size_bytes_sum", method="GET", route="/users/{id:int}") == 10
        )
        assert await value(client, "http_response_size_bytes_sum", method="HEAD") == 0
        assert await value(client, "http_request_size_bytes_sum", route="/echo") == 5
        assert await value(client, "http_requests_total", route="/fail", status="500") == 1
        assert await value(client, "http_requests_total", route="/teapot", status="418") == 1
        found = await scrape(client)
    buckets = [
        (float(labels["le"]), count)
        for labels, count in found["http_request_duration_seconds_bucket"]
        if labels["route"] == "/users/{id:int}" and labels["method"] == "GET"
    ]
    assert buckets == sorted(buckets)
    assert buckets[-1] == (float("inf"), 1)
    assert all(0 < total < 5 for _, total in found["http_request_duration_seconds_sum"])


async def test_a_body_that_comes_in_pieces_is_counted_too() -> None:
    async def pieces() -> AsyncGenerator[bytes]:
        yield b"123"
        yield b"45"

    async with TestClient(make_app()) as client:
        await client.post("/echo", content=pieces())
        assert await value(client, "http_request_size_bytes_sum", route="/echo") == 5


async def test_a_stream_is_in_progress_until_its_end() -> None:
    go = asyncio.Event()
    app = make_app()

    @app.get("/slow")
    async def slow() -> AsyncGenerator[bytes]:
        yield b"1"
        await go.wait()
        yield b"234"

    async with TestClient(app) as client:
        async with client.stream("GET", "/slow") as incoming:
            assert await anext(aiter(incoming)) == b"1"
            assert await value(client, "http_requests_in_progress", route="/slow") == 1
            assert await value(client, "http_requests_total", route="/slow") == 1
            go.set()
            assert [piece async for piece in incoming] == [b"234"]
        assert await value(client, "http_requests_in_progress", route="/slow") == 0
        assert await value(client, "http_response_size_bytes_sum", route="/slow") == 4


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError(), 500),
        (HTTPError(404), 404),
        (RemoteProtocolError("x", 408), 408),
        (DeadlineExceeded("x", 1), 504),
        (ResourceError("x"), 503),
    ],
)
async def test_a_stream_that_fails_ahead_of_its_first_piece_is_an_error(
    error: Exception, status: int
) -> None:
    app = make_app()

    @app.get("/torn")
    async def torn() -> AsyncGenerator[bytes]:
        if error is not None:
            raise error
        yield b""

    async with TestClient(app) as client:
        assert (await client.get("/torn")).status == status
        assert await value(client, "http_requests_total", route="/torn", status=str(status)) == 1
        assert await value(client, "http_requests_total", route="/torn") == 1
        assert await value(client, "http_requests_in_progress", route="/torn") == 0


async def test_an_event_stream_is_counted_before_its_first_event() -> None:
    app = make_app()

    @app.get("/events")
    async def events() -> StreamingResponse:
        async def none_yet() -> AsyncGenerator[bytes]:
            await asyncio.Event().wait()
            yield b""

        return StreamingResponse(none_yet(), media_type="text/event-stream")

    async with TestClient(app) as client:
        async with client.stream("GET", "/events") as incoming:
            assert incoming.status == 200
            assert await value(client, "http_requests_total", route="/events", status="200") == 1
            assert await value(client, "http_requests_in_progress", route="/events") == 1
        await asyncio.sleep(0)


async def test_a_stream_nobody_wants_is_over_at_once() -> None:
    async with TestClient(make_app()) as client:
        await client.head("/stream")
        assert await value(client, "http_requests_in_progress", route="/stream") == 0
        async with client.stream("GET", "/stream"):
            pass  # the client leaves before the body
        assert await value(client, "http_requests_in_progress", route="/stream") == 0


class Fails(Hooks):
    def after(self, request: Request, response: Response) -> None:
        if request.raw_path == "/users/1":
            raise ValueError("a hook that fails")


class Answers(Hooks):
    def before(self, request: Request) -> Response | None:
        return Response(status=429) if request.raw_path == "/users/2" else None


class Replaces(Hooks):
    def after(self, request: Request, response: Response) -> Response | None:
        return Response("other") if request.raw_path == "/stream" else None


@pytest.mark.parametrize("phase", [Phase.EDGE, Phase.POLICY])
async def test_requests_that_hooks_end_are_counted(phase: Phase) -> None:
    app = make_app()
    for hooks in (Fails(), Answers(), Replaces()):
        app.use(hooks, phase)
    async with TestClient(app) as client:
        assert [(await client.get(path)).status for path in ("/users/1", "/users/2", "/stream")] == [
            500,
            429,
            200,
        ]
        assert await value(client, "http_requests_total", route="/users/{id:int}", status="429") == 1
        assert await value(client, "http_requests_in_progress") == 1, "the scrape itself"
        if phase is Phase.POLICY:  # further in than the metrics, which see the error then
            assert await value(client, "http_requests_total", status="500") == 1


async def test_a_status_that_cannot_be_sent_is_counted_as_what_is() -> None:
    app = make_app()

    @app.get("/odd")
    async def odd(status: int) -> Response:
        return Response(status=status)

    async with TestClient(app) as client:
        for status in range(1000, 1100):
            assert (await client.get(f"/odd?status={status}")).status == 500
        samples = [labels["status"] for labels, _ in (await scrape(client))["http_requests_total"]]
        assert samples == ["500"]


async def test_the_server_and_the_process_are_measured() -> None:
    app = make_app(info={"release": "7"})
    began = asyncio.Event()
    go = asyncio.Event()

    @app.get("/wait")
    async def wait(request: Request) -> None:
        request.background(go.wait)
        began.set()
        await go.wait()

    async with TestClient(app) as client:
        waiting = asyncio.ensure_future(client.get("/wait"))
        await began.wait()
        found = await scrape(client)
        assert found["framework_connections"] == [({}, 2)]
        assert found["framework_handlers_suspended"][0][1] in (1, 2), "the one that waits; perhaps the scrape"
        assert found["framework_tasks_parked"][0][1] >= 1
        assert found["framework_background_tasks"] == [({}, 0)]
        assert found["framework_build_info"][0][0]["release"] == "7"
        assert found["process_resident_memory_bytes"][0][1] > 1e6
        assert "python_gc_collections_total" in found
        go.set()
        await waiting


async def test_what_never_becomes_a_request_is_counted() -> None:
    async with TestClient(make_app()) as client:
        connection = await client.connect()
        connection.send("GET", b"no request at all\r\n\r\n")
        assert (await connection.response()).status == 400
        assert await value(client, "framework_refused_total", status="400") == 1


async def test_a_late_loop_is_measured() -> None:
    import time

    app = make_app()

    @app.get("/block")
    async def block() -> None:
        time.sleep(0.02)  # noqa: ASYNC251

    async with TestClient(app, settings={"metrics.lag_interval": 0.001}) as client:
        while not await value(client, "framework_event_loop_lag_seconds_sum") >= 0.015:
            await client.get("/block")
    async with TestClient(
        make_app(), settings={"metrics.lag_interval": 0.0, "metrics.process": False}
    ) as client:
        found = await scrape(client)
        assert "framework_event_loop_lag_seconds_count" not in found
        assert "process_resident_memory_bytes" not in found


class Orders:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.placed = Counter("orders", "Orders placed.", ["kind"], registry=registry)


async def test_an_app_adds_metrics_of_its_own() -> None:
    app = make_app()
    app.provide(Orders, scope=Scope.APP)

    @app.post("/orders")
    async def place(orders: Orders) -> None:
        orders.placed.labels("book").inc()

    for _ in range(2):  # each start has a registry of its own
        async with TestClient(app) as client:
            await client.post("/orders")
            assert await value(client, "orders_total", kind="book") == 1


async def test_two_apps_share_nothing_unless_told_to() -> None:
    async with TestClient(make_app()) as one, TestClient(make_app()) as other:
        await one.get("/users/1")
        assert await value(other, "http_requests_total", route="/users/{id:int}") == 0
    shared = CollectorRegistry()
    Counter("mine", "Mine.", registry=shared).inc(3)
    async with TestClient(make_app(registry=shared)) as client:
        assert await value(client, "mine_total") == 3
    left = [metric.name for metric in shared.collect()]
    assert left == ["mine"], "what the app registered went with it"


async def test_mounted_apps_are_counted_with_their_prefix() -> None:
    inner = App()

    @inner.get("/items/{id:int}")
    async def item(id: int) -> str:
        return ""

    app = make_app()
    app.mount("/shop", inner)
    async with TestClient(app) as client:
        await client.get("/shop/items/3")
        assert await value(client, "http_requests_total", route="/shop/items/{id:int}") == 1


async def test_openmetrics_for_those_who_ask() -> None:
    prometheus = (
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
        "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
        "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
    )
    async with TestClient(make_app()) as client:
        await client.get("/users/1")
        answer = await client.get("/metrics", headers={"accept": prometheus})
        assert (answer.headers.get("content-type") or "").startswith(
            "application/openmetrics-text; version=1.0.0"
        )
        assert answer.text.endswith("# EOF\n")
        parse: Any = parse_openmetrics
        names = {family.name for family in parse(answer.text)}
        assert {"http_requests", "http_request_duration_seconds", "framework_build_info"} <= names
        plain = await client.get("/metrics", headers={"accept": "text/html, */*;q=0.1"})
        assert plain.headers.get("content-type") == "text/plain; version=0.0.4; charset=utf-8"


async def test_scrapes_at_once() -> None:
    async with TestClient(make_app()) as client:
        answers = await asyncio.gather(*(client.get("/metrics") for _ in range(20)))
        assert {answer.status for answer in answers} == {200}


async def test_it_can_be_elsewhere_or_not_at_all() -> None:
    async with TestClient(make_app(), settings={"metrics.path": "/internal/metrics"}) as client:
        assert (await client.get("/internal/metrics")).status == 200
    async with TestClient(make_app(), settings={"metrics.enabled": False}) as client:
        assert (await client.get("/metrics")).status == 404


@pytest.mark.parametrize("buckets", [[0.0, 1.0], [1.0, 1.0], [2.0, 1.0], [-1.0]])
def test_buckets_rise(buckets: list[float]) -> None:
    with pytest.raises(PluginError, match=re.escape("metrics.buckets")):
        make_app().build(environ={}, overrides={"metrics.buckets": buckets})


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(PluginError, match=r"framework\[metrics\]"):
        make_app().build(environ={})


async def test_streams_may_be_made_by_hand() -> None:
    app = make_app()

    @app.get("/hand")
    async def hand() -> StreamingResponse:
        async def pieces() -> AsyncGenerator[str]:
            yield "é"

        return StreamingResponse(pieces(), length=2)

    async with TestClient(app) as client:
        assert (await client.get("/hand")).text == "é"
        assert await value(client, "http_response_size_bytes_sum", route="/hand") == 2
