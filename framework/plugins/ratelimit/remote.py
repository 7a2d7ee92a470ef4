"""States in Redis, which any number of machines share: one script, one round trip, one decision."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

from framework.errors import ConfigError, DeadlineExceeded
from framework.plugins.ratelimit.engine import EngineUnavailable
from framework.plugins.ratelimit.kernel import Counts, Decision, joined
from framework.plugins.ratelimit.lua import script_of
from framework.plugins.ratelimit.policy import Policy, terms_of
from framework.redis import Redis, RedisError

__all__ = ["RedisEngine", "RedisGate"]

MAX_POLICIES: Final = 12


class _Breaker:
    """Spares a Redis that does not answer, and those who would wait for it: after ``patience`` seconds without any
    answer it is asked by one request in each ``pause``, and by all again once that has had one."""

    __slots__ = ("_next", "_patience", "_pause", "_since")

    def __init__(self, patience: float, pause: float) -> None:
        self._since: float | None = None
        self._next = 0.0
        self._patience = patience
        self._pause = pause

    def admits(self, now: float) -> bool:
        """Whether to ask; who is told so while it is open is the probe."""
        if self._since is None or now - self._since < self._patience:
            return True
        if now < self._next:
            return False
        self._next = now + self._pause
        return True

    def succeeded(self) -> None:
        """There was an answer."""
        self._since = None

    def failed(self, now: float) -> None:
        """There was none."""
        if self._since is None:
            self._since = now
            self._next = now + self._patience + self._pause


class RedisEngine:
    """States in Redis (6 and later, Valkey, Dragonfly).

    Args:
        redis: the connection, or its URL: then the engine opens and closes a connection of its own.
        prefix: of its keys. Those who share it, and a policy's name, share the limit.
        deadline: seconds that a decision may take; then the limiter's ``on_failure`` decides (R12: a slow Redis must
        not
            make every request slow).
        required: ``open`` fails when Redis cannot be reached.
        clock: "server", or "client" where the server refuses TIME in scripts; then the machines' clocks must agree.
        pause: seconds between probes while Redis does not answer.
        margin: seconds for which a state is kept beyond its use.
        now: microseconds of the epoch, for the clock "client".
    """

    remote = True
    per_process = False
    per_process_hint = ""

    def __init__(
        self,
        redis: Redis | str,
        *,
        prefix: str = "limit",
        deadline: float = 0.005,
        required: bool = True,
        clock: Literal["server", "client"] = "server",
        pause: float = 0.25,
        margin: float = 1.0,
        now: Callable[[], int] | None = None,
    ) -> None:
        if clock == "client" and now is None:
            from time import time_ns

            now = lambda: time_ns() // 1000  # noqa: E731
        self._own = isinstance(redis, str)
        self.redis = Redis(redis, name="limits") if isinstance(redis, str) else redis
        self.prefix = prefix
        self.deadline = deadline
        # One slow moment fails all who ask in it; that is not yet a server that is gone.
        self.breaker = _Breaker(10 * deadline, pause)
        self.margin = str(round(margin * 1000))
        self.now = now if clock == "client" else None
        self.counts: dict[str, Counts] = {}
        self.failures = 0
        self._required = required

    def bind(self, policies: Sequence[Policy]) -> RedisGate:
        """A gate for the policies."""
        if len(policies) > MAX_POLICIES:
            raise ConfigError(f"a limiter in Redis has at most {MAX_POLICIES} policies, not {len(policies)}")
        for policy in policies:
            self.counts.setdefault(policy.name, Counts())
        return RedisGate(self, policies)

    def counts_of(self, policy: Policy) -> Counts:
        """The counts of the policy, in this process."""
        return self.counts[policy.name]

    async def open(self) -> None:
        """Connects. Raises RedisError when that fails and Redis is required."""
        if self._own:
            await self.redis.start(wait=self._required)

    async def close(self) -> None:
        """Closes the connection, if it is its own."""
        if self._own:
            await self.redis.close()

    async def ping(self) -> None:
        """Raises when Redis does not answer."""
        await self.redis.execute("PING")


class RedisGate:
    """The policies of a limiter, decided upon at once and all or nothing, by a script in Redis.

    In a Redis cluster the keys of one decision must be of one slot: the part of a key in braces, which is the caller's
    own key, decides that.
    """

    def __init__(self, engine: RedisEngine, policies: Sequence[Policy]) -> None:
        self.policies = tuple(policies)
        self._engine = engine
        self._script = script_of(policies)
        self._begins = f"{engine.prefix}:{{"
        terms = [terms_of(policy) for policy in policies]
        # Another algorithm keeps another kind of state.
        self._ends = [f"}}:{policy.name}:{term.code}" for policy, term in zip(policies, terms, strict=True)]
        self._quotas = [term.quota for term in terms]
        self._loop: asyncio.AbstractEventLoop | None = None

    async def decide(self, keys: Sequence[str], cost: int, mode: int) -> Decision:
        """Decides by all policies, with a key for each; CONSUME, PEEK or REFUND. Raises EngineUnavailable."""
        engine = self._engine
        loop = self._loop = self._loop or asyncio.get_running_loop()
        breaker = engine.breaker
        if not breaker.admits(loop.time()):
            raise EngineUnavailable("Redis does not answer", retry_after=1.0)
        begins = self._begins
        words = [begins + key + end for key, end in zip(keys, self._ends, strict=True)]
        now = "" if engine.now is None else engine.now()
        try:
            reply = await engine.redis.call(
                self._script, words, (mode, cost, engine.margin, now), timeout=engine.deadline
            )
        except (RedisError, DeadlineExceeded) as error:
            engine.failures += 1
            breaker.failed(loop.time())
            raise EngineUnavailable(str(error), retry_after=1.0) from error
        breaker.succeeded()
        return self._told(reply)

    def _told(self, reply: list[Any]) -> Decision:
        policies, quotas = self.policies, self._quotas
        if len(policies) == 1:
            policy = policies[0]
            decision = Decision(policy, reply[0] == 1, quotas[0], reply[1], reply[2], reply[3])
            return joined((decision,)) if policy.shadow else decision
        return joined(
            [
                Decision(policy, reply[at] == 1, quotas[index], reply[at + 1], reply[at + 2], reply[at + 3])
                for index, (policy, at) in enumerate(zip(policies, range(0, len(reply), 4), strict=True))
            ]
        )
