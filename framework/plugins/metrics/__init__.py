"""Prometheus metrics: requests by route pattern, the server, the process, and the app's own. Extra: ``metrics``."""

from framework.plugins.metrics.plugin import Metrics, MetricsSettings

__all__ = ["Metrics", "MetricsSettings"]
