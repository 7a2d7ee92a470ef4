"""OpenTelemetry spans: one for each request, none for its pieces. Extra: ``tracing``."""

from framework.plugins.tracing.plugin import Tracing, TracingSettings

__all__ = ["Tracing", "TracingSettings"]
