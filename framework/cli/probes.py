"""Runs the health checks of an app and its plugins, all at once, each within a deadline."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from time import perf_counter
from typing import Any, NamedTuple

from framework.app.injection import Probe
from framework.app.runtime import Runtime
from framework.errors import DeadlineExceeded, SetupError

__all__ = ["Probe", "Verdict", "run_probes"]


class Verdict(NamedTuple):
    """How a check went: ``problem`` is empty when all is well."""

    name: str
    seconds: float
    problem: str


async def run_probes(runtime: Runtime, probes: Sequence[Probe], timeout: float) -> list[Verdict]:
    """Starts the app (without serving it), asks every probe, ends the app.

    Args:
        timeout: seconds that the start may take, and each probe.

    Raises:
        DeadlineExceeded: the start took longer.
        Exception: whatever the start raised.
    """
    verdicts: list[Verdict] = []
    async with AsyncExitStack() as stack:
        deadline = asyncio.timeout(timeout)
        try:
            async with deadline:
                await stack.enter_async_context(runtime.running())
        except TimeoutError:
            if deadline.expired():
                raise DeadlineExceeded("the start", timeout) from None
            raise
        verdicts += await asyncio.gather(*(_ask(probe, timeout) for probe in probes))
    return verdicts


async def _ask(probe: Probe, timeout: float) -> Verdict:
    start = perf_counter()
    problem = ""
    deadline = asyncio.timeout(timeout)
    try:
        async with deadline, probe.objects() as objects:
            await _call(probe.function, objects)
    except SetupError as error:
        problem = "; ".join(error.problems)
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
        if isinstance(error, TimeoutError) and deadline.expired():
            problem = f"no answer within {timeout:g} s"
    return Verdict(probe.name, perf_counter() - start, problem)


async def _call(function: Callable[..., Any], objects: dict[str, Any]) -> None:
    if inspect.iscoroutinefunction(function):
        await function(**objects)
        return
    # A thread of its own, which a probe that hangs cannot keep the program from ending.
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()

    def settle(result: object, error: Exception | None) -> None:
        if not done.done():
            done.set_result(result) if error is None else done.set_exception(error)

    def work() -> None:
        result: object = None
        failure: Exception | None = None
        try:
            result = function(**objects)
        except Exception as error:
            failure = error
        try:
            loop.call_soon_threadsafe(settle, result, failure)
        except RuntimeError:
            return  # the loop has ended, and nobody waits any more

    threading.Thread(target=work, daemon=True).start()
    result = await done
    if inspect.isawaitable(result):
        await result
