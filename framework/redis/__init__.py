"""One Redis connection for hot paths: everything a loop turn asks for in one write. Extra: ``redis``.

It talks RESP3 (Redis 6 and later, Valkey, Dragonfly) and may be shared by any number of tasks. What it leaves out,
redis-py has: clusters, sentinels, blocking commands, streams read with ``BLOCK``.
"""

from framework.redis.client import Redis
from framework.redis.errors import RedisBusy, RedisError, RedisReplyError, RedisUnavailable
from framework.redis.script import Script
from framework.redis.url import RedisURL, parse_url

__all__ = [
    "Redis",
    "RedisBusy",
    "RedisError",
    "RedisReplyError",
    "RedisURL",
    "RedisUnavailable",
    "Script",
    "parse_url",
]
