"""The metrics of one app while it runs: registered at its start, counted, and shown to whoever scrapes them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import ExitStack
from typing import Annotated

from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector

from framework.app.binding import Header
from framework.app.runtime import Runtime
from framework.http.response import Response
from framework.net.numbers import Numbers
from framework.net.tally import Tally
from framework.plugins.metrics.exposition import Format, choose_format, render
from framework.plugins.metrics.process import BuildInfo, LoopLag, ServerMetrics, process_collectors
from framework.plugins.metrics.registry import as_metrics, count
from framework.plugins.metrics.requests import RequestMetrics

__all__ = ["MetricsService", "Scrapes"]


class MetricsService:
    """Measures the process while the app runs.

    Args:
        requests: what counts the requests.
        process: also CPU time, memory, descriptors, garbage collection.
        lag_interval: seconds between measurements of the loop's lag; 0 leaves it out.
        info: further labels of the build info.
    """

    def __init__(
        self, requests: RequestMetrics, *, process: bool, lag_interval: float, info: Mapping[str, str]
    ) -> None:
        self._requests = requests
        self._process = process
        self._lag_interval = lag_interval
        self._info = info

    async def open(self, runtime: Runtime, registry: CollectorRegistry) -> AsyncGenerator[Scrapes]:
        """Registers what is measured, for as long as the app runs."""
        with ExitStack() as stack:
            collectors: list[Collector] = [self._requests, ServerMetrics(runtime), BuildInfo(self._info)]
            if self._process:
                collectors += process_collectors()
            if self._lag_interval:
                lag = LoopLag(self._lag_interval)
                stack.callback(lag.close)
                collectors.append(lag.histogram)
            for collector in collectors:
                registry.register(collector)
                stack.callback(registry.unregister, collector)
            runtime.numbers.count = lambda: count(registry)
            stack.callback(setattr, runtime.numbers, "count", None)
            yield Scrapes(registry, runtime.numbers)


class Scrapes:
    """Answers scrapes, one at a time: a storm of them would take all threads."""

    def __init__(self, registry: CollectorRegistry, numbers: Numbers) -> None:
        self._registry = registry
        self._numbers = numbers
        self._one = asyncio.Lock()

    async def text(self, wanted: Format) -> bytes:
        """The metrics in a format, of all workers where there are several.

        Raises:
            ResourceError: the others' cannot be had. A scrape that fails is better than counters that fall.
        """
        async with self._one:
            gather = self._numbers.gather
            tally = None if gather is None else await gather()
            # In a thread: the loop would stand still meanwhile.
            return await asyncio.to_thread(self._render, tally, wanted)

    def _render(self, tally: Tally | None, wanted: Format) -> bytes:
        return render(self._registry.collect() if tally is None else as_metrics(tally), wanted)


async def show(scrapes: Scrapes, accept: Annotated[str | None, Header] = None) -> Response:
    """The handler of the scrapes."""
    wanted = choose_format(accept)
    body = await scrapes.text(wanted)
    return Response(body, headers={"cache-control": "no-store"}, media_type=wanted.media_type)
