"""Requests that wait for the response to another's: each with a deadline of its own, and whoever leads may leave."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final

__all__ = ["GONE", "STORED", "Collapse", "Crowds"]

STORED: Final = "stored"
GONE: Final = "gone"
ALONE: Final = ""


class Collapse:
    """One request under way that others wait for. ``end`` tells them: STORED, GONE (its client left: one of those who
    wait takes its place) or nothing (its response is for nobody else: each asks alone)."""

    def __init__(self, crowds: Crowds, key: str) -> None:
        self._crowds = crowds
        self._key = key
        self.begun = asyncio.get_running_loop().time()
        self._outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def end(self, outcome: str = ALONE) -> None:
        """Lets those who wait go on; once more is no error."""
        if not self._outcome.done():
            self._outcome.set_result(outcome)
            self._crowds.over(self._key, self, outcome)

    async def wait(self, seconds: float) -> str:
        """The outcome, or nothing when that is not told in time."""
        await asyncio.wait((self._outcome,), timeout=seconds)
        return self._outcome.result() if self._outcome.done() else ALONE


class Crowds:
    """The requests under way, by where their responses would be stored.

    Where a response turned out to be for nobody else, nobody waits for the next ones there for a while: requests for
    what cannot be stored would wait for each other in a row (Varnish's "hit for miss").

    Args:
        pause: seconds of that.
        max_shunned: places that are remembered for it.
    """

    def __init__(self, *, pause: float = 10.0, max_shunned: int = 10_000) -> None:
        self._leading: dict[str, Collapse] = {}
        self._shunned: OrderedDict[str, float] = OrderedDict()
        self._pause = pause
        self._max_shunned = max_shunned

    def find(self, key: str, seconds: float) -> Collapse | None:
        """The request to wait for: none that has been under way for longer than anybody would wait."""
        crowd = self._leading.get(key)
        if crowd is None or asyncio.get_running_loop().time() - crowd.begun > seconds:
            return None
        return crowd

    def begin(self, key: str, seconds: float) -> Collapse | None:
        """Leads, unless another does, or nobody is to wait."""
        if self.find(key, seconds) is not None:
            return None
        until = self._shunned.get(key)
        if until is not None:
            if asyncio.get_running_loop().time() < until:
                return None
            del self._shunned[key]
        crowd = self._leading[key] = Collapse(self, key)
        return crowd

    def over(self, key: str, crowd: Collapse, outcome: str) -> None:
        """It has ended."""
        if self._leading.get(key) is crowd:
            del self._leading[key]
        if outcome == ALONE:
            self._shunned[key] = asyncio.get_running_loop().time() + self._pause
            if len(self._shunned) > self._max_shunned:
                self._shunned.popitem(last=False)
