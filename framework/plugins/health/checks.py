"""Health checks, run together, each within its time; what they found is kept for a moment and shared."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Iterable, Mapping
from contextvars import Context
from functools import partial
from threading import Thread
from time import monotonic
from typing import Any, Final, Literal

import msgspec

from framework.app.injection import Probe

__all__ = ["Checks", "Outcome"]

_LOG: Final = logging.getLogger("framework.health")
_PATIENCE: Final = 1.0


class Outcome(msgspec.Struct, frozen=True):
    """What a check found.

    Attributes:
        seconds: how long it took.
        error: what it raised, "" otherwise.
    """

    status: Literal["ok", "failed", "late"]
    seconds: float
    error: str = ""


class Checks:
    """The checks of an app.

    An async probe runs on the loop. A sync one may block, and so runs in a thread. One that does not end in time is
    late and, if it is async, cancelled; it is not started again before it has ended.

    Args:
        probes: they raise when something is wrong.
        timeout: seconds for each.
        max_age: seconds for which an outcome is given out again.
    """

    def __init__(self, probes: Iterable[Probe], *, timeout: float, max_age: float) -> None:
        self._probes = tuple(probes)
        self._timeout = timeout
        self._max_age = max_age
        self._outcomes: dict[str, Outcome] = {}
        self._fresh_until = 0.0
        self._round: asyncio.Task[None] | None = None
        self._running: dict[str, asyncio.Future[Any]] = {}
        self._threads: dict[str, asyncio.Future[Any]] = {}

    async def outcomes(self) -> Mapping[str, Outcome]:
        """What each check found, at most ``max_age`` seconds ago. All who ask meanwhile share one round."""
        if self._probes and monotonic() >= self._fresh_until:
            if self._round is None:
                # In no request's context: the round is not that of whoever happened to ask first.
                self._round = asyncio.get_running_loop().create_task(self._run_all(), context=Context())
            await asyncio.shield(self._round)
        return self._outcomes

    async def close(self) -> None:
        """Ends what still runs, as far as it can be ended."""
        running: set[asyncio.Future[Any]] = set(self._running.values())
        if self._round is not None:
            running.add(self._round)
        for each in running:
            each.cancel()
        if running:
            await asyncio.wait(running, timeout=_PATIENCE)

    async def _run_all(self) -> None:
        try:
            found = await asyncio.gather(*(self._check(probe) for probe in self._probes))
            outcomes = dict(zip((probe.name for probe in self._probes), found, strict=True))
            for name, outcome in outcomes.items():
                _tell(name, self._outcomes.get(name), outcome)
            self._outcomes = outcomes
            self._fresh_until = monotonic() + self._max_age
        finally:
            self._round = None

    async def _check(self, probe: Probe) -> Outcome:
        started, name = monotonic(), probe.name
        running = self._running.get(name)
        if running is None:
            running = self._running[name] = asyncio.ensure_future(self._call(probe))
            running.add_done_callback(lambda ended: _forget(self._running, name, ended))
        await asyncio.wait({running}, timeout=self._timeout)
        seconds = round(monotonic() - started, 6)
        if not running.done():
            running.cancel()
            return Outcome("late", seconds, f"it takes longer than {self._timeout:g} s")
        error = asyncio.CancelledError("cancelled") if running.cancelled() else running.exception()
        if error is None:
            return Outcome("ok", seconds)
        return Outcome("failed", seconds, f"{type(error).__name__}: {error}")

    async def _call(self, probe: Probe) -> None:
        # A thread cannot be cancelled: the one that an earlier round gave up is waited for again.
        given_up = self._threads.get(probe.name)
        if given_up is not None and not inspect.isawaitable(await asyncio.shield(given_up)):
            return
        async with probe.objects() as objects:
            call = partial(probe.function, **objects)
            if _is_async(probe.function):
                await call()
                return
            done = self._threads[probe.name] = _in_thread(call)
            done.add_done_callback(lambda ended: _forget(self._threads, probe.name, ended))
            try:
                result = await asyncio.shield(done)
            except asyncio.CancelledError:
                done.add_done_callback(_drop)
                raise
            if inspect.isawaitable(result):
                await result


def _drop(ended: asyncio.Future[Any]) -> None:
    """Nobody awaits what a sync probe returned after it was given up."""
    if not ended.cancelled() and ended.exception() is None and inspect.iscoroutine(ended.result()):
        ended.result().close()


def _forget(table: dict[str, asyncio.Future[Any]], name: str, ended: asyncio.Future[Any]) -> None:
    del table[name]
    if not ended.cancelled():
        ended.exception()  # looked at, also when nobody waits for it any more


def _tell(name: str, before: Outcome | None, now: Outcome) -> None:
    """Logs changes only: a probe every second would say the same every second."""
    was_ok = before is None or before.status == "ok"
    if now.status == "ok" and not was_ok:
        _LOG.info("health check %s is ok again", name)
    elif now.status != "ok" and was_ok:
        _LOG.warning("health check %s: %s", name, now.error)


def _is_async(probe: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(probe) or inspect.iscoroutinefunction(type(probe).__call__)


def _in_thread(probe: Callable[[], Any]) -> asyncio.Future[Any]:
    """Not in a thread of a pool: in the end the process would wait for one that hangs."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:
        if not done.done():
            done.set_exception(error) if error is not None else done.set_result(result)

    def run() -> None:
        result, error = None, None
        try:
            result = probe()
        except Exception as raised:
            error = raised
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:  # the loop is gone
            if inspect.iscoroutine(result):
                result.close()

    Thread(target=run, name="health check", daemon=True).start()
    return done
