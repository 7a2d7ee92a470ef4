"""What the gateway counts, for Prometheus: registered while the app runs, if the app has a registry."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from framework.plugins.gateway.gateway import Gateway
from framework.plugins.gateway.stats import BOUNDS, RouteStats

if TYPE_CHECKING:
    from prometheus_client.core import Metric

__all__ = ["GatewayMetrics", "measured"]

_EVERY = 4
"""Of the finer buckets of the dashboard one in four is told: 0.5 ms, 1.7, 5.5, 18, 60, ... each 3.3 times the last."""


class GatewayMetrics:
    """Collects the counts of every route, cluster and endpoint.

    ``gateway_route_requests_total`` by route and status class, ``gateway_route_duration_seconds``,
    ``gateway_route_retries_total``, ``gateway_route_active``; ``gateway_endpoint_requests_total`` by cluster, endpoint
    and result, ``gateway_endpoint_active``, ``gateway_endpoint_available``;
    ``gateway_cluster_refused_total``, ``gateway_cluster_retries_denied_total``, ``gateway_breaker_open``;
    ``gateway_generation``. Labels are names of the configuration, never what clients send.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def describe(self) -> Iterable[Metric]:
        """The families without samples, for the registry to find clashes of names."""
        return _families().values()

    def collect(self) -> Iterable[Metric]:
        """The counts as of now. Any thread may ask."""
        families: dict[str, Any] = _families()
        generation = self._gateway.generation
        families["generation"].add_metric((), generation.number)
        for name, route in generation.routes.items():
            self._route(families, name, route.stats)
        for name, upstream in generation.upstreams.items():
            families["refused"].add_metric((name,), upstream.refused)
            families["denied"].add_metric((name,), upstream.budget.denied)
            if upstream.breaker is not None:
                families["breaker"].add_metric((name,), float(upstream.breaker.state.value != "closed"))
            for one in upstream.cluster.endpoints:
                families["endpoint"].add_metric(
                    (name, one.key, "ok"), one.started - one.failures - one.active
                )
                families["endpoint"].add_metric((name, one.key, "failed"), one.failures)
                families["active"].add_metric((name, one.key), one.active)
                families["available"].add_metric((name, one.key), float(one.available))
        return families.values()

    def _route(self, families: dict[str, Any], name: str, stats: RouteStats) -> None:
        for kind, count in enumerate(stats.statuses):
            if kind:
                families["requests"].add_metric((name, f"{kind}xx"), count)
        summed = list(accumulate(stats.buckets))
        buckets = [(str(BOUNDS[index]), summed[index]) for index in range(0, len(BOUNDS), _EVERY)]
        families["duration"].add_metric((name,), [*buckets, ("+Inf", summed[-1])], stats.seconds)
        families["retries"].add_metric((name,), stats.retries)
        families["waiting"].add_metric((name,), stats.active)


def _families() -> dict[str, Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    endpoint = ("cluster", "endpoint")
    return {
        "generation": GaugeMetricFamily("gateway_generation", "The configuration that serves."),
        "requests": CounterMetricFamily(
            "gateway_route_requests", "Requests answered.", labels=("route", "status")
        ),
        "duration": HistogramMetricFamily(
            "gateway_route_duration_seconds", "Time until the head of the answer.", labels=("route",)
        ),
        "retries": CounterMetricFamily("gateway_route_retries", "Tries behind the first.", labels=("route",)),
        "waiting": GaugeMetricFamily(
            "gateway_route_active", "Requests without an answer.", labels=("route",)
        ),
        "endpoint": CounterMetricFamily(
            "gateway_endpoint_requests", "Requests that ended.", labels=(*endpoint, "result")
        ),
        "active": GaugeMetricFamily("gateway_endpoint_active", "Requests under way.", labels=endpoint),
        "available": GaugeMetricFamily(
            "gateway_endpoint_available", "Whether it is picked.", labels=endpoint
        ),
        "refused": CounterMetricFamily(
            "gateway_cluster_refused", "Requests turned away.", labels=("cluster",)
        ),
        "denied": CounterMetricFamily(
            "gateway_cluster_retries_denied", "Retries that the budget did not allow.", labels=("cluster",)
        ),
        "breaker": GaugeMetricFamily(
            "gateway_breaker_open", "Whether the breaker is not closed.", labels=("cluster",)
        ),
    }


@asynccontextmanager
async def measured(app: Any, gateway: Gateway) -> AsyncGenerator[None]:
    """Within it the app's registry, if there is one, has the gateway's metrics."""
    if "prometheus_client" not in sys.modules:  # then no plugin has a registry
        yield
        return
    from prometheus_client import CollectorRegistry

    if not app.container.provides(CollectorRegistry):
        yield
        return
    registry: CollectorRegistry = await app.container.opened.get(CollectorRegistry)
    collector: Any = GatewayMetrics(gateway)
    modes: dict[str, str] = getattr(registry, "modes", {})
    modes |= {
        "gateway_generation": "min",
        "gateway_route_active": "sum",
        "gateway_endpoint_active": "sum",
        "gateway_endpoint_available": "min",
        "gateway_breaker_open": "max",
    }
    registry.register(collector)
    try:
        yield
    finally:
        registry.unregister(collector)
