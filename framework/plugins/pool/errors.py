"""What a pool refuses with, besides PoolTimeout and PoolExhausted of ``framework.errors``."""

from __future__ import annotations

from framework.errors import ResourceError

__all__ = ["PoolClosed"]


class PoolClosed(ResourceError):
    """The pool is not open: not yet, or not any more. ``pool`` is its name."""

    def __init__(self, pool: str) -> None:
        self.pool = pool
        super().__init__(f"pool {pool} is closed")
