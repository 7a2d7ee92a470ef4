"""Virtual time: a loop whose clock jumps to the next timer when nothing else is to be done. No test waits."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

__all__ = ["Stuck", "VirtualTimeLoop", "run_virtual"]

T = TypeVar("T")


class Stuck(RuntimeError):
    """Nothing is ready, no timer is set, and nothing from outside came: the test would wait for ever."""


class _JumpingSelector(selectors.BaseSelector):
    """Answers at once: instead of waiting, it moves the loop's clock."""

    def __init__(self, patience: float) -> None:
        self._real = selectors.DefaultSelector()
        self._patience = patience
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = self._real.select(0)
        if events or (timeout is not None and timeout <= 0):
            return events
        if timeout is not None:
            self.now += timeout
            return events
        events = self._real.select(self._patience)  # only a thread or a real socket can wake the loop now
        if not events:
            raise Stuck(f"nothing is left to wait for, and nothing came for {self._patience:g} real seconds")
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
    """An asyncio loop in virtual time, which begins at 0.

    Args:
        patience: real seconds to wait for a thread or a real socket once no timer is left; then ``Stuck`` is raised.
    """

    def __init__(self, *, patience: float = 5.0) -> None:
        self._jumping = _JumpingSelector(patience)
        super().__init__(self._jumping)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._jumping.now


def run_virtual(main: Coroutine[Any, Any, T], *, patience: float = 5.0) -> T:
    """``asyncio.run`` in virtual time. Raises Stuck where the real thing would hang."""
    with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(patience=patience)) as runner:
        return runner.run(main)
