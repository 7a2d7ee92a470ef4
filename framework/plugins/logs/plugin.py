"""The plugin: while the app runs, all logs of the process come out one way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

from framework.app.built import BuiltRoute
from framework.app.plugin import Setup
from framework.middleware.access_log import AccessLog
from framework.middleware.chain import Phase
from framework.plugins.logs.settings import LoggingSettings

__all__ = ["Logging"]


class Logging:
    """Structured logs: JSON, or columns on a terminal, for structlog's loggers and the standard library's alike.

    Every line of a request carries its ``request_id``, ``trace_id`` and ``span_id``. Install it first, so that what
    other plugins say when they start is written the same way. It holds for the process, from the app's start to its
    end; ``configured`` does the same for programs around an app.
    """

    name = "logging"
    requires: frozenset[str] = frozenset()
    config_type = LoggingSettings

    def setup(self, setup: Setup, config: LoggingSettings) -> None:
        """Records the hooks and the lifespan; loggers are set up when the app starts."""
        from framework.plugins.logs.access import AccessLines
        from framework.plugins.logs.scope import LogScope

        access = (
            AccessLines(config.access_skip, config.access_flush_interval) if _wants_access(config) else None
        )

        async def logging_as_configured(app: object) -> AsyncGenerator[None]:
            from framework.plugins.logs.configure import configured, is_human

            with configured(config) as pipeline:
                if access is None:
                    yield
                    return
                buffer = access.open(pipeline, is_json=not is_human(config, pipeline.sink))
                buffer.open(asyncio.get_running_loop())
                try:
                    yield
                finally:
                    buffer.close()
                    access.close()

        if access is not None:
            setup.use(access, phase=Phase.EDGE)
            setup.on_built(lambda routes: access.be_silent(_have_access_log(routes)))
        setup.use(LogScope(), phase=Phase.EDGE)
        setup.lifespan(logging_as_configured)


def _wants_access(config: LoggingSettings) -> bool:
    if config.access == "auto":
        from framework.plugins.logs.configure import is_human
        from framework.plugins.logs.sink import Sink

        return is_human(config, Sink(config.stream))
    return config.access == "always"


def _have_access_log(routes: Sequence[BuiltRoute]) -> bool:
    return any(isinstance(layer.middleware, AccessLog) for route in routes for layer in route.layers)
