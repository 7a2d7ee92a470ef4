"""The access log: one line per request, structured, without secrets."""

from __future__ import annotations

from typing import Any

import pytest
import structlog
from structlog.testing import LogCapture

from framework import App, Hooks, HTTPError, Phase, Request, Response
from framework.middleware import AccessLog, RequestId
from framework.testing import TestClient

pytestmark = pytest.mark.anyio


@pytest.fixture
def captured() -> LogCapture:
    return LogCapture()


@pytest.fixture
def logger(captured: LogCapture) -> Any:
    processors: list[Any] = [structlog.contextvars.merge_contextvars, captured]
    return structlog.wrap_logger(None, processors=processors, wrapper_class=structlog.BoundLogger)


def app_with(log: AccessLog) -> App:
    app = App()
    app.use(RequestId(trust_client=True), Phase.EDGE)
    app.use(log, Phase.EDGE)

    @app.get("/users/{id:int}")
    async def user(id: int) -> int:
        if id == 0:
            raise HTTPError(410)
        return id

    return app


async def test_a_line_for_each_request(captured: LogCapture, logger: Any) -> None:
    async with TestClient(app_with(AccessLog(logger))) as client:
        await client.get("/users/7?token=secret", headers={"x-request-id": "r1"})
        await client.get("/users/0")
        await client.delete("/users/7")
        await client.get("/nowhere")
    first, *rest = captured.entries
    assert first.pop("ms") >= 0
    assert first == {
        "event": "request",
        "log_level": "info",
        "method": "GET",
        "route": "/users/{id:int}",
        "path": "/users/7",
        "status": 200,
        "request_id": "r1",
        "client": "127.0.0.1",
    }
    assert [(line["method"], line["route"], line["status"]) for line in rest] == [
        ("GET", "/users/{id:int}", 410),
        ("DELETE", None, 405),
        ("GET", None, 404),
    ]
    assert len({line["request_id"] for line in captured.entries}) == 4


async def test_a_request_that_a_hook_further_out_answered_has_no_time(
    captured: LogCapture, logger: Any
) -> None:
    class Closed(Hooks):
        def before(self, request: Request) -> Response | None:
            return Response("closed", 503)

    app = App()
    app.use(Closed(), Phase.EDGE)
    app.use(AccessLog(logger))
    async with TestClient(app) as client:
        await client.get("/")
    assert [(line["status"], line["ms"]) for line in captured.entries] == [(503, None)]


async def test_structlogs_own_configuration_is_used_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    async with TestClient(app_with(AccessLog())) as client:
        await client.get("/users/7?token=secret")
    line = capsys.readouterr().out
    assert "/users/{id:int}" in line
    assert "secret" not in line
