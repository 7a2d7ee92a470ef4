"""Whatever belongs to a request carries its fields, and nothing else does."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, cast

import pytest

from framework.http.request import Request
from framework.http.response import Response, StreamingResponse
from framework.plugins.logs import scope as module
from framework.plugins.logs.scope import LogScope, current_fields, fields_of
from framework.testing import fake_request

pytestmark = pytest.mark.anyio


async def through(handler: Callable[[Request], Awaitable[Response]], request: Request) -> Response:
    """Runs the hooks and the handler as a connection does: in one Context."""
    hooks = LogScope()
    hooks.before(request)
    try:
        response = await handler(request)
    except ValueError:
        response = Response(status=500)
    hooks.after(request, response)
    return response


async def test_inside_and_outside() -> None:
    seen: list[object] = []

    async def handler(request: Request) -> Response:
        await asyncio.sleep(0)
        seen.append(current_fields())
        return Response()

    request = fake_request()
    assert current_fields() == {}
    await through(handler, request)
    assert current_fields() == {}
    assert seen == [fields_of(request)]
    assert set(fields_of(request)) == {"request_id", "trace_id", "span_id"}


async def test_the_context_comes_out_as_it_was() -> None:
    async def handler(request: Request) -> Response:
        raise ValueError

    before = contextvars.copy_context()
    await through(handler, fake_request())
    assert contextvars.copy_context() == before


async def test_hooks_that_were_not_run_ahead_undo_nothing() -> None:
    LogScope().after(fake_request(), Response())
    assert current_fields() == {}


async def test_a_request_that_logs_nothing_makes_no_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Request] = []

    def noted(request: Request) -> dict[str, object]:
        made.append(request)
        return {}

    monkeypatch.setattr(module, "fields_of", noted)

    async def handler(request: Request) -> Response:
        return Response()

    await through(handler, fake_request())
    assert made == []


class Witness:
    """Something that a request holds, and that tells when it is gone."""


async def test_a_task_that_outlives_its_request_keeps_the_fields_but_not_the_request() -> None:
    go = asyncio.Event()
    tasks: list[asyncio.Task[object]] = []

    async def later() -> object:
        await go.wait()
        return current_fields()

    async def handler(request: Request) -> Response:
        tasks.append(asyncio.create_task(later()))
        return Response()

    request = fake_request()
    request.received = cast("bytes", Witness())
    alive = weakref.ref(cast("Any", request.received))
    await through(handler, request)
    expected = fields_of(request)
    del request
    gc.collect()
    assert alive() is None
    go.set()
    assert await tasks[0] == expected


async def test_a_body_is_made_within_the_scope() -> None:
    seen: list[object] = []

    async def pieces() -> AsyncGenerator[bytes]:
        for _ in range(2):
            seen.append(current_fields())
            yield b"x"

    async def handler(request: Request) -> Response:
        return StreamingResponse(pieces())

    request = fake_request()
    response = await through(handler, request)
    assert isinstance(response, StreamingResponse)
    async for _ in response.content:
        assert current_fields() == {}
    assert seen == [fields_of(request)] * 2
