"""The plugin: counts requests, measures the process, and shows it all to Prometheus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from framework.app.built import BuiltRoute
from framework.app.plugin import Setup
from framework.app.routes import RouteOptions
from framework.di import Scope
from framework.errors import PluginError
from framework.middleware.chain import Phase

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

__all__ = ["Metrics", "MetricsSettings"]


class MetricsSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Section ``[metrics]``.

    Attributes:
        path: where they are shown.
        buckets: upper bounds of the request durations' buckets in seconds, rising.
        process: also CPU time, memory, descriptors and garbage collection.
        lag_interval: seconds between measurements of the event loop's lag; 0 leaves it out.
    """

    enabled: bool = True
    path: Annotated[str, Meta(pattern="^/")] = "/metrics"
    buckets: Annotated[tuple[float, ...], Meta(min_length=1, max_length=64)] = (
        0.001,
        0.0025,
        0.005,
        0.01,
        0.025,
        0.05,
        0.1,
        0.25,
        0.5,
        1.0,
        2.5,
        5.0,
        10.0,
    )
    process: bool = True
    lag_interval: Annotated[float, Meta(ge=0)] = 0.5


class Metrics:
    """Prometheus metrics of the app it is installed in and of all that is mounted in it.

    The registry belongs to this app. It is injected as ``prometheus_client.CollectorRegistry``, for metrics of your
    own: ``Counter("orders", "Orders placed.", registry=registry)``. Needs the extra ``metrics``.

    Args:
        registry: instead of one of its own; to share it with an app mounted in this one, for example.
        info: further labels of ``framework_build_info``, such as the app's version.
        route: options of the route, such as the ``middleware`` that guards it, or layers to ``skip``.

    Raises:
        PluginError: when the app is built: prometheus_client is not installed, or the buckets do not rise.
    """

    name = "metrics"
    requires: frozenset[str] = frozenset()
    config_type = MetricsSettings

    def __init__(
        self,
        *,
        registry: CollectorRegistry | None = None,
        info: Mapping[str, str] | None = None,
        route: RouteOptions | None = None,
    ) -> None:
        self._registry = registry
        self._info = dict(info or {})
        self._route: RouteOptions = {"include_in_schema": False, **(route or {})}

    def setup(self, setup: Setup, config: MetricsSettings) -> None:
        """Records the hooks, the route and the registry."""
        if not config.enabled:
            return
        try:
            from prometheus_client import CollectorRegistry
        except ImportError:
            raise PluginError(
                "metrics: prometheus_client is not installed; install framework[metrics]"
            ) from None
        from framework.plugins.metrics.registry import Registry
        from framework.plugins.metrics.requests import RequestMetrics
        from framework.plugins.metrics.service import MetricsService, show

        _check_buckets(config.buckets)
        requests = RequestMetrics(config.buckets)
        service = MetricsService(
            requests, process=config.process, lag_interval=config.lag_interval, info=self._info
        )
        given = self._registry
        setup.use(requests, phase=Phase.EDGE)
        setup.provide(
            lambda: Registry() if given is None else given, scope=Scope.APP, provides=CollectorRegistry
        )
        setup.provide(service.open, scope=Scope.APP)
        setup.routes().get(config.path, **self._route)(show)
        setup.on_built(lambda routes: requests.allow(_methods(routes)))


def _methods(routes: Sequence[BuiltRoute]) -> set[str]:
    return {method for route in routes for method in route.record.methods}


def _check_buckets(bounds: Sequence[float]) -> None:
    if any(low >= high for low, high in zip((0.0, *bounds), bounds, strict=False)):
        raise PluginError("metrics.buckets: they are to be more than 0, and each more than the one before")
