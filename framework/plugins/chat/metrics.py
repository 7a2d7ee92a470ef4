"""What the chat counts, for Prometheus: registered while the app runs, if the app has a registry."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from framework.plugins.chat.hub import Hub

if TYPE_CHECKING:
    from prometheus_client.core import Metric

__all__ = ["ChatMetrics", "measured"]

_GAUGES: Final = {
    "chat_connections": "WebSockets that are open.",
    "chat_users": "Users that are connected.",
    "chat_rooms": "Rooms that are followed.",
    "chat_queued_bytes": "Bytes that wait for clients.",
    "chat_bus_lag_seconds": "How long the last entry of another process took to come.",
}
_COUNTERS: Final = {
    "chat_entries": "Entries that were made durable.",
    "chat_heard": "Entries that came from other processes.",
    "chat_deliveries": "Messages that were handed to followers.",
    "chat_resyncs": "Followers that were told to ask again.",
    "chat_slow": "Followers that did not read.",
    "chat_catch_ups": "Times that a room was read from the log.",
    "chat_refused": "Requests beyond a limit.",
    "chat_floods": "Connections closed for too many of these.",
    "chat_errors": "Requests that failed by a fault of the server.",
}


class ChatMetrics:
    """Collects the figures of one hub."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def describe(self) -> Iterable[Metric]:
        """The families without samples, for the registry to find clashes of names."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        gauges: list[Any] = [GaugeMetricFamily(name, text) for name, text in _GAUGES.items()]
        return gauges + [CounterMetricFamily(name, text) for name, text in _COUNTERS.items()]

    def collect(self) -> Iterable[Metric]:
        """The figures as of now."""
        hub = self._hub
        stats = hub.stats
        values: tuple[float, ...] = (
            len(hub.sessions),
            len(hub.users),
            len(hub.rooms),
            sum(session.ws.buffered for session in tuple(hub.sessions)),
            stats.lag / 1000,
            stats.entries,
            stats.heard,
            hub.channels.stats.delivered,
            stats.resyncs,
            stats.slow,
            stats.catch_ups,
            stats.refused,
            stats.floods,
            stats.errors,
        )
        families: list[Any] = list(self.describe())
        for family, value in zip(families, values, strict=True):
            family.add_metric((), value)
        return families


@asynccontextmanager
async def measured(app: Any, hub: Hub) -> AsyncGenerator[None]:
    """Within it the app's registry, if there is one, has the chat's metrics."""
    if "prometheus_client" not in sys.modules:  # then no plugin has a registry
        yield
        return
    from prometheus_client import CollectorRegistry

    if not app.container.provides(CollectorRegistry):
        yield
        return
    registry: CollectorRegistry = await app.container.opened.get(CollectorRegistry)
    collector: Any = ChatMetrics(hub)
    modes: dict[str, str] = getattr(registry, "modes", {})
    for name in _GAUGES:
        modes[name] = "max" if name == "chat_bus_lag_seconds" else "sum"
    registry.register(collector)
    try:
        yield
    finally:
        registry.unregister(collector)
