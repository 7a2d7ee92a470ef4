"""One span for each request, as the semantic conventions say, and nothing left behind."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from opentelemetry.propagate import inject
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Sampler
from opentelemetry.trace import SpanKind, StatusCode, Tracer, get_current_span

from framework import App, HTTPError, Request, Response
from framework.errors import PluginError
from framework.middleware.chain import Hooks, Phase
from framework.middleware.trace_context import trace_of
from framework.plugins.tracing import Tracing
from framework.testing import TestClient

pytestmark = pytest.mark.anyio

TRACE_ID = "12345678901234567890123456789012"
PARENT = f"00-{TRACE_ID}-1234567890123456-01"


class Traced:
    """An app with spans that are kept in memory."""

    def __init__(self, sampler: Sampler | None = None, settings: dict[str, Any] | None = None) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.app = App()
        self.app.install(Tracing(provider=provider))
        self._settings = {"tracing.enabled": True, **(settings or {})}

    def client(self) -> TestClient:
        return TestClient(self.app, settings=self._settings)

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    @property
    def span(self) -> ReadableSpan:
        [span] = self.spans
        return span


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def has_current_span() -> bool:
    return get_current_span().get_span_context().is_valid


async def test_a_request_is_one_span() -> None:
    traced = Traced()

    @traced.app.get("/users/{id:int}")
    async def user(id: int) -> str:
        return "x"

    async with traced.client() as client:
        await client.get("/users/7?token=secret", headers={"user-agent": "tests", "host": "example.com:8080"})
    span = traced.span
    assert span.name == "GET /users/{id:int}"
    assert span.kind is SpanKind.SERVER
    assert span.parent is None
    assert span.status.status_code is StatusCode.UNSET
    found = attributes(span)
    assert found.pop("client.address")
    assert found == {
        "http.request.method": "GET",
        "http.route": "/users/{id:int}",
        "url.path": "/users/7",
        "url.scheme": "http",
        "network.protocol.version": "1.1",
        "http.response.status_code": 200,
        "server.address": "example.com",
        "server.port": 8080,
        "user_agent.original": "tests",
    }


async def test_it_goes_on_in_the_trace_of_the_caller() -> None:
    traced = Traced()
    outgoing: dict[str, str] = {}
    logged: list[str] = []

    @traced.app.get("/")
    async def call(request: Request) -> None:
        inject(outgoing)
        logged.append(trace_of(request).traceparent)

    async with traced.client() as client:
        await client.get("/", headers={"traceparent": PARENT, "tracestate": "a=1", "baggage": "user=7"})
    span = traced.span
    assert span.context is not None
    assert span.parent is not None
    assert f"{span.context.trace_id:032x}" == TRACE_ID
    assert f"{span.parent.span_id:016x}" == "1234567890123456"
    assert outgoing == {
        "traceparent": f"00-{TRACE_ID}-{span.context.span_id:016x}-01",
        "tracestate": "a=1",
        "baggage": "user=7",
    }
    assert logged == [outgoing["traceparent"]]


async def test_a_malformed_parent_is_ignored() -> None:
    traced = Traced()
    async with traced.client() as client:
        for malformed in (f"{PARENT}-x", PARENT.replace("9", "A"), f"{PARENT}\r\ntraceparent: {PARENT}"):
            connection = await client.connect()
            connection.send("GET", f"GET / HTTP/1.1\r\nhost: x\r\ntraceparent: {malformed}\r\n\r\n".encode())
            assert (await connection.response()).status == 404
    assert [span.parent for span in traced.spans] == [None] * 3


@pytest.mark.parametrize("suspends", [False, True])
async def test_the_span_is_current_in_the_handler_and_nowhere_else(suspends: bool) -> None:
    traced = Traced()
    seen: list[tuple[str, bool]] = []

    @traced.app.get("/")
    async def handler(tracer: Tracer) -> None:
        seen.append(("handler", has_current_span()))
        if suspends:
            await asyncio.sleep(0)
        with tracer.start_as_current_span("inner"):
            await asyncio.create_task(child())

    async def child() -> None:
        seen.append(("child", has_current_span()))

    async with traced.client() as client:
        for _ in range(3):
            await client.get("/")
            parked = [client.server.core.runners.spare]
            assert all(runner.clean for runner in parked), "the Context of the parked Task came out clean"
        await client.get("/nothing")
        seen.append(("outside", has_current_span()))
    assert seen == [("handler", True), ("child", True)] * 3 + [("outside", False)]
    inner, outer = traced.spans[0], traced.spans[1]
    assert inner.parent is not None
    assert outer.context is not None
    assert (inner.name, inner.parent.span_id) == ("inner", outer.context.span_id)


async def test_requests_at_the_same_time_have_each_their_own() -> None:
    traced = Traced()
    met = asyncio.Barrier(2)
    names: dict[str, str] = {}

    @traced.app.get("/{name}")
    async def handler(name: str) -> None:
        before = get_current_span().get_span_context().span_id
        await met.wait()
        assert get_current_span().get_span_context().span_id == before
        names[name] = f"{before:016x}"

    async with traced.client() as client:
        await asyncio.gather(client.get("/a"), client.get("/b"))
    assert len(set(names.values())) == 2
    assert {f"{span.context.span_id:016x}" for span in traced.spans if span.context} == set(names.values())


async def test_errors() -> None:
    traced = Traced()

    @traced.app.get("/bug")
    async def bug() -> None:
        raise LookupError("oh")

    @traced.app.get("/refused")
    async def refused() -> None:
        raise HTTPError(404)

    @traced.app.get("/busy")
    async def busy() -> Response:
        return Response(status=503)

    async with traced.client() as client:
        for path in ("/bug", "/refused", "/busy"):
            await client.get(path)
    bug_span, refused_span, busy_span = traced.spans
    assert bug_span.status.status_code is StatusCode.ERROR
    assert attributes(bug_span)["error.type"] == "builtins.LookupError"
    assert [event.name for event in bug_span.events] == ["exception"]
    assert attributes(bug_span)["http.response.status_code"] == 500
    assert refused_span.status.status_code is StatusCode.UNSET
    assert "error.type" not in attributes(refused_span)
    assert busy_span.status.status_code is StatusCode.ERROR
    assert attributes(busy_span)["error.type"] == "503"
    assert busy_span.events == ()


async def test_answers_that_no_handler_gave_have_a_span_too() -> None:
    class Guard(Hooks):
        def before(self, request: Request) -> Response | None:
            return Response(status=401)

    traced = Traced()
    traced.app.use(Guard(), Phase.POLICY)
    traced.app.get("/secret")(lambda: "x")
    async with traced.client() as client:
        await client.get("/secret")
        await client.get("/nothing")
        await client.request("BREW", "/secret")
    assert [(span.name, attributes(span)["http.response.status_code"]) for span in traced.spans] == [
        ("GET /secret", 401),
        ("GET", 401),
        ("HTTP", 401),
    ]
    brewed = attributes(traced.spans[2])
    assert (brewed["http.request.method"], brewed["http.request.method_original"]) == ("_OTHER", "BREW")


async def test_a_stream_is_part_of_its_request() -> None:
    traced = Traced()
    seen: list[bool] = []
    finished: list[int] = []

    @traced.app.get("/")
    async def stream() -> AsyncGenerator[bytes]:
        for piece in (b"a", b"b"):
            seen.append(has_current_span())
            finished.append(len(traced.spans))
            yield piece

    async with traced.client() as client:
        assert (await client.get("/")).body == b"ab"
        assert all(runner.clean for runner in [client.server.core.runners.spare])
    assert seen == [True, True]
    assert finished == [0, 0], "the span ends with the body"
    assert len(traced.spans) == 1


async def test_a_stream_that_fails_is_an_error() -> None:
    traced = Traced()

    @traced.app.get("/")
    async def stream() -> AsyncGenerator[bytes]:
        yield b"a"
        raise OSError("torn")

    async with traced.client() as client:
        with pytest.raises(Exception):  # noqa: B017, PT011 - how the client tells of a torn body is its own matter
            await client.get("/")
    assert attributes(traced.span)["error.type"] == "builtins.OSError"
    assert traced.span.status.status_code is StatusCode.ERROR


async def test_a_stream_that_fails_ahead_of_its_first_piece_tells_what_was_answered() -> None:
    traced = Traced()

    @traced.app.get("/")
    async def stream(fail: bool = True) -> AsyncGenerator[bytes]:
        if fail:
            raise HTTPError(503)
        yield b"a"

    async with traced.client() as client:
        assert (await client.get("/")).status == 503
    assert attributes(traced.span)["http.response.status_code"] == 503
    assert traced.span.status.status_code is StatusCode.ERROR


async def test_the_client_behind_a_trusted_proxy() -> None:
    traced = Traced(settings={"server.trusted_proxies": ["10.0.0.0/8", "127.0.0.0/8"]})
    fields = {
        "x-forwarded-for": "203.0.113.9",
        "x-forwarded-proto": "https",
        "x-forwarded-host": "[2001:db8::1]:444",
    }
    async with traced.client() as client:
        await client.get("/", headers=fields)
    found = attributes(traced.span)
    assert found["client.address"] == "203.0.113.9"
    assert found["url.scheme"] == "https"
    assert (found["server.address"], found["server.port"]) == ("[2001:db8::1]", 444)


async def test_an_unsampled_request_is_carried_but_not_kept() -> None:
    traced = Traced(ALWAYS_OFF)
    outgoing: dict[str, str] = {}

    @traced.app.get("/")
    async def call() -> None:
        inject(outgoing)

    async with traced.client() as client:
        await client.get("/")
    assert traced.spans == []
    assert int(outgoing["traceparent"][-2:], 16) & 1 == 0


async def test_without_a_tracer_of_the_process_the_trace_of_the_caller_is_passed_on() -> None:
    outgoing: dict[str, str] = {}
    spans: list[str] = []
    app = App()
    app.install(Tracing())

    @app.get("/")
    async def call(request: Request) -> None:
        inject(outgoing)
        spans.append(trace_of(request).span_id)

    async with TestClient(app, settings={"tracing.enabled": True}) as client:
        await client.get("/", headers={"traceparent": PARENT})
    assert outgoing == {"traceparent": PARENT}
    assert spans != ["1234567890123456"]


async def test_probes_have_none() -> None:
    traced = Traced()
    traced.app.get("/healthz")(lambda: "alive")
    async with traced.client() as client:
        await client.get("/healthz")
    assert traced.spans == []


async def test_it_is_off_by_default_and_then_costs_nothing() -> None:
    app = App()
    app.install(Tracing())

    @app.get("/")
    async def handler(tracer: Tracer) -> str:
        with tracer.start_as_current_span("inner") as span:
            return str(span.is_recording())

    runtime = app.build(environ={})
    assert [route.layers for route in runtime.routes] == [()]
    async with TestClient(runtime) as client:
        assert (await client.get("/")).text == "False"


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", None)
    app = App()
    app.install(Tracing())
    app.build(environ={})
    with pytest.raises(PluginError, match=r"framework\[tracing\]"):
        app.build(environ={}, overrides={"tracing.enabled": True})


async def test_nothing_is_said_of_contexts_that_do_not_fit(caplog: pytest.LogCaptureFixture) -> None:
    """OpenTelemetry logs an error when a context is left that was not entered."""
    traced = Traced()

    @traced.app.get("/")
    async def wait() -> AsyncGenerator[bytes]:
        yield b"a"
        await asyncio.sleep(3600)

    caplog.set_level(logging.DEBUG, "opentelemetry")
    async with traced.client() as client, client.stream("GET", "/") as incoming:
        await anext(aiter(incoming))
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert len(traced.spans) == 1
