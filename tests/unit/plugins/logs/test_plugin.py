"""Logs of an app as it runs: one way out for every logger, and each line with its request."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog

from framework import App, HTTPError, Request, Response
from framework.app.secret import Secret
from framework.middleware import AccessLog
from framework.middleware.chain import Hooks, Phase
from framework.plugins.logs import Logging, LoggingSettings
from framework.plugins.logs.configure import configured, make_pipeline
from framework.plugins.logs.pipeline import StandardHandler
from framework.testing import TestClient

pytestmark = pytest.mark.anyio

TRACE_ID = "12345678901234567890123456789012"
PARENT = f"00-{TRACE_ID}-1234567890123456-01"


class Lines:
    """What was written to standard error."""

    def __init__(self, stream: io.StringIO) -> None:
        self.stream = stream

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    def of(self, logger: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event.get("logger") == logger]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@asynccontextmanager
async def logging_app(
    app: App, monkeypatch: pytest.MonkeyPatch, stream: io.StringIO | None = None, **settings: Any
) -> AsyncIterator[tuple[TestClient, Lines]]:
    stream = stream or io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    dotted = {"logging.access": "always"} | {f"logging.{name}": value for name, value in settings.items()}
    async with TestClient(app, settings=dotted) as client:
        yield client, Lines(stream)


def make_app() -> App:
    app = App()
    app.install(Logging())
    log = structlog.get_logger("shop")
    std = logging.getLogger("shop.std")

    @app.get("/both/{id:int}")
    async def both(id: int) -> None:
        log.info("structured", id=id, password="hunter2")
        std.info("standard %d", id, extra={"api_key": "hunter2", "size": 3})

    @app.get("/bug")
    async def bug() -> None:
        raise LookupError("oh")

    @app.get("/caught")
    async def caught() -> None:
        try:
            raise OSError("redis://:hunter2@cache is away")
        except OSError as error:
            log.exception("one")
            log.error("two", exc_info=error)
            log.error("three", exc_info=(OSError, error, None))
            std.exception("four")

    return app


async def test_all_loggers_come_out_one_way(monkeypatch: pytest.MonkeyPatch) -> None:
    async with logging_app(make_app(), monkeypatch) as (client, lines):
        await client.get("/both/7", headers={"traceparent": PARENT})
    assert "hunter2" not in lines.text
    [structured], [standard] = lines.of("shop"), lines.of("shop.std")
    assert list(structured)[:4] == ["timestamp", "level", "logger", "event"]
    assert (structured["event"], structured["id"], structured["password"]) == ("structured", 7, "***")
    assert (standard["event"], standard["api_key"], standard["size"]) == ("standard 7", "***", 3)
    assert structured["request_id"] == standard["request_id"]
    assert structured["trace_id"] == standard["trace_id"] == TRACE_ID
    assert (structured["level"], standard["level"]) == ("info", "info")


async def test_no_line_comes_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    earlier = logging.StreamHandler()
    logging.getLogger().addHandler(earlier)
    try:
        async with logging_app(make_app(), monkeypatch, stream) as (client, lines):
            await client.get("/both/7")
            assert [event["event"] for event in lines.events] == ["structured", "standard 7"]
        assert earlier in logging.getLogger().handlers
    finally:
        logging.getLogger().removeHandler(earlier)


async def test_an_exception_is_rendered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async with logging_app(make_app(), monkeypatch, access="never") as (client, lines):
        await client.get("/bug")
        await client.get("/caught")
    [error, *caught] = lines.events
    assert error["logger"] == "framework.error"
    assert error["exception"].startswith("Traceback (most recent call last):")
    assert error["exception"].endswith("LookupError: oh")
    assert error["exception"].count("LookupError: oh") == 1
    assert [event["event"] for event in caught] == ["one", "two", "three", "four"]
    assert all("redis://***@cache is away" in event["exception"] for event in caught)
    assert lines.text.count("LookupError: oh") == 1


async def test_the_error_log_tells_the_request_and_its_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    async with logging_app(make_app(), monkeypatch) as (client, lines):
        answer = await client.get("/bug", headers={"traceparent": PARENT})
    [error], [access] = lines.of("framework.error"), lines.of("framework.access")
    assert error["request_id"] == access["request_id"] == answer.json()["request_id"]
    assert error["trace_id"] == access["trace_id"] == TRACE_ID
    assert error["span_id"] == access["span_id"]


async def test_the_access_log(monkeypatch: pytest.MonkeyPatch) -> None:
    async with logging_app(make_app(), monkeypatch) as (client, lines):
        await client.get("/both/7?token=hunter2")
        await client.get("/nothing")
        await client.get("/healthz")
        await asyncio.sleep(0.15)
        first, second, _ = lines.of("framework.access")
    assert {"ms", "client", "timestamp", "trace_id", "span_id", "request_id"} <= set(first)
    assert (first["method"], first["route"], first["path"], first["status"]) == (
        "GET",
        "/both/{id:int}",
        "/both/7",
        204,
    )
    assert (second["route"], second["status"]) == (None, 404)
    assert "hunter2" not in lines.text


async def test_routes_that_are_left_out_of_the_access_log(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app()
    app.get("/healthz")(lambda: "alive")
    async with logging_app(app, monkeypatch) as (client, lines):
        await client.get("/healthz")
    assert lines.events == []


@pytest.mark.parametrize(
    "settings",
    [
        {"access": "never"},
        {"access": "auto"},
        {"levels": {"framework.access": "warning"}},
        {"level": "error"},
    ],
)
async def test_without_the_access_log(monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]) -> None:
    async with logging_app(make_app(), monkeypatch, **settings) as (client, lines):
        await client.get("/nothing")
    assert lines.events == []


async def test_people_have_an_access_log_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    async with logging_app(make_app(), monkeypatch, access="auto", format="human") as (client, lines):
        await client.get("/nothing")
    assert "framework.access" in lines.text


async def test_another_access_log_is_not_doubled(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app()
    app.use(AccessLog(), Phase.EDGE)
    async with logging_app(app, monkeypatch) as (client, lines):
        await client.get("/nothing")
    assert len(lines.of("framework.access")) == 1


async def test_a_hook_further_out_that_answers_has_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class Answers(Hooks):
        def before(self, request: Request) -> Response:
            return Response(status=429)

    app = make_app()
    app.use(Answers(), Phase.EDGE)
    async with logging_app(app, monkeypatch) as (client, lines):
        await client.get("/both/1")
    [line] = lines.of("framework.access")
    assert (line["status"], line["ms"]) == (429, None)


async def test_nothing_leaks_to_the_next_request(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app()
    log = structlog.get_logger("shop")

    @app.get("/bind")
    async def bind() -> None:
        structlog.contextvars.bind_contextvars(user="ann")
        log.info("bound")

    @app.get("/plain")
    async def plain() -> None:
        await asyncio.sleep(0)
        log.info("plain")

    async with logging_app(app, monkeypatch, access="never") as (client, lines):
        for path in ("/bind", "/plain", "/plain"):
            await client.get(path)
        assert client.server.core.runners.spare.clean
        log.info("outside")
    bound, first, second, outside = lines.events
    assert bound["user"] == "ann"
    assert "user" not in first
    assert len({bound["request_id"], first["request_id"], second["request_id"]}) == 3
    assert "request_id" not in outside


async def test_streams_and_child_tasks_belong_to_their_request(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app()
    log = structlog.get_logger("shop")

    async def child() -> None:
        log.info("child")

    @app.get("/stream")
    async def stream() -> AsyncGenerator[str]:
        await asyncio.create_task(child())
        log.info("piece")
        yield "a"

    async with logging_app(app, monkeypatch) as (client, lines):
        await client.get("/stream")
    assert len({event["request_id"] for event in lines.events}) == 1
    assert sorted(event["event"] for event in lines.events) == ["child", "piece", "request"]


async def test_a_stream_has_its_line_when_its_head_goes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app()

    @app.get("/torn/{status:int}")
    async def torn(status: int) -> AsyncGenerator[str]:
        if status != 200:
            raise HTTPError(status)
        yield "a"

    async with logging_app(app, monkeypatch) as (client, lines):
        for status in (200, 503):
            assert (await client.get(f"/torn/{status}")).status == status
        await client.head("/torn/200")
    assert [(line["method"], line["status"]) for line in lines.of("framework.access")] == [
        ("GET", 200),
        ("GET", 503),
        ("HEAD", 200),
    ]


async def test_levels_by_logger(monkeypatch: pytest.MonkeyPatch) -> None:
    levels = {"shop": "error", "shop.loud": "debug", "third.party": "critical"}
    async with logging_app(make_app(), monkeypatch, level="warning", levels=levels) as (_, lines):
        for name in ("shop", "shop.std", "shop.loud", "shop.loud.er", "third.party.lib", "other", ""):
            for make in (structlog.get_logger, logging.getLogger):
                logger: Any = make(name) if name else make()
                for level in ("debug", "warning", "error"):
                    getattr(logger, level)(f"{level} of {name or 'nobody'}")
    assert [event["event"] for event in lines.events] == [
        *["error of shop"] * 2,
        *["error of shop.std"] * 2,
        *["debug of shop.loud", "warning of shop.loud", "error of shop.loud"] * 2,
        *["debug of shop.loud.er", "warning of shop.loud.er", "error of shop.loud.er"] * 2,
        *["warning of other", "error of other"] * 2,
        *["warning of nobody", "error of nobody"] * 2,
    ]


async def test_people_at_a_terminal_get_columns_in_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    async with logging_app(make_app(), monkeypatch, Terminal()) as (client, lines):
        await client.get("/both/7")
    assert "\x1b[" in lines.text
    assert "structured" in lines.text
    assert lines.text.count("\n") == 3


@pytest.mark.parametrize(("settings", "environ"), [({"colors": "never"}, {}), ({}, {"NO_COLOR": "1"})])
async def test_colours_can_be_refused(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], environ: dict[str, str]
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    async with logging_app(make_app(), monkeypatch, Terminal(), **settings) as (client, lines):
        await client.get("/both/7")
    assert "\x1b[" not in lines.text
    assert "structured" in lines.text


async def test_colours_are_for_terminals_unless_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    async with logging_app(make_app(), monkeypatch, format="human") as (client, lines):
        await client.get("/both/7")
    assert "\x1b[" not in lines.text
    async with logging_app(make_app(), monkeypatch, format="human", colors="always") as (client, lines):
        await client.get("/both/7")
    assert "\x1b[" in lines.text


async def test_secrets_and_names_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    async with logging_app(make_app(), monkeypatch, redact=["iban"]) as (_, lines):
        structlog.get_logger().info("x", key=Secret("hunter2"), iban="DE02", nested={"password": "hunter2"})
        structlog.get_logger().info({"token": "hunter2"})
        logging.getLogger("x").info("y", extra={"deep": [{"cookie": "hunter2"}]})
    assert "hunter2" not in lines.text
    assert "DE02" not in lines.text


async def test_all_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    before = (list(root.handlers), root.level, structlog.is_configured(), logging.getLogger("shop").level)
    async with logging_app(make_app(), monkeypatch, levels={"shop": "error"}):
        assert root.level == logging.INFO
    assert (
        list(root.handlers),
        root.level,
        structlog.is_configured(),
        logging.getLogger("shop").level,
    ) == before


def test_a_configuration_of_structlog_is_put_back() -> None:
    mine = [structlog.processors.JSONRenderer()]
    structlog.configure(processors=mine)
    try:
        with configured(LoggingSettings()):
            assert structlog.get_config()["processors"] != mine
        assert structlog.get_config()["processors"] == mine
    finally:
        structlog.reset_defaults()


def test_a_handler_that_cannot_format_a_record_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    record = logging.makeLogRecord({"msg": "%d", "args": ("no number",)})
    StandardHandler(make_pipeline(LoggingSettings())).emit(record)
    assert "Logging error" in stream.getvalue()


async def test_stack_and_odd_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    async with logging_app(make_app(), monkeypatch) as (_, lines):
        logging.getLogger("x").log(25, "notice", stack_info=True)
        structlog.get_logger("x").warn("old word")
        logging.getLogger("x").info("nothing", exc_info=True)
    notice, old, nothing = lines.events
    assert notice["level"] == "level 25"
    assert notice["stack"].startswith("Stack (most recent call last)")
    assert old["level"] == "warning"
    assert "exception" not in nothing


async def test_client_errors_are_no_log_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app()

    @app.get("/refused")
    async def refused() -> None:
        raise HTTPError(404)

    async with logging_app(app, monkeypatch, access="never") as (client, lines):
        await client.get("/refused")
    assert lines.events == []
