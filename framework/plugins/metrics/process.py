"""What is measured of the process and its server: connections, tasks, the loop's lag, the build."""

from __future__ import annotations

import asyncio
import platform
import time
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Final

from prometheus_client import Gauge, Histogram
from prometheus_client.core import (
    CollectorRegistry,
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
)
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

import framework
from framework.app.runtime import Runtime
from framework.net.loop import loop_name
from framework.wire.leaves import TWIN

__all__ = ["ServerMetrics", "build_info", "measuring_lag", "process_collectors"]

LAG_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class ServerMetrics:
    """Collects what the server of a runtime is at; nothing while no server runs."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def describe(self) -> Iterable[Metric]:
        """The families, for the registry to find clashes of names."""
        return _families({})

    def collect(self) -> Iterable[Metric]:
        """The numbers as of now. Any thread may ask."""
        core = self._runtime.core
        if core is None:
            return ()
        return _families(
            {
                "connections": len(core.connections),
                "suspended": len(core.runners.active),
                "parked": core.runners.parked,
                "background": len(core.background),
                "refused": core.refused,
            }
        )


def _families(now: Mapping[str, int]) -> list[Metric]:
    return [
        GaugeMetricFamily("framework_connections", "Open client connections.", now.get("connections")),
        GaugeMetricFamily(
            "framework_handlers_suspended", "Handlers that wait for something.", now.get("suspended")
        ),
        GaugeMetricFamily("framework_tasks_parked", "Tasks kept for the next handlers.", now.get("parked")),
        GaugeMetricFamily("framework_background_tasks", "Background tasks under way.", now.get("background")),
        CounterMetricFamily(
            "framework_refused",
            "Connections and malformed requests that were turned away before they became a request.",
            now.get("refused"),
        ),
    ]


def process_collectors(registry: CollectorRegistry) -> None:
    """Registers the process's CPU time, memory and descriptors, and the garbage collector's counts."""
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)


def build_info(registry: CollectorRegistry, info: Mapping[str, str]) -> None:
    """Registers a gauge that is 1 and tells versions in its labels. Call it on the loop."""
    labels = {
        "version": framework.__version__,
        "python": platform.python_version(),
        "loop": loop_name(asyncio.get_running_loop()),
        "http_leaves": TWIN,
        **info,
    }
    gauge = Gauge(
        "framework_build_info",
        "What is running.",
        list(labels),
        registry=registry,
        multiprocess_mode="max",
    )
    gauge.labels(**labels).set(1)


@asynccontextmanager
async def measuring_lag(registry: CollectorRegistry, interval: float) -> AsyncGenerator[None]:
    """Measures within the block how late the loop is: how much later than asked a timer is called.

    Args:
        interval: seconds between measurements.
    """
    lag = Histogram(
        "framework_event_loop_lag_seconds",
        "How late the event loop ran what was due.",
        buckets=LAG_BUCKETS,
        registry=registry,
    )
    loop = asyncio.get_running_loop()

    def measure(due: float) -> None:
        nonlocal timer
        # Not the loop's clock, which stands still while a callback runs.
        now = time.monotonic()
        lag.observe(max(0.0, now - due))
        timer = loop.call_later(interval, measure, now + interval)

    timer = loop.call_later(interval, measure, time.monotonic() + interval)
    try:
        yield
    finally:
        timer.cancel()
        registry.unregister(lag)
