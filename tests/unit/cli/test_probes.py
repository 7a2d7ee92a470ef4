"""Health checks, asked within a deadline."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from framework import App, Request, Scope
from framework.cli.probes import Probe, Verdict, run_probes

pytestmark = pytest.mark.anyio


class Pool:
    open = False


async def ask(function: Callable[..., Any], app: App | None = None, timeout: float = 10.0) -> Verdict:
    app = app or App()
    (verdict,) = await run_probes(app.build(environ={}), [Probe("x", function, app.container)], timeout)
    return verdict


async def test_a_probe_gets_what_the_app_provides() -> None:
    app = App()
    app.provide(Pool, scope=Scope.APP)

    async def probe(pool: Pool) -> None:
        assert isinstance(pool, Pool)

    assert (await ask(probe, app)).problem == ""


async def test_a_plain_probe_runs_beside_the_loop() -> None:
    threads: list[threading.Thread] = []

    def probe() -> None:
        threads.append(threading.current_thread())

    assert (await ask(probe)).problem == ""
    assert threads[0] is not threading.current_thread()


async def test_a_plain_probe_may_return_a_coroutine() -> None:
    async def later() -> None:
        raise OSError("late")

    assert (await ask(lambda: later())).problem == "OSError: late"


async def test_what_a_probe_raises_is_its_problem() -> None:
    def probe() -> None:
        raise ValueError("bad")

    assert (await ask(probe)).problem == "ValueError: bad"


async def test_a_probe_that_needs_a_request_is_told_why_it_cannot_have_one() -> None:
    def probe(request: Request) -> None: ...

    assert "Request" in (await ask(probe)).problem


async def test_a_timeout_of_the_probe_itself_is_its_own_error() -> None:
    async def probe() -> None:
        raise TimeoutError("of its own")

    assert (await ask(probe)).problem == "TimeoutError: of its own"


async def test_a_probe_that_hangs_ends_at_its_deadline() -> None:
    async def probe() -> None:
        await asyncio.Event().wait()

    assert (await ask(probe, timeout=0.01)).problem == "no answer within 0.01 s"


async def test_a_thread_that_hangs_does_not_keep_the_others_waiting() -> None:
    release = threading.Event()
    verdict = await ask(release.wait, timeout=0.01)
    release.set()
    assert verdict.problem == "no answer within 0.01 s"


async def test_the_app_runs_while_it_is_asked_and_ends_after() -> None:
    app = App()
    seen: list[str] = []

    @app.lifespan
    async def life(_: App) -> Any:
        seen.append("start")
        yield
        seen.append("end")

    await ask(lambda: seen.append("probe"), app)
    assert seen == ["start", "probe", "end"]
