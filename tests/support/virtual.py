"""An asyncio loop on virtual time: when nothing is ready the clock jumps to the next timer. No test ever sleeps."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

__all__ = ["Stuck", "VirtualLoop", "virtual_loop"]

T = TypeVar("T")


class Stuck(RuntimeError):
    """Nothing is ready and no timer is set: the loop would wait for ever."""


class _Selector(selectors.DefaultSelector):
    """Asks the loop what to do where others wait."""

    idle: Callable[[float | None], None]

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None or timeout > 0:
            self.idle(timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop to be driven from outside: ``settle``, ``advance`` and ``call`` run it for a while and return.

    ``failures`` collects what reached the loop's exception handler; ``virtual_loop`` fails the test when there is any.
    """

    def __init__(self) -> None:
        self._now = 1000.0
        self._until: float | None = None
        self.failures: list[dict[str, Any]] = []
        selector = _Selector()
        selector.idle = self._idle
        super().__init__(selector)
        self.set_exception_handler(lambda _, context: self.failures.append(context))

    def time(self) -> float:
        return self._now

    def _idle(self, timeout: float | None) -> None:
        due = None if timeout is None else self._now + timeout
        if self._until is None:
            if due is None:
                raise Stuck("nothing is ready and no timer is set")
            self._now = due
        elif due is None or due > self._until:
            self._now = self._until
            self.stop()
        else:
            self._now = due

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


@contextmanager
def virtual_loop() -> Iterator[VirtualLoop]:
    """A loop that is closed in the end. Tasks left behind, or errors nobody saw, fail the test."""
    loop = VirtualLoop()
    try:
        yield loop
        loop.settle()
        left = asyncio.all_tasks(loop)
        assert not left, f"tasks left behind: {left}"
        assert not loop.failures, loop.failures
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.settle()
        loop.run(loop.shutdown_asyncgens())
        loop.close()
