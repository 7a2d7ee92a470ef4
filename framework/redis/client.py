"""A connection that is kept: it comes back after a loss, with its channels and its tracking."""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections.abc import Callable, Sequence
from typing import Any, Final

from framework.errors import DeadlineExceeded
from framework.redis.errors import RedisError, RedisUnavailable
from framework.redis.link import Link, Pushed
from framework.redis.sender import Sender, looked_at
from framework.redis.url import RedisURL, parse_url

__all__ = ["Redis"]

_LOG: Final = logging.getLogger("framework.redis")


class Redis(Sender):
    """One shared connection.

    Commands of one loop turn go out in one write. A command fails at once while there is no connection, and is never
    sent twice: what was under way when the connection broke raises ``RedisUnavailable`` with ``sent`` true. Replies are
    bytes, int, float, bool, None, list, dict or set, undecoded.

    Use it as a context manager, or ``start`` and ``close`` it. Handlers are called on the loop and must not block.

    Args:
        url: see ``parse_url``.
        timeout: seconds that a command may take unless it says otherwise; its clock starts with the loop turn.
        connect_timeout: seconds to connect and to be greeted.
        stall_timeout: seconds past a deadline after which a reply that did not come ends the connection.
        ping_interval: seconds of silence after which the server is asked for a sign of life.
        max_commands: replies awaited at once; further commands wait for room within their timeout.
        max_bytes: of their commands, likewise.
        min_delay: seconds before the first try to connect again, at random between half of it and all of it; doubled
            each time up to ``max_delay``.
        tls: for ``rediss://``; the system's authorities unless given.
        name: shown by ``CLIENT LIST``.
        on_message: takes channel and payload of what is published on a channel, or to a pattern, subscribed to.
        on_invalidate: takes the keys that other clients changed (see ``track``), or None for all of them: the database
            was flushed, or the connection was lost and what happened meanwhile is unknown.
        on_up: called whenever the connection has come, its channels and tracking in place.
        on_down: called whenever it is lost, with the reason.
    """

    def __init__(
        self,
        url: str | RedisURL,
        *,
        timeout: float = 1.0,
        connect_timeout: float = 2.0,
        stall_timeout: float = 2.0,
        ping_interval: float = 5.0,
        max_commands: int = 10_000,
        max_bytes: int = 16 * 1024 * 1024,
        min_delay: float = 0.05,
        max_delay: float = 2.0,
        tls: ssl.SSLContext | None = None,
        name: str | None = None,
        on_message: Callable[[bytes, bytes], None] | None = None,
        on_invalidate: Callable[[Sequence[bytes] | None], None] | None = None,
        on_up: Callable[[], None] | None = None,
        on_down: Callable[[Exception], None] | None = None,
    ) -> None:
        self.url = parse_url(url) if isinstance(url, str) else url
        self.on_message = on_message
        self.on_invalidate = on_invalidate
        self.on_up = on_up
        self.on_down = on_down
        self.connects = 0
        super().__init__(timeout=timeout, max_commands=max_commands, max_bytes=max_bytes)
        self._connect_timeout = connect_timeout
        self._stall_timeout = stall_timeout
        self._ping_interval = ping_interval
        self._min_delay = min_delay
        self._max_delay = max_delay
        self._tls = tls
        self._name = name
        self._lost: asyncio.Future[Exception] | None = None
        self._task: asyncio.Task[None] | None = None
        self._channels: dict[tuple[str, str | bytes], None] = {}
        self._tracking: tuple[str | bytes, ...] | None = None
        self._why: Exception | None = None
        self._next_try = 0.0

    @property
    def connected(self) -> bool:
        """Whether commands can be sent now."""
        return self._link is not None

    # -- life -------------------------------------------------------------------------------------------------------

    async def start(self, *, wait: bool = True) -> None:
        """Connects, and from now on connects again whenever the connection is lost.

        Args:
            wait: until the connection is there; otherwise it comes when it comes.

        Raises:
            RedisError: waiting for it, the first try failed; nothing goes on then.
        """
        if self._task is not None:
            raise RuntimeError("the Redis connection was started already")
        if wait:
            await self._connect()
        self._task = asyncio.create_task(self._keep(), name=f"redis {self.url}")

    async def close(self) -> None:
        """Closes the connection; whoever still waits for a reply gets RedisUnavailable."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
        link, self._link = self._link, None
        if link is not None:
            link.close()
            if self._lost is not None:
                await asyncio.wait({self._lost}, timeout=self._connect_timeout)
                if not self._lost.done():
                    link.abort(TimeoutError())

    async def __aenter__(self) -> Redis:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def _keep(self) -> None:
        """Waits for the connection's end, and connects again: the owner of the connection."""
        loop = asyncio.get_running_loop()
        delay = 0.0
        while True:
            if self._link is not None and self._lost is not None:
                await self._watch(self._link, self._lost)
                delay = self._min_delay
            pause = delay * random.uniform(0.5, 1.0)
            self._next_try = loop.time() + pause
            await asyncio.sleep(pause)
            try:
                await self._connect()
            except (RedisError, DeadlineExceeded) as error:
                if self._why is None or str(self._why) != str(error):
                    _LOG.warning("Redis at %s: %s", self.url, error)
                self._why = error
                delay = min(self._max_delay, max(self._min_delay, delay * 2))

    async def _watch(self, link: Link, lost: asyncio.Future[Exception]) -> None:
        """Returns when the connection is lost; asks a silent one for a sign of life."""
        while not lost.done():
            link.heard = False
            await asyncio.wait({lost}, timeout=self._ping_interval)
            if not link.heard and not link.pending and not lost.done():
                link.send(("PING",), self._timeout).add_done_callback(looked_at)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        lost: asyncio.Future[Exception] = loop.create_future()
        link: Link | None = None

        def on_lost(why: Exception) -> None:
            lost.set_result(why)
            if link is not None:
                self._lose(link, why)

        fresh = Link(
            loop,
            on_push=self._pushed,
            on_room=self._room,
            on_lost=on_lost,
            stall_timeout=self._stall_timeout,
        )
        deadline = asyncio.timeout(self._connect_timeout)
        try:
            async with deadline:
                await self._open(loop, fresh)
                await self._greet(fresh)
        except RedisError:
            fresh.close()
            raise
        except (OSError, TimeoutError) as error:
            fresh.abort(error)
            what = f"no answer within {self._connect_timeout:g} s" if deadline.expired() else str(error)
            raise RedisUnavailable(f"cannot connect to Redis at {self.url}: {what}") from error
        except BaseException as error:
            fresh.abort(RuntimeError(str(error)))
            raise
        if fresh.lost:
            raise RedisUnavailable(f"Redis at {self.url} closed the connection")
        link, self._link, self._lost, self._why = fresh, fresh, lost, None
        self.connects += 1
        _tell(self.on_up)

    async def _open(self, loop: asyncio.AbstractEventLoop, link: Link) -> None:
        url = self.url
        if url.path is not None:
            await loop.create_unix_connection(lambda: link, url.path)
        elif url.tls:
            context = self._tls or ssl.create_default_context()
            await loop.create_connection(lambda: link, url.host, url.port, ssl=context)
        else:
            await loop.create_connection(lambda: link, url.host, url.port)

    async def _greet(self, link: Link) -> None:
        """HELLO with the credentials, then the database, the tracking and the channels: one round trip."""
        url, timeout = self.url, self._connect_timeout
        hello: tuple[Any, ...] = ("HELLO", 3)
        if url.password is not None or url.username is not None:
            hello += ("AUTH", url.username or "default", url.password or "")
        if self._name is not None:
            hello += ("SETNAME", self._name)
        replies = [link.send(hello, timeout)]
        if url.database:
            replies.append(link.send(("SELECT", url.database), timeout))
        if self._tracking is not None:
            replies.append(link.send(_tracking_command(self._tracking), timeout))
        replies += [link.send(words, timeout, pushed=True) for words in self._channels]
        await asyncio.gather(*replies)

    def _lose(self, link: Link, why: Exception) -> None:
        if self._link is not link:
            return
        self._link = None
        self._why = why
        _LOG.warning("Redis at %s: the connection was lost: %s", self.url, why)
        self._room()
        if self._tracking is not None:
            _tell(self.on_invalidate, None)
        _tell(self.on_down, why)

    def _gone(self) -> RedisUnavailable:
        wait = None
        if self._task is not None:
            wait = max(0.0, self._next_try - asyncio.get_running_loop().time())
        why = "" if self._why is None else f": {self._why}"
        return RedisUnavailable(f"there is no connection to Redis at {self.url}{why}", retry_after=wait)

    # -- pushes -----------------------------------------------------------------------------------------------------

    async def subscribe(self, *channels: str | bytes, pattern: bool = False) -> None:
        """Subscribes to channels, or to patterns of such; ``on_message`` gets what is published. It lasts over
        reconnects, in which messages may be lost.

        Raises:
            RedisError: it could not be done now; the channels are subscribed to at the next connect nevertheless.
        """
        await self._subscription("PSUBSCRIBE" if pattern else "SUBSCRIBE", channels)

    async def unsubscribe(self, *channels: str | bytes, pattern: bool = False) -> None:
        """Ends subscriptions."""
        begun = "PSUBSCRIBE" if pattern else "SUBSCRIBE"
        for channel in channels:
            self._channels.pop((begun, channel), None)
        await self._subscription("PUNSUBSCRIBE" if pattern else "UNSUBSCRIBE", channels)

    async def _subscription(self, command: str, channels: Sequence[str | bytes]) -> None:
        if not command.startswith(("UN", "PUN")):
            self._channels.update(((command, channel), None) for channel in channels)
        link = self._link
        if link is None:
            raise self._gone()
        await asyncio.gather(
            *[link.send((command, channel), self._timeout, pushed=True) for channel in channels]
        )

    async def track(self, *prefixes: str | bytes) -> None:
        """Asks to be told of every change by others to keys with these prefixes: ``on_invalidate`` gets them.

        The server's broadcasting mode (CLIENT TRACKING ON BCAST NOLOOP). It lasts over reconnects, each of which
        calls ``on_invalidate(None)`` at the loss.

        Raises:
            RedisError: it could not be done now; it is done at the next connect nevertheless.
        """
        self._tracking = prefixes
        link = self._link
        if link is None:
            raise self._gone()
        await link.send(_tracking_command(prefixes), self._timeout)

    def _pushed(self, push: Pushed) -> None:
        kind = push[0]
        if kind == b"message":
            _tell(self.on_message, push[1], push[2])
        elif kind == b"pmessage":
            _tell(self.on_message, push[2], push[3])
        elif kind == b"invalidate":
            _tell(self.on_invalidate, push[1])


def _tell(handler: Callable[..., None] | None, *args: Any) -> None:
    """Calls a handler of the user's; its failure is logged, and is no failure of the connection."""
    if handler is not None:
        try:
            handler(*args)
        except Exception:
            _LOG.exception("a handler of the Redis connection failed")


def _tracking_command(prefixes: Sequence[str | bytes]) -> tuple[str | bytes, ...]:
    words: list[str | bytes] = ["CLIENT", "TRACKING", "ON", "BCAST", "NOLOOP"]
    for prefix in prefixes:
        words += ["PREFIX", prefix]
    return tuple(words)
