"""The plugin: one cache for the app, from one section of the settings, injected by its type."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable
from typing import Any

from framework.app.plugin import Setup
from framework.di import Scope
from framework.errors import PluginError
from framework.plugins.cache.cache import Cache
from framework.plugins.cache.metrics import measured
from framework.plugins.cache.settings import CacheSettings
from framework.plugins.cache.typed import CachedFunction

__all__ = ["CachePlugin"]


class CachePlugin:
    """A cache for the app it is installed in: ``app.install(CachePlugin())``; whoever asks for a ``Cache`` gets it.

    Args:
        functions: those made by ``cached`` without a cache of their own: they have this one from the build on.

    Raises:
        PluginError: when the app is built: Redis without the extra ``redis``.
    """

    name = "cache"
    requires: frozenset[str] = frozenset()
    config_type = CacheSettings

    def __init__(self, functions: Iterable[CachedFunction[..., Any]] = ()) -> None:
        self._functions = list(functions)

    def setup(self, setup: Setup, config: CacheSettings) -> None:
        """Records the cache, its life and its check."""
        try:
            cache = config.cache()
        except ImportError:
            raise PluginError("cache: hiredis is not installed; install framework[redis]") from None
        for function in self._functions:
            function.bind(cache)
        setup.engine(_Kept(config))
        if cache.remote is not None:
            setup.check("redis", cache.remote.ping)
        setup.lifespan(_living(cache))
        setup.provide(lambda: cache, scope=Scope.APP, provides=Cache)


class _Kept:
    """Whether every worker has values of its own; see ``framework.app.processes.PerProcess``."""

    per_process_hint = (
        'give [cache] url = "redis://...", or say per_worker = true where values may differ for a while'
    )

    def __init__(self, config: CacheSettings) -> None:
        self.per_process = not (config.shared or config.per_worker)


_Kept.__qualname__ = "Cache"  # as the refusal names it


def _living(cache: Cache) -> Callable[[Any], AsyncGenerator[None]]:
    async def living(app: Any) -> AsyncGenerator[None]:
        await cache.open()
        try:
            async with measured(app, cache):
                yield
        finally:
            await cache.close()

    return living
