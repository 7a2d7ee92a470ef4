"""What can go wrong with a cache. A level that does not answer is no error: it is done without."""

from __future__ import annotations

from framework.errors import ResourceError

__all__ = ["CacheBusy", "LoadCancelled"]


class CacheBusy(ResourceError):
    """As many loads are under way as may be. ``limit`` is how many."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(f"{limit} loads of the cache are under way", 1.0)


class LoadCancelled(ResourceError):
    """The load that somebody waited for was cancelled from within, or the cache was closed. ``key`` names it."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(f"the load of {key!r} was cancelled")
