"""Health, metrics, traces and logs together: over real sockets, and over several real processes."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import sys
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client.parser import text_string_to_metric_families

from framework import App
from framework.plugins.health import Health
from framework.plugins.logs import Logging
from framework.plugins.metrics import Metrics
from framework.plugins.tracing import Tracing
from framework.testing import TestClient
from tests.support.served import fetch, served, workers_of

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

SHOP = """
import os
import signal

from framework import App
from framework.plugins.health import Health
from framework.plugins.metrics import Metrics

app = App()
app.install(Health())
app.install(Metrics())


@app.get("/")
def pid() -> str:
    return str(os.getpid())


@app.get("/die")
def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # of the clients; the workers choose theirs


@pytest.fixture
def counted(tmp_path: Path) -> Path:
    (tmp_path / "counted.py").write_text(SHOP)
    return tmp_path


async def scraped(port: int) -> dict[tuple[str, str], float]:
    """Samples by name and route, added up over their other labels."""
    status, text = await fetch(port, "/metrics")
    assert status == 200, text
    found: dict[tuple[str, str], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = sample.name, sample.labels.get("route", "")
            found[key] = found.get(key, 0.0) + sample.value
    return found


REQUESTS = ("http_requests_total", "/")


async def test_metrics_of_all_workers_are_one(counted: Path) -> None:
    async with served("counted:app", counted) as server:
        pids = [(await fetch(server.port))[1] for _ in range(40)]
        assert len(set(pids)) == 2
        for _ in range(8):  # whichever is asked
            found = await scraped(server.port)
            assert found[REQUESTS] == 40
        buckets = ("http_request_duration_seconds_bucket", "/")
        assert found[buckets] > 40
        assert found[("http_request_duration_seconds_count", "/")] == 40
        assert found[("process_resident_memory_bytes", "")] > 30e6, "of two processes"


async def test_scrapes_at_the_same_time(counted: Path) -> None:
    async with served("counted:app", counted) as server:
        for _ in range(10):
            await fetch(server.port)
        found = await asyncio.gather(*(scraped(server.port) for _ in range(16)))
        assert {each[REQUESTS] for each in found} == {10}


async def test_reloads_and_crashes_lose_no_count(counted: Path) -> None:
    async with served("counted:app", counted) as server:
        for _ in range(20):
            await fetch(server.port)
        assert (await scraped(server.port))[REQUESTS] == 20
        server.signal(signal.SIGHUP)
        await server.says("serving: ")
        for _ in range(5):
            await fetch(server.port)
        assert (await scraped(server.port))[REQUESTS] == 25
        before = set(workers_of(server.pid))
        with pytest.raises((ConnectionError, EOFError)):
            await fetch(server.port, "/die")
        await server.says("SIGKILL")
        await server.says("is ready")
        assert len(before & set(workers_of(server.pid))) == 1
        assert (await scraped(server.port))[REQUESTS] == 25


async def test_a_worker_that_hangs_does_not_hold_up_the_scrape(counted: Path) -> None:
    async with served("counted:app", counted) as server:
        for _ in range(40):
            await fetch(server.port)
        await scraped(server.port)
        stopped, _ = workers_of(server.pid)
        os.kill(stopped, signal.SIGSTOP)
        try:
            for _ in range(20):
                try:
                    async with asyncio.timeout(4):
                        found = await scraped(server.port)
                        break
                except TimeoutError:
                    continue  # the connection went to the one that is stopped
            assert found[REQUESTS] == 40
        finally:
            os.kill(stopped, signal.SIGCONT)


async def test_everything_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    app = App()
    for plugin in (Logging(), Metrics(), Tracing(provider=provider), Health()):
        app.install(plugin)

    @app.get("/bug")
    async def bug() -> None:
        await asyncio.sleep(0)
        raise LookupError("oh")

    settings = {"tracing.enabled": True, "logging.format": "json", "logging.access": "always"}
    async with TestClient(app, transport="socket", settings=settings) as client:
        parent = "00-12345678901234567890123456789012-1234567890123456-01"
        answer = await client.get("/bug", headers={"traceparent": parent})
        assert answer.status == 500
        assert (await client.get("/readyz")).status == 200
        metrics = (await client.get("/metrics")).text
    [span] = exporter.get_finished_spans()
    assert span.context is not None
    [error, access] = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert error["trace_id"] == access["trace_id"] == f"{span.context.trace_id:032x}"
    assert error["span_id"] == access["span_id"] == f"{span.context.span_id:016x}"
    assert error["request_id"] == access["request_id"] == answer.json()["request_id"]
    assert 'http_requests_total{method="GET",route="/bug",status="500"} 1.0' in metrics
