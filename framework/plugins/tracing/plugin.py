"""The plugin: OpenTelemetry spans, one for each request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from framework.app.plugin import Setup
from framework.di import Scope
from framework.errors import PluginError
from framework.middleware.chain import Phase

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

__all__ = ["Tracing", "TracingSettings"]


class TracingSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Section ``[tracing]``.

    Attributes:
        enabled: makes spans. Off unless asked for: they cost more than most handlers.
        skip: patterns of routes that have none.
    """

    enabled: bool = False
    skip: tuple[str, ...] = ("/healthz", "/readyz", "/metrics")


class Tracing:
    """OpenTelemetry: a server span for each request of the app and of all that is mounted in it.

    Inside a handler the span is current, so that spans of your own, and those of instrumented clients, become its
    children, and ``opentelemetry.propagate.inject`` tells the trace to whoever is called. The tracer is injected as
    ``opentelemetry.trace.Tracer``. Where spans go is the provider's matter. Needs the extra ``tracing``.

    Without this plugin, too, ``trace_of(request)`` reads the caller's trace, and logs carry it.

    Args:
        provider: of tracers; the one that OpenTelemetry has for the process when not given.

    Raises:
        PluginError: when the app is built: spans are asked for and OpenTelemetry is not installed.
    """

    name = "tracing"
    requires: frozenset[str] = frozenset()
    config_type = TracingSettings

    def __init__(self, *, provider: TracerProvider | None = None) -> None:
        self._provider = provider

    def setup(self, setup: Setup, config: TracingSettings) -> None:
        """Records hooks, onion and tracer; when it is not enabled, a tracer that does nothing."""
        try:
            from opentelemetry.trace import NoOpTracer, Tracer, get_tracer
        except ImportError:
            if not config.enabled:
                return
            raise PluginError("tracing: OpenTelemetry is not installed; install framework[tracing]") from None
        from framework import __version__
        from framework.plugins.tracing.spans import RequestSpans

        tracer = get_tracer("framework", __version__, self._provider) if config.enabled else NoOpTracer()
        setup.provide(lambda: tracer, scope=Scope.APP, provides=Tracer)
        if config.enabled:
            setup.use(RequestSpans(tracer, config.skip), phase=Phase.EDGE)
