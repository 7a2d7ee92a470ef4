"""What can go wrong with Redis.

::

    ResourceError
    └── RedisError            with the ``code`` of the server, or one of ours
        ├── RedisReplyError   the server refused the command
        ├── RedisUnavailable  there is no connection, or it was lost meanwhile
        └── RedisBusy         too much is under way already

A command that takes too long raises ``DeadlineExceeded``.
"""

from __future__ import annotations

from framework.errors import ResourceError

__all__ = ["RedisBusy", "RedisError", "RedisReplyError", "RedisUnavailable"]


class RedisError(ResourceError):
    """Redis did not do what was asked. ``code`` is the first word of its error (WRONGTYPE), or UNAVAILABLE or BUSY."""

    def __init__(self, code: str, what: str, retry_after: float | None = None) -> None:
        self.code = code
        super().__init__(what, retry_after)


class RedisReplyError(RedisError):
    """An error reply. ``code``: its first word, ``what``: the whole text."""

    def __init__(self, text: str) -> None:
        super().__init__(text.partition(" ")[0], text)


class RedisUnavailable(RedisError):
    """There is no connection. ``sent``: the command was on its way when the connection broke, and may have been run."""

    def __init__(self, what: str, *, sent: bool = False, retry_after: float | None = None) -> None:
        self.sent = sent
        super().__init__("UNAVAILABLE", what, retry_after)


class RedisBusy(RedisError):
    """The queue of the connection was full for as long as the command could wait; it was not sent."""

    def __init__(self, what: str) -> None:
        super().__init__("BUSY", what, 1.0)
