"""The second level: Redis, shared by any number of processes, and the bus that tells them of each other's changes."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from random import Random
from typing import Any, Final, NamedTuple, TypeVar

from framework.errors import DeadlineExceeded
from framework.plugins.cache.scripts import DELETE, PUT, READ, RELEASE, UNTAG
from framework.redis import Redis, RedisError
from framework.resilience import BreakerSettings, CircuitBreaker

__all__ = ["EVERYTHING", "Found", "Lease", "Remote"]

_LOG: Final = logging.getLogger("framework.cache")
FAILURES: Final = (RedisError, DeadlineExceeded)
EVERYTHING: Final = "*"
"""The tag that every value has: it is invalidated to clear the cache."""

BATCH: Final = 200

T = TypeVar("T")


class Lease(NamedTuple):
    """The right to put a value: gone when the key or a tag is invalidated. ``first``: nobody else had one."""

    token: bytes
    versions: bytes
    first: bool


class Found(NamedTuple):
    """What a read found. ``data`` None: no value. Seconds left until the value is due, stale and gone."""

    data: bytes | None
    due: float
    fresh: float
    left: float
    tags: tuple[str, ...]
    lease: Lease | None


class Remote:
    """Values in Redis.

    What could not be told to Redis because it was away (a deletion, a value in the place of an old one) is owed to it:
    such keys are not read there, and are deleted first of all once it is back.

    Args:
        url: of the server; the connection is this object's own.
        prefix: of all its keys. Who shares it shares the values.
        timeout: seconds that an answer may take.
        required: ``open`` fails where Redis cannot be reached.
        lease_time: seconds for which the right to put a value lasts.
        breaker: when Redis is left alone because it does not answer.
        max_owed: invalidations that are remembered while it is away; beyond that all values are forgotten.
        on_keys: told of keys whose values others changed.
        on_tags: told of tags that others invalidated.
        on_all: told that what is known may be old: the connection is back, or the database was emptied.
        on_lost: told that the connection is lost, and with it the bus.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str,
        timeout: float,
        required: bool,
        lease_time: float,
        breaker: BreakerSettings,
        on_keys: Callable[[Sequence[str]], None],
        on_tags: Callable[[Sequence[str]], None],
        on_all: Callable[[], None],
        on_lost: Callable[[], None],
        max_owed: int = 10_000,
        random: Random | None = None,
    ) -> None:
        self.redis = Redis(
            url,
            name="cache",
            timeout=timeout,
            on_message=self._heard,
            on_invalidate=self._emptied,
            on_up=self._up,
        )
        self.prefix = prefix
        self.failures = 0
        self.recovered = 0
        self.breaker = CircuitBreaker(breaker, random)
        self._timeout = timeout
        self._required = required
        self._lease_ms = round(lease_time * 1000)
        self._max_owed = max_owed
        self._on_keys = on_keys
        self._on_tags = on_tags
        self._on_all = on_all
        self._on_lost = on_lost
        self._values = f"{prefix}:v:"
        self._leases = f"{prefix}:l:"
        self._tags = f"{prefix}:t:"
        self._channel = f"{prefix}:bus"
        self._node = os.urandom(8).hex()
        # By when it came to be owed: what was confirmed is not what has come to be owed again meanwhile.
        self._owed: dict[str, int] = {}
        self._owed_tags: dict[str, int] = {}
        self._debts_made = 0
        self._woken = asyncio.Event()
        self._recovery: asyncio.Task[None] | None = None
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None

    # -- life ---------------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Connects, and listens to what others change. Raises RedisError where Redis is required and not there."""
        self._loop = asyncio.get_running_loop()
        # Without a connection these fail, and are done at the first connect.
        # Nobody writes below the prefix that is tracked: it is for being told that the database was emptied.
        for asked in (self.redis.track(f"{self.prefix}:e:"), self.redis.subscribe(self._channel)):
            try:
                await asked
            except RedisError:
                pass
        await self.redis.start(wait=self._required)

    async def close(self) -> None:
        """Closes the connection."""
        self._closed = True
        recovery, self._recovery = self._recovery, None
        if recovery is not None:
            recovery.cancel()
            await asyncio.wait({recovery})
        await self.redis.close()

    @property
    def listening(self) -> bool:
        """Whether others' changes are told of now."""
        return self.redis.connected

    @property
    def owed(self) -> int:
        """Invalidations that Redis has not confirmed."""
        return len(self._owed) + len(self._owed_tags)

    async def ping(self) -> None:
        """Raises when Redis does not answer."""
        await self.redis.execute("PING")

    # -- commands -----------------------------------------------------------------------------------------------------

    async def read(
        self, key: str, *, lease: bool = False, force: bool = False, tags: Sequence[str] = ()
    ) -> Found | None:
        """What is there; None where that cannot be told.

        Args:
            lease: where there is no value, or it is due, asks for the right to put one with ``tags``; always so by
                ``force``.
        """
        if key in self._owed or self._owed_tags:
            return None
        ticket = self._enter()
        if not ticket:
            return None
        nonce = os.urandom(8).hex() if lease else ""
        words = (
            (self._tags, nonce, self._lease_ms, int(force), EVERYTHING, *tags) if lease else (self._tags, "")
        )
        reply = await self._answer(ticket, READ, (self._values + key, self._leases + key), words)
        if reply is None:
            return None
        right = Lease(reply[5], reply[7], reply[6] == 1) if len(reply) > 5 else None
        data = reply[0]
        if data is None:
            return Found(None, 0.0, 0.0, 0.0, (), right)
        left = reply[1] / 1000
        fresh = left - int(reply[2]) / 1000
        return Found(data, fresh - int(reply[3]) / 1000, fresh, left, _names(reply[4]), right)

    async def put(
        self,
        key: str,
        data: bytes,
        *,
        ttl: float,
        ahead: float,
        grace: float,
        tags: Sequence[str] = (),
        lease: Lease | None = None,
    ) -> bool:
        """Puts a value: by a lease, unless that was lost; without one in the place of whatever there is, and then what
        was there is gone even if Redis cannot be told now.

        Args:
            ttl: seconds until the value is stale; ``ahead`` of which it is due, and ``grace`` after which it is gone.
        """
        if lease is not None and (key in self._owed or self._owed_tags):
            return False
        ticket = self._enter()
        if not ticket:
            if lease is None:
                self._owe((key,), ())
            return False
        token, versions = ("", "") if lease is None else (lease.token, lease.versions)
        words = [self._tags, token, data, round(grace * 1000), round(ahead * 1000)]
        words += [max(1, round((ttl + grace) * 1000)), versions, os.urandom(8).hex()]
        words += [self._channel, f"{self._node}k{key}"]
        if lease is None:
            words += [EVERYTHING, *tags]
        owed = (key,) if lease is None else ()
        reply = await self._answer(ticket, PUT, (self._values + key, self._leases + key), words, owed)
        return bool(reply == 1)

    def release(self, key: str, lease: Lease) -> None:
        """Gives a lease back of which no use was made, so that another may make the value. Nothing is waited for; a
        lease that cannot be given back ends by itself."""
        self._forgo(self.redis.call, RELEASE, (self._leases + key,), (lease.token,))

    def _forgo(self, ask: Callable[..., Awaitable[Any]], *args: Any) -> None:
        """Asks, whatever comes of it."""
        try:
            reply = asyncio.ensure_future(ask(*args))
        except FAILURES:
            return
        reply.add_done_callback(lambda reply: reply.cancelled() or reply.exception())

    async def delete(self, keys: Sequence[str]) -> None:
        """Deletes values, and voids the leases that are out for them."""
        for some in batched(keys):
            ticket = self._enter()
            if ticket:
                await self._answer(ticket, *self._deletion(some), owed=some)
            else:
                self._owe(some, ())

    async def invalidate(self, tags: Sequence[str]) -> None:
        """Makes all values with one of the tags be no more, and voids the leases that are out for such."""
        ticket = self._enter()
        if ticket:
            await self._answer(ticket, *self._untagging(tags), owed_tags=tags)
        else:
            self._owe((), tags)

    def _deletion(self, keys: Sequence[str]) -> tuple[Any, Sequence[str], Sequence[str]]:
        names = [name for key in keys for name in (self._values + key, self._leases + key)]
        return DELETE, names, (self._channel, self._node, *keys)

    def _untagging(self, tags: Sequence[str]) -> tuple[Any, Sequence[str], Sequence[str]]:
        return UNTAG, [self._tags + tag for tag in tags], (self._channel, self._node, *tags)

    def _enter(self) -> int:
        """A ticket of the breaker; 0 where Redis is not to be asked."""
        loop = self._loop
        return self.breaker.enter(loop.time()) if loop is not None and self.redis.connected else 0

    async def _answer(
        self,
        ticket: int,
        script: Any,
        keys: Sequence[str],
        words: Sequence[Any],
        owed: Sequence[str] = (),
        owed_tags: Sequence[str] = (),
    ) -> Any:
        """The reply, None where there was none. What it was about is then owed, however it came to that."""
        loop = self._loop or asyncio.get_running_loop()
        begun = loop.time()
        well = False
        try:
            reply = await self.redis.call(script, keys, words)
            well = True
        except FAILURES as error:
            self.failures += 1
            self.breaker.failed(ticket, loop.time())
            _LOG.debug("the cache did without Redis: %s", error)
            return None
        except BaseException:
            self.breaker.left(ticket)
            raise
        finally:
            if not well and (owed or owed_tags):
                self._owe(owed, owed_tags)
        now = loop.time()
        self.breaker.succeeded(ticket, now, now - begun)
        return reply

    # -- what is owed -------------------------------------------------------------------------------------------------

    def _owe(self, keys: Iterable[str], tags: Iterable[str]) -> None:
        self._debts_made += 1
        self._owed.update(dict.fromkeys(keys, self._debts_made))
        self._owed_tags.update(dict.fromkeys(tags, self._debts_made))
        if self.owed > self._max_owed or EVERYTHING in self._owed_tags:
            self._owed.clear()
            self._owed_tags.clear()
            self._owed_tags[EVERYTHING] = self._debts_made
        if self._recovery is None and not self._closed:
            self._recovery = asyncio.create_task(self._recover(), name="cache recovery")

    async def _recover(self) -> None:
        """Tells Redis what it is owed, again and again until it has confirmed; at once when the connection is back."""
        pause = 0.05
        while self.owed:
            self._woken.clear()
            try:
                async with asyncio.timeout(pause):
                    await self._woken.wait()
            except TimeoutError:
                pause = min(2.0, pause * 2)
            if self.redis.connected:
                await self._settle(self._owed, self._deletion)
                await self._settle(self._owed_tags, self._untagging)
        self._recovery = None

    async def _settle(self, owed: dict[str, int], command: Callable[[Sequence[str]], Any]) -> None:
        for some in batched(list(owed.items())):
            try:
                await self.redis.call(*command([name for name, _ in some]))
            except FAILURES:
                return
            for name, made in some:
                if owed.get(name) == made:
                    del owed[name]
                    self.recovered += 1

    # -- what others do -----------------------------------------------------------------------------------------------

    def _up(self) -> None:
        # First of all: a script that is sent again because it is unknown would be overtaken by what was asked later.
        for script in (READ, PUT, DELETE, UNTAG, RELEASE):
            self._forgo(self.redis.execute, "SCRIPT", "LOAD", script.text)
        self._woken.set()
        # What was said while nobody listened is unknown.
        self._on_all()

    def _emptied(self, names: Sequence[bytes] | None) -> None:
        if names is None:
            (self._on_all if self.redis.connected else self._on_lost)()

    def _heard(self, channel: bytes, payload: bytes) -> None:
        node = self._node.encode()
        if channel != self._channel.encode() or payload.startswith(node):
            return
        kind, name = payload[len(node) : len(node) + 1], payload[len(node) + 1 :].decode()
        if kind == b"k":
            self._on_keys((name,))
        elif name == EVERYTHING:
            self._on_all()
        else:
            self._on_tags((name,))


def _names(versions: bytes) -> tuple[str, ...]:
    """The tags of a value without the one that all have."""
    names = [line.partition(" ")[2] for line in versions.decode().split("\n") if line]
    return tuple(name for name in names if name != EVERYTHING)


def batched(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """The items, ``BATCH`` at a time: a script with more would hold up everybody."""
    for begin in range(0, len(items), BATCH):
        yield items[begin : begin + BATCH]
