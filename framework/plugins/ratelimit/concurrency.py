"""How many may be under way at once: a fixed number, or one that follows from how long they take."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from statistics import median
from typing import Final

from framework.errors import ResourceError
from framework.http.handler import Handler
from framework.http.request import Request
from framework.http.response import Response

__all__ = ["ConcurrencyLimiter", "Gradient"]

_MAX_SAMPLES: Final = 500


class Gradient:
    """A limit that finds how much a service takes before its requests queue. Decides by numbers alone; no clock, no
    I/O.

    After Envoy's gradient controller and Netflix's Gradient2: the limit is multiplied by what requests took without a
    queue (the *baseline*) over what they take now, and gets a headroom of its square root. What goes wrong with such
    limits (concurrency-limits #165 and others) is seen to so:

    - The baseline is measured, not averaged: every ``probe_windows`` windows the limit is cut to a quarter for the
    length
      of one, in which there is no queue. It does not drift up with an overload that lasts, and follows a service that
      became slower for good.
    - It is the median of a window, not the least: one lucky request means nothing.
    - Windows in which less than half of the limit was used say nothing about the limit, and change nothing: neither a
      quiet night nor health checks alone raise or lower it.

    Args:
        initial: limit at first.
        tolerance: how many times the baseline requests may take before the limit falls.
        smoothing: part of each correction that is applied.
        min_samples: in a window, and ``window`` seconds, before it is judged.

    Attributes:
        limit: the current one.
        baseline: seconds that requests take without a queue; None while unknown.
    """

    def __init__(
        self,
        *,
        initial: int = 20,
        min_limit: int = 4,
        max_limit: int = 1000,
        tolerance: float = 1.5,
        smoothing: float = 0.2,
        window: float = 0.25,
        min_samples: int = 20,
        probe_windows: int = 60,
    ) -> None:
        if not 1 <= min_limit <= initial <= max_limit:
            raise ValueError(f"a limit goes from 1 <= {min_limit} <= {initial} <= {max_limit}")
        self.baseline: float | None = None
        self._estimate = float(initial)
        self._min = min_limit
        self._max = max_limit
        self._tolerance = tolerance
        self._smoothing = smoothing
        self._window = window
        self._min_samples = min_samples
        self._probe_windows = probe_windows
        self._samples: list[float] = []
        self._peak = 0
        self._began: float | None = None
        self._until_probe = min(4, probe_windows)
        self._probing = False

    @property
    def limit(self) -> int:
        """How many may be under way now."""
        whole = int(self._estimate)
        return max(self._min, whole // 4) if self._probing else whole

    def sample(self, seconds: float, under_way: int, now: float) -> None:
        """A request took ``seconds``; ``under_way`` were so when it began, and it ended at ``now``."""
        if self._began is None:
            self._began = now
        if self._probing and now - seconds < self._began:
            return  # it began in the crowd
        if len(self._samples) < _MAX_SAMPLES:
            self._samples.append(seconds)
        self._peak = max(self._peak, under_way)
        if now - self._began >= self._window and len(self._samples) >= self._min_samples:
            self._judge()
            self._samples.clear()
            self._peak = 0
            self._began = now

    def _judge(self) -> None:
        if 2 * self._peak < self.limit:
            return  # what limits this traffic is not the limit
        took = median(self._samples)
        if self._probing:
            self._probing = False
            self.baseline = took
            return
        self.baseline = took if self.baseline is None else min(self.baseline, took)
        gradient = max(0.5, min(1.0, self._tolerance * self.baseline / took)) if took > 0 else 1.0
        wanted = self._estimate * gradient + self._estimate**0.5
        self._estimate += (wanted - self._estimate) * self._smoothing
        self._estimate = max(float(self._min), min(float(self._max), self._estimate))
        self._until_probe -= 1
        if self._until_probe <= 0:
            self._until_probe = self._probe_windows
            self._probing = self.limit > self._min


class ConcurrencyLimiter:
    """Lets so many in at once, and some more wait in line; refuses the others at once. Of this process.

    As a middleware it answers what it refuses by 503 with Retry-After. (Put it in phase TRAFFIC.)

    Args:
        limit: a number, or a Gradient.
        max_waiting: how many may wait in line.
        timeout: seconds that one may wait.
        key: of a request, and ``max_per_key`` how many of one key may be under way at once; they do not wait.
    """

    def __init__(
        self,
        limit: int | Gradient,
        *,
        max_waiting: int = 0,
        timeout: float = 1.0,
        key: Callable[[Request], str] | None = None,
        max_per_key: int | None = None,
    ) -> None:
        if isinstance(limit, int) and limit < 1:
            raise ValueError("a limit lets in one at least")
        self.under_way = 0
        self.refused = 0
        self._gradient = limit if isinstance(limit, Gradient) else None
        self._fixed = 0 if isinstance(limit, Gradient) else limit
        self._max_waiting = max_waiting
        self._timeout = timeout
        self._key = key
        self._max_per_key = max_per_key
        self._by_key: dict[str, int] = {}
        self._line: deque[asyncio.Future[None]] = deque()

    @property
    def limit(self) -> int:
        """How many may be under way now."""
        return self._fixed if self._gradient is None else self._gradient.limit

    @property
    def waiting(self) -> int:
        """How many wait in line."""
        return len(self._line)

    @asynccontextmanager
    async def slot(self, key: str = "") -> AsyncGenerator[None]:
        """One is under way, from the beginning of the block to its end.

        Raises:
            ResourceError: there is no room, nor in the line, or none became free in time.
        """
        await self._enter(key)
        loop = asyncio.get_running_loop()
        began, under_way = loop.time(), self.under_way
        good = False
        try:
            yield
            good = True
        finally:
            self._leave(key)
            if self._gradient is not None and good:
                now = loop.time()
                self._gradient.sample(now - began, under_way, now)
                self._admit()

    def __call__(self, handler: Handler) -> Handler:
        """A middleware."""
        key_of = self._key

        async def limited(request: Request) -> Response:
            async with self.slot("" if key_of is None else key_of(request)):
                return await handler(request)

        return limited

    async def _enter(self, key: str) -> None:
        by_key = self._by_key
        if self._max_per_key is not None and by_key.get(key, 0) >= self._max_per_key:
            raise self._refusal("too many of these requests are under way")
        if self.under_way >= self.limit or self._line:
            if len(self._line) >= self._max_waiting:
                raise self._refusal("too many requests are under way")
            if self._max_per_key is not None:
                by_key[key] = by_key.get(key, 0) + 1  # whoever waits counts as well
            try:
                await self._wait()
            except BaseException:
                self._forget(key)
                raise
            return
        self.under_way += 1
        if self._max_per_key is not None:
            by_key[key] = by_key.get(key, 0) + 1

    async def _wait(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append(turn)
        deadline = asyncio.timeout(self._timeout)
        try:
            async with deadline:
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self.under_way -= 1  # it was let in, and does not come
                self._admit()
            elif turn in self._line:
                self._line.remove(turn)
            if isinstance(error, TimeoutError) and deadline.expired():
                raise self._refusal("too many requests are under way, and none ended in time") from None
            raise

    def _refusal(self, why: str) -> ResourceError:
        self.refused += 1
        return ResourceError(why, retry_after=1.0)

    def _leave(self, key: str) -> None:
        self.under_way -= 1
        self._forget(key)
        self._admit()

    def _forget(self, key: str) -> None:
        if self._max_per_key is not None:
            left = self._by_key[key] - 1
            if left:
                self._by_key[key] = left
            else:
                del self._by_key[key]

    def _admit(self) -> None:
        """Lets in from the line what there is room for; its place is taken at once, before it wakes."""
        while self._line and self.under_way < self.limit:
            turn = self._line.popleft()
            if not turn.done():
                self.under_way += 1
                turn.set_result(None)
