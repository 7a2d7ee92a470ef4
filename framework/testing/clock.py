"""Virtual time: a loop whose clock jumps to the next timer when nothing else is to be done. No test waits."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeVar

__all__ = ["Stuck", "VirtualTimeLoop", "run_virtual", "virtual_loop"]

T = TypeVar("T")

_MAX_SPINS: Final = 500_000


class Stuck(RuntimeError):
    """Nothing is ready, no timer is set, and nothing from outside came: the test would wait for ever.

    Or the contrary: something is ready again and again, so that no time passes and no timer ever fires.
    """


class _JumpingSelector(selectors.BaseSelector):
    """Asks the loop what to do where others wait."""

    def __init__(self, idle: Callable[[float | None], float]) -> None:
        self._real = selectors.DefaultSelector()
        self._idle = idle
        self._spins = 0  # turns since time passed

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = self._real.select(0)
        self._spins = 0 if events else self._spins + 1
        if events or (timeout is not None and timeout <= 0):
            if self._spins > _MAX_SPINS:
                raise Stuck(
                    f"something runs again and again: {_MAX_SPINS} turns of the loop, and no time passed"
                )
            return events
        self._spins = 0
        patience = self._idle(timeout)
        if patience < 0:
            return events
        events = self._real.select(patience)  # only a thread or a real socket can wake the loop now
        if not events:
            raise Stuck(f"nothing is left to wait for, and nothing came for {patience:g} real seconds")
        return events

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An asyncio loop in virtual time. Time stands still while a thread of ``run_in_executor`` works.

    It runs a coroutine as any loop does (``run``), or is driven from outside step by step: ``settle``, ``advance`` and
    ``call`` run it for a while and return.

    Args:
        patience: real seconds to wait for a thread or a real socket once no timer is left; then ``Stuck`` is raised.
        start: the first moment.

    Attributes:
        unhandled: what reached the loop's exception handler.
    """

    def __init__(self, *, patience: float = 5.0, start: float = 0.0) -> None:
        self._now = start
        self._until: float | None = None
        self._patience = patience
        self._outside = 0
        self.unhandled: list[dict[str, Any]] = []
        super().__init__(_JumpingSelector(self._idle))
        self.set_exception_handler(lambda _, context: self.unhandled.append(context))

    def time(self) -> float:
        """Virtual seconds."""
        return self._now

    def _idle(self, timeout: float | None) -> float:
        """Moves the clock (and returns less than 0), or returns the real seconds to wait for the outside."""
        if self._outside:
            return self._patience
        due = None if timeout is None else self._now + timeout
        if self._until is not None and (due is None or due > self._until):
            self._now = self._until
            self.stop()
        elif due is None:
            return self._patience
        else:
            self._now = due
        return -1.0

    @contextmanager
    def outside(self) -> Generator[None]:
        """Inside, something real is waited for (a socket, a process): no timer fires until it came."""
        self._outside += 1
        try:
            yield
        finally:
            self._outside -= 1

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]
        """As every loop does; while the thread works the clock stands still."""
        future = super().run_in_executor(executor, func, *args)
        self._outside += 1
        future.add_done_callback(self._back)
        return future

    def _back(self, _: asyncio.Future[Any]) -> None:
        self._outside -= 1

    async def shutdown_default_executor(self, *args: Any) -> None:
        """As every loop does; its deadline is no reason to jump."""
        with self.outside():
            await super().shutdown_default_executor(*args)

    # -- driven from outside ----------------------------------------------------------------------------------------

    def advance(self, seconds: float) -> None:
        """Runs what is ready and all that becomes due within ``seconds``."""
        self._until = self._now + seconds
        try:
            self.run_forever()
        finally:
            self._until = None

    def settle(self) -> None:
        """Runs what is ready, until nothing is; no time passes."""
        self.advance(0.0)

    def call(self, function: Callable[..., object], *args: object) -> None:
        """Runs ``function`` as a transport would: in a callback, in no Task; then what that makes ready."""
        self.call_soon(function, *args)
        self.settle()

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine to its end, whatever time that takes."""
        return self.run_until_complete(main)

    def check(self) -> None:
        """Raises AssertionError where something went wrong that nobody was told of."""
        if self.unhandled:
            told = [f"{one['message']}: {one.get('exception')!r}" for one in self.unhandled]
            first = self.unhandled[0].get("exception")
            raise AssertionError("errors that nobody handled:\n" + "\n".join(told)) from first


def run_virtual(main: Coroutine[Any, Any, T], *, patience: float = 5.0) -> T:
    """``asyncio.run`` in virtual time.

    Raises:
        Stuck: the real thing would hang.
        AssertionError: something failed that nobody waits for, such as a task whose error was never looked at.
    """
    loop = VirtualTimeLoop(patience=patience)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        result = runner.run(main)
    loop.check()
    return result


@contextmanager
def virtual_loop(*, patience: float = 0.0) -> Generator[VirtualTimeLoop]:
    """A loop to drive step by step, closed in the end. Tasks left behind, or errors nobody saw, fail the test."""
    loop = VirtualTimeLoop(patience=patience, start=1000.0)
    try:
        yield loop
        loop.settle()
        left = asyncio.all_tasks(loop)
        assert not left, f"tasks left behind: {left}"
        loop.check()
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.settle()
        loop.run(loop.shutdown_asyncgens())
        loop.close()
