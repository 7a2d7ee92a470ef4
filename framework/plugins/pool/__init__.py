"""A pool of connections of any kind, safe against cancellation at every wait."""

from framework.errors import PoolExhausted, PoolTimeout
from framework.plugins.pool.errors import PoolClosed
from framework.plugins.pool.lease import Lease
from framework.plugins.pool.plugin import Pool, RequestPool
from framework.plugins.pool.pool import ConnectionPool
from framework.plugins.pool.report import Holder, PoolStats
from framework.plugins.pool.resource import Condition, Resource
from framework.plugins.pool.settings import PoolSettings

__all__ = [
    "Condition",
    "ConnectionPool",
    "Holder",
    "Lease",
    "Pool",
    "PoolClosed",
    "PoolExhausted",
    "PoolSettings",
    "PoolStats",
    "PoolTimeout",
    "RequestPool",
    "Resource",
]
