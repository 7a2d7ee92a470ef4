"""Deadlines: one budget, the shortest wins, and a cancellation from elsewhere passes."""

from __future__ import annotations

import asyncio

import pytest

from framework import App, Handler, Request, Response
from framework.errors import DeadlineExceeded
from framework.middleware import Deadline, time_left
from framework.testing import TestClient, fake_request

pytestmark = pytest.mark.anyio


async def never(request: Request) -> Response:
    await asyncio.Event().wait()
    raise AssertionError


def request_with(timeout: float | None = None) -> Request:
    request = fake_request()
    request.endpoint.timeout = timeout
    return request


async def test_what_takes_too_long_is_cancelled() -> None:
    cancelled = False

    async def slow(request: Request) -> Response:
        nonlocal cancelled
        try:
            return await never(request)
        except asyncio.CancelledError:
            cancelled = True
            raise

    with pytest.raises(DeadlineExceeded) as caught:
        await Deadline(0.001)(slow)(request_with())
    assert (caught.value.what, caught.value.seconds) == ("the request", 0.001)
    assert cancelled


async def test_what_is_quick_enough_passes() -> None:
    async def quick(request: Request) -> Response:
        await asyncio.sleep(0)
        return Response("x")

    assert (await Deadline(60)(quick)(request_with())).body == b"x"


async def test_the_remaining_budget_is_seen_below_and_given_back_above() -> None:
    seen: list[float] = []

    async def look(request: Request) -> Response:
        seen.append(time_left(request))
        return Response()

    def looking(handler: Handler) -> Handler:
        async def around(request: Request) -> Response:
            response = await handler(request)
            await look(request)
            return response

        return around

    outer, inner = Deadline(100), Deadline(5)
    request = request_with()
    await outer(looking(inner(look)))(request)
    await look(request)
    assert 0 < seen[0] <= 5 < seen[1] < 101
    assert seen[2] == float("inf")


@pytest.mark.parametrize("inner", [0.05, 0.001, 60])
async def test_nested_the_shorter_wins(inner: float) -> None:
    with pytest.raises(DeadlineExceeded) as caught:
        await Deadline(0.001)(Deadline(inner)(never))(request_with())
    assert caught.value.seconds == 0.001


async def test_an_inner_one_that_is_shorter_can_be_handled_within_the_outer() -> None:
    def patient(handler: Handler) -> Handler:
        async def around(request: Request) -> Response:
            try:
                return await handler(request)
            except DeadlineExceeded:
                assert time_left(request) > 1
                return Response("fallback")

        return around

    assert (await Deadline(60)(patient(Deadline(0.001)(never)))(request_with())).body == b"fallback"


async def test_a_route_that_has_less_time_needs_no_deadline() -> None:
    async def quick(request: Request) -> Response:
        assert time_left(request) == 3
        return Response()

    await Deadline(60)(quick)(request_with(timeout=3))


async def test_a_cancellation_passes_through() -> None:
    task = asyncio.ensure_future(Deadline(60)(never)(request_with()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_timeout_error_of_the_handlers_own_stays_one() -> None:
    async def fails(request: Request) -> Response:
        raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="mine"):
        await Deadline(60)(fails)(request_with())


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_a_deadline_is_in_the_future(seconds: float) -> None:
    with pytest.raises(ValueError, match="more than 0 seconds away"):
        Deadline(seconds)


async def test_time_left_is_the_shortest_of_all_budgets_and_never_negative() -> None:
    now = asyncio.get_running_loop().time()
    request = request_with()
    assert time_left(request) == float("inf")
    request.endpoint.timeout = 5
    assert time_left(request) == 5
    request.deadline = now + 3
    assert 2 < time_left(request) <= 3
    request.deadline = now - 1
    assert time_left(request) == 0


async def test_over_a_connection_before_and_after_the_first_wait() -> None:
    app = App()

    @app.get("/left", middleware=[Deadline(5)], timeout=30)
    async def left(request: Request) -> list[bool]:
        before = time_left(request) <= 5
        await asyncio.sleep(0)
        return [before, time_left(request) <= 5]

    @app.get("/route", timeout=7)
    async def route(request: Request) -> list[bool]:
        before = time_left(request) <= 7
        await asyncio.sleep(0)
        return [before, time_left(request) <= 7]

    @app.get("/slow", middleware=[Deadline(0.01)])
    async def slow() -> None:
        await asyncio.Event().wait()

    async with TestClient(app) as client:
        assert (await client.get("/left")).json() == [True, True]
        assert (await client.get("/route")).json() == [True, True]
        answer = await client.get("/slow")
        assert (answer.status, answer.json()["detail"]) == (504, "the request took too long")
        assert (await client.get("/left")).status == 200
