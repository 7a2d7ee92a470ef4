"""A cache in two levels: memory (W-TinyLFU), and Redis for what several processes share.

Useful without an app: ``cache = Cache()``, ``await cache.get_or_load("key", load, ttl=60)``. Redis needs the extra
``redis``.
"""

from framework.plugins.cache.cache import Cache
from framework.plugins.cache.entry import MISSING, Missing
from framework.plugins.cache.errors import CacheBusy, LoadCancelled
from framework.plugins.cache.http import ResponseCache
from framework.plugins.cache.options import LoadOptions, Options
from framework.plugins.cache.plugin import CachePlugin
from framework.plugins.cache.settings import CacheSettings
from framework.plugins.cache.typed import CachedFunction, TypedCache, cached

__all__ = [
    "MISSING",
    "Cache",
    "CacheBusy",
    "CachePlugin",
    "CacheSettings",
    "CachedFunction",
    "LoadCancelled",
    "LoadOptions",
    "Missing",
    "Options",
    "ResponseCache",
    "TypedCache",
    "cached",
]
