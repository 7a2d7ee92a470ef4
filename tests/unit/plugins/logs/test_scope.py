"""Whatever belongs to a request carries its fields, and nothing else does."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterable

import pytest
from tests.support.fake_request import fake_request

from framework.http.request import Request
from framework.http.response import Response, StreamingResponse
from framework.plugins.logs.scope import current_fields, fields_of, log_scope

pytestmark = pytest.mark.anyio


async def test_inside_and_outside() -> None:
    seen: list[object] = []

    async def handler(request: Request) -> Response:
        await asyncio.sleep(0)
        seen.append(current_fields())
        return Response()

    request = fake_request()
    assert current_fields() == {}
    await log_scope(handler)(request)
    assert current_fields() == {}
    assert seen == [fields_of(request)]
    assert set(fields_of(request)) == {"request_id", "trace_id", "span_id"}


async def test_an_error_leaves_it_too() -> None:
    async def handler(request: Request) -> Response:
        raise ValueError

    with pytest.raises(ValueError, match="^$"):
        await log_scope(handler)(fake_request())
    assert current_fields() == {}


async def test_a_request_that_logs_nothing_makes_no_fields() -> None:
    async def handler(request: Request) -> Response:
        return Response()

    request = fake_request()
    await log_scope(handler)(request)
    assert request._made is None


async def test_a_task_that_outlives_its_request_keeps_the_fields_but_not_the_request() -> None:
    go = asyncio.Event()
    tasks: list[asyncio.Task[object]] = []

    async def later() -> object:
        await go.wait()
        return current_fields()

    async def handler(request: Request) -> Response:
        tasks.append(asyncio.create_task(later()))
        return Response()

    class Body(bytes):
        """What should not be kept."""

    request = fake_request()
    kept = Witness()
    request.received = kept  # type: ignore[assignment]
    await log_scope(handler)(request)
    expected = fields_of(request)
    alive = weakref.ref(kept)
    del request, kept
    gc.collect()
    assert alive() is None
    go.set()
    assert await tasks[0] == expected


class Witness:
    """Something that a request holds."""


async def test_a_body_is_made_within_the_scope() -> None:
    seen: list[object] = []

    async def pieces() -> AsyncIterable[bytes]:
        for _ in range(2):
            seen.append(current_fields())
            yield b"x"

    async def handler(request: Request) -> Response:
        return StreamingResponse(pieces())  # type: ignore[arg-type]

    request = fake_request()
    response = await log_scope(handler)(request)
    assert isinstance(response, StreamingResponse)
    async for _ in response.content:
        assert current_fields() == {}
    assert seen == [fields_of(request)] * 2
