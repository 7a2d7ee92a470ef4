"""What is measured of the process and its server: connections, tasks, the loop's lag, the build."""

from __future__ import annotations

import asyncio
import platform
import time
from collections.abc import Iterable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from framework import __version__
from framework.app.runtime import Runtime
from framework.net.loop import loop_name
from framework.wire.leaves import TWIN

__all__ = ["BuildInfo", "LoopLag", "ServerMetrics", "process_collectors"]

LAG_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class ServerMetrics:
    """Collects what the server of a runtime is at; nothing while no server runs it."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def describe(self) -> Iterable[Metric]:
        """The families, for the registry to find clashes of names."""
        return _families(0, 0, 0, 0, 0, {})

    def collect(self) -> Iterable[Metric]:
        """The numbers as of now. Any thread may ask."""
        core = self._runtime.core
        if core is None:
            return ()
        return _families(
            len(core.connections),
            core.websockets,
            len(core.runners.active),
            core.runners.parked,
            len(core.background),
            dict(core.refused),
        )


def _families(
    connections: int,
    websockets: int,
    suspended: int,
    parked: int,
    background: int,
    refused: Mapping[int, int],
) -> list[Metric]:
    refusals = CounterMetricFamily(
        "framework_refused",
        "Connections and malformed requests turned away before they became a request.",
        labels=("status",),
    )
    for status, count in refused.items():
        refusals.add_metric((str(status),), count)
    return [
        GaugeMetricFamily("framework_connections", "Open client connections.", connections),
        GaugeMetricFamily("framework_websockets", "Connections that have become WebSockets.", websockets),
        GaugeMetricFamily("framework_handlers_suspended", "Handlers that wait for something.", suspended),
        GaugeMetricFamily("framework_tasks_parked", "Tasks kept for the handlers to come.", parked),
        GaugeMetricFamily("framework_background_tasks", "Background tasks under way.", background),
        refusals,
    ]


class BuildInfo:
    """Collects a gauge that is always 1 and tells versions in its labels. Made on the loop that it tells of."""

    def __init__(self, info: Mapping[str, str]) -> None:
        labels = {
            "version": __version__,
            "python": platform.python_version(),
            "loop": loop_name(asyncio.get_running_loop()),
            "http_leaves": TWIN,
            **info,
        }
        self._metric = GaugeMetricFamily("framework_build_info", "What is running.", labels=list(labels))
        self._metric.add_metric(list(labels.values()), 1)

    def collect(self) -> Iterable[Metric]:
        """The gauge."""
        return (self._metric,)


def process_collectors() -> list[Collector]:
    """What collects the process's CPU time, memory and descriptors, and the garbage collector's counts."""
    return [ProcessCollector(registry=None), GCCollector(registry=CollectorRegistry())]


class LoopLag:
    """Measures how late the running loop is: how much later than asked a timer is called.

    Args:
        interval: seconds between measurements.

    Attributes:
        histogram: the measurements, in seconds.
    """

    def __init__(self, interval: float) -> None:
        self.histogram = Histogram(
            "framework_event_loop_lag_seconds",
            "How late the event loop ran what was due.",
            buckets=LAG_BUCKETS,
            registry=None,
        )
        self._interval = interval
        self._loop = asyncio.get_running_loop()
        self._timer = self._set()

    def close(self) -> None:
        """Ends the measuring."""
        self._timer.cancel()

    def _set(self) -> asyncio.TimerHandle:
        # Not by the loop's clock, which stands still while a callback runs.
        return self._loop.call_later(self._interval, self._measure, time.monotonic() + self._interval)

    def _measure(self, due: float) -> None:
        self.histogram.observe(max(0.0, time.monotonic() - due))
        self._timer = self._set()
