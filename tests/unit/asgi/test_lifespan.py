"""The lifespan protocol of ASGI (version 2.0): with it, without it, and with all that can go wrong."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from framework.asgi.lifespan import Lifespan
from framework.errors import SetupError
from framework.testing import run_virtual


def speaking(*, startup: Any = None, shutdown: Any = None, log: list[str] | None = None) -> Any:
    """An application that sends these; None is success, a text a failure."""
    heard = [] if log is None else log

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "lifespan"
        scope["state"]["opened"] = True
        for stage, outcome in (("startup", startup), ("shutdown", shutdown)):
            message = await receive()
            assert message == {"type": f"lifespan.{stage}"}
            heard.append(stage)
            if outcome is None:
                await send({"type": f"lifespan.{stage}.complete"})
            else:
                await send({"type": f"lifespan.{stage}.failed", "message": outcome})
                return

    return app


async def live(app: Any, **options: Any) -> Lifespan:
    lifespan = Lifespan(app, "shop:app", **options)
    async with lifespan:
        await asyncio.sleep(1)
    return lifespan


def test_start_and_stop_are_told_in_order_and_state_is_kept() -> None:
    heard: list[str] = []
    lifespan = run_virtual(live(speaking(log=heard)))
    assert heard == ["startup", "shutdown"]
    assert lifespan.state == {"opened": True}


def test_it_can_be_run_again() -> None:
    heard: list[str] = []
    lifespan = Lifespan(speaking(log=heard), "shop:app")

    async def twice() -> None:
        for _ in range(2):
            async with lifespan:
                pass

    run_virtual(twice())
    assert heard == ["startup", "shutdown"] * 2


@pytest.mark.parametrize("message", ["no database", "Traceback:\n  File x\nOSError: no database\n"])
def test_a_failed_start_is_an_error_that_says_so(message: str) -> None:
    with pytest.raises(SetupError) as caught:
        run_virtual(live(speaking(startup=message)))
    (problem,) = caught.value.problems
    assert problem.startswith("shop:app failed to start: ")
    assert problem.endswith("no database")


def test_an_application_that_raises_has_no_lifespan_and_is_served(caplog: pytest.LogCaptureFixture) -> None:
    """ "The server must continue but not send any lifespan events.\""""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"

    with caplog.at_level(logging.INFO, "framework.asgi"):
        run_virtual(live(app))
    assert ["has no lifespan" in record.message for record in caplog.records] == [True]


def test_an_application_that_returns_has_no_lifespan_and_is_served() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        return

    run_virtual(live(app))


def test_an_application_that_fails_to_stop_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "framework.asgi"):
        run_virtual(live(speaking(shutdown="pool is stuck")))
    assert "pool is stuck" in caplog.text


def test_an_application_that_dies_in_between_is_logged_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        raise LookupError("a task of mine")

    with caplog.at_level(logging.ERROR, "framework.asgi"):
        run_virtual(live(app))
    assert any(record.exc_info and record.exc_info[0] is LookupError for record in caplog.records)


def test_an_application_that_does_not_stop_is_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    with caplog.at_level(logging.ERROR, "framework.asgi"):
        run_virtual(live(app, exit_timeout=5.0))
    assert seen == ["cancelled"]
    assert "did not stop within 5 s" in caplog.text


def test_a_start_that_is_given_up_ends_the_application() -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            seen.append("ended")

    async def give_up() -> None:
        async with asyncio.timeout(5):
            await live(app)

    with pytest.raises(TimeoutError):
        run_virtual(give_up())
    assert seen == ["ended"]


@pytest.mark.parametrize("kind", ["lifespan.startup.complete", "lifespan.unheard"])
def test_a_message_that_is_not_due_is_an_error_of_the_application(kind: str) -> None:
    seen: list[BaseException] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        try:
            await send({"type": kind})
        except RuntimeError as error:
            seen.append(error)
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    run_virtual(live(app))
    assert len(seen) == 1
