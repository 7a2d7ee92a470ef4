"""Checks run together, each within its time, and share what they found."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from framework.app.injection import Probe
from framework.di import Container
from framework.plugins.health.checks import Checks, Outcome

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def checking(
    timeout: float = 5.0, max_age: float = 60.0, **probes: Callable[[], Any]
) -> AsyncIterator[Checks]:
    every = [Probe(name, probe, Container()) for name, probe in probes.items()]
    checks = Checks(every, timeout=timeout, max_age=max_age)
    try:
        yield checks
    finally:
        await checks.close()


async def statuses(checks: Checks) -> dict[str, str]:
    return {name: outcome.status for name, outcome in (await checks.outcomes()).items()}


async def test_without_checks_there_is_nothing_to_tell() -> None:
    async with checking() as checks:
        assert await checks.outcomes() == {}


async def test_sync_and_async_probes_of_every_kind() -> None:
    async def good() -> None:
        pass

    async def bad() -> None:
        raise OSError("no route")

    class Probe:
        async def __call__(self) -> None:
            raise LookupError("gone")

    def sync_bad() -> None:
        raise ValueError("full")

    async with checking(
        good=good,
        bad=bad,
        object=Probe(),
        partial=functools.partial(bad),
        lazy=lambda: bad(),
        sync=lambda: None,
        sync_bad=sync_bad,
    ) as checks:
        found = await checks.outcomes()
    assert {name: (outcome.status, outcome.error) for name, outcome in found.items()} == {
        "good": ("ok", ""),
        "bad": ("failed", "OSError: no route"),
        "object": ("failed", "LookupError: gone"),
        "partial": ("failed", "OSError: no route"),
        "lazy": ("failed", "OSError: no route"),
        "sync": ("ok", ""),
        "sync_bad": ("failed", "ValueError: full"),
    }


async def test_they_run_at_the_same_time() -> None:
    met = asyncio.Barrier(3)
    async with checking(a=met.wait, b=met.wait, c=met.wait) as checks:
        assert set((await statuses(checks)).values()) == {"ok"}


async def test_a_storm_of_probes_runs_each_check_once() -> None:
    calls = 0
    go = asyncio.Event()

    async def probe() -> None:
        nonlocal calls
        calls += 1
        await go.wait()

    async with checking(probe=probe) as checks:
        storm = [asyncio.ensure_future(checks.outcomes()) for _ in range(200)]
        await asyncio.sleep(0)
        go.set()
        assert {next(iter((await each).values())).status for each in storm} == {"ok"}
        await checks.outcomes()
    assert calls == 1


async def test_what_was_found_grows_old() -> None:
    calls: list[int] = []
    async with checking(max_age=0.0, probe=lambda: calls.append(1)) as checks:
        await checks.outcomes()
        await checks.outcomes()
    assert len(calls) == 2


async def test_one_who_hangs_up_does_not_end_the_round_for_others() -> None:
    go = asyncio.Event()
    async with checking(probe=go.wait) as checks:
        first = asyncio.ensure_future(checks.outcomes())
        second = asyncio.ensure_future(checks.outcomes())
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        go.set()
        assert (await second)["probe"].status == "ok"


async def test_a_late_check_is_cancelled() -> None:
    cancelled = False

    async def hang() -> None:
        nonlocal cancelled
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled = True
            raise

    async with checking(timeout=0.01, hang=hang, good=lambda: None) as checks:
        assert await statuses(checks) == {"hang": "late", "good": "ok"}
    assert cancelled


async def test_a_check_that_will_not_end_is_not_started_again() -> None:
    calls = 0
    end = asyncio.Event()

    async def stubborn() -> None:
        nonlocal calls
        calls += 1
        while not end.is_set():
            try:
                await end.wait()
            except asyncio.CancelledError:
                pass

    async with checking(timeout=0.01, max_age=0.0, stubborn=stubborn) as checks:
        for _ in range(3):
            assert await statuses(checks) == {"stubborn": "late"}
        assert calls == 1
        end.set()
        await asyncio.sleep(0)
        assert await statuses(checks) == {"stubborn": "ok"}


async def test_a_thread_that_hangs_is_not_joined_by_others() -> None:
    calls = 0
    end = threading.Event()

    def hang() -> None:
        nonlocal calls
        calls += 1
        end.wait(30)

    async with checking(timeout=0.01, max_age=0.0, hang=hang) as checks:
        for _ in range(3):
            assert await statuses(checks) == {"hang": "late"}
        assert calls == 1
        end.set()
        while (await statuses(checks)) != {"hang": "ok"}:
            pass


async def test_a_check_that_is_cancelled_from_within_has_failed() -> None:
    async def probe() -> None:
        raise asyncio.CancelledError

    async with checking(probe=probe) as checks:
        assert await statuses(checks) == {"probe": "failed"}


async def test_changes_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    ok = False

    async def probe() -> None:
        if not ok:
            raise OSError("no route")

    caplog.set_level(logging.INFO, "framework.health")
    async with checking(max_age=0.0, probe=probe, fine=lambda: None) as checks:
        for now_ok in (False, False, True, True, False):
            ok = now_ok
            await checks.outcomes()
    assert [(each.levelname, each.getMessage()) for each in caplog.records] == [
        ("WARNING", "health check probe: OSError: no route"),
        ("INFO", "health check probe is ok again"),
        ("WARNING", "health check probe: OSError: no route"),
    ]


async def test_a_round_is_in_no_request_context() -> None:
    import contextvars

    var: contextvars.ContextVar[str] = contextvars.ContextVar("var", default="nobody")
    seen: list[str] = []

    async def probe() -> None:
        seen.append(var.get())

    async with checking(probe=probe) as checks:
        var.set("somebody")
        await checks.outcomes()
    assert seen == ["nobody"]


def test_an_outcome_says_what_was_wrong() -> None:
    assert Outcome("ok", 0.1).error == ""


async def test_a_coroutine_that_comes_after_its_time_is_not_left_unawaited() -> None:
    """Warnings are errors here: one that nobody awaited would fail this test."""
    go = threading.Event()
    asked: list[int] = []

    async def later() -> None:
        asked.append(1)

    def slow() -> Any:
        go.wait()
        return later()

    async with checking(timeout=0.05, max_age=0.0, slow=slow) as checks:
        assert await statuses(checks) == {"slow": "late"}
        (thread,) = checks._threads.values()
        go.set()
        await asyncio.wait({thread})
        assert asked == []
        gc.collect()
        checks._timeout = 20.0
        assert await statuses(checks) == {"slow": "ok"}
    assert asked == [1]
