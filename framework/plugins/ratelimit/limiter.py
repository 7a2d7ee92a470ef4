"""The limiter: some policies, an engine, and what to do when the engine cannot be asked."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, Literal, ParamSpec, TypeAlias, TypeVar, cast

import msgspec

from framework.errors import ConfigError, LimitExceeded
from framework.plugins.ratelimit.engine import Engine, EngineUnavailable, LocalGate, MemoryEngine, RemoteGate
from framework.plugins.ratelimit.kernel import CONSUME, PEEK, REFUND, Decision, MemoryGate, tally
from framework.plugins.ratelimit.leases import LeaseGate
from framework.plugins.ratelimit.policy import Policy, terms_of

__all__ = ["OnFailure", "RateLimiter", "exceeded"]

P = ParamSpec("P")
T = TypeVar("T")
OnFailure: TypeAlias = Literal["local", "open", "closed"]
_LOG: Final = logging.getLogger("framework.ratelimit")
QUOTA_EXCEEDED: Final = "https://iana.org/assignments/http-problem-types#quota-exceeded"
REDUCED_CAPACITY: Final = "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"


class _Line:
    """Those who wait for one key."""

    __slots__ = ("people", "turn")

    def __init__(self) -> None:
        self.people = 0
        self.turn = asyncio.Lock()


class RateLimiter:
    """Decides by policies, all at once: a request that one of them refuses takes nothing from any.

    Args:
        policies: a Policy, a rate such as "100/minute", or several.
        engine: where the states are; a MemoryEngine of its own when not given. Whoever made it opens and closes it.
        on_failure: what decides while the engine cannot be asked: "local" (this process alone, by its part of the
            quota), "open" (everybody is admitted) or "closed" (everybody is refused).
        instances: how many processes share the engine, as far as is known: "local" admits that part of the quota.
        lease: units that are taken from a remote engine at a time and spent here; 0 asks for every decision. The quota
            may be exceeded by ``instances * lease``. For a limiter with one policy.
        lease_time: seconds for which a lease is good; a tenth of the window when not given.
        max_waiting: callers of ``wait`` at once.

    Raises:
        ConfigError: policies with problems, of one name, or none.
    """

    def __init__(
        self,
        policies: Policy | str | Iterable[Policy | str],
        engine: Engine | None = None,
        *,
        on_failure: OnFailure = "local",
        instances: int = 1,
        lease: int = 0,
        lease_time: float | None = None,
        max_waiting: int = 1000,
    ) -> None:
        self.engine: Engine = MemoryEngine() if engine is None else engine
        self.on_failure = on_failure
        self.degraded = 0
        self._instances = instances
        self._lease = lease
        self._lease_time = lease_time
        self._max_waiting = max_waiting
        self._lines: dict[str, _Line] = {}
        self._waiting = 0
        self._failing = False
        self.change(policies)

    def change(self, policies: Policy | str | Iterable[Policy | str]) -> None:
        """Takes other policies. Those of a name that was there keep the states of their keys, under the new terms."""
        several = [policies] if isinstance(policies, Policy | str) else list(policies)
        made = [Policy.of(one) if isinstance(one, str) else one for one in several]
        names = [policy.name for policy in made]
        problems = [
            f"two policies are named {name}" for name in sorted({n for n in names if names.count(n) > 1})
        ]
        problems += [f"policy {policy.name}: {problem}" for policy in made for problem in policy.problems()]
        if not made:
            problems.append("a limiter has at least one policy")
        if self._lease and len(made) > 1:
            problems.append("leases are for a limiter with one policy")
        if problems:
            raise ConfigError(problems)
        self.policies: tuple[Policy, ...] = tuple(made)
        gate = self.engine.bind(made)
        self._local: LocalGate | None = None
        self._remote: RemoteGate | None = None
        if self.engine.remote:
            self._remote = cast("RemoteGate", gate)
            if self._lease:
                policy = made[0]
                seconds = policy.window / 10 if self._lease_time is None else self._lease_time
                self._remote = LeaseGate(self._remote, policy, lease=self._lease, lease_time=seconds)
        else:
            self._local = cast("LocalGate", gate)
        self._share = self._shared_out(made)
        # The shortest way for the commonest case: nothing between the caller and the gate.
        self.consume_now: Callable[..., Decision] = (
            self._local.consume if isinstance(self._local, MemoryGate) else self._consume_now
        )

    def _shared_out(self, policies: Sequence[Policy]) -> LocalGate:
        """A gate of this process, for its part of each quota."""
        parts = [
            msgspec.structs.replace(
                policy,
                quota=max(1, policy.quota // self._instances),
                burst=None if policy.burst is None else max(1, policy.burst // self._instances),
            )
            for policy in policies
        ]
        return MemoryEngine().bind(parts)

    # -- decisions --------------------------------------------------------------------------------------------------

    def _consume_now(self, key: str, cost: int = 1) -> Decision:
        """Takes ``cost`` units for ``key``, without waiting. Only where the engine is not remote.

        ``limiter.consume_now(key, cost=1)``.
        """
        return self.decide_now((key,) * len(self.policies), cost, CONSUME)

    def decide_now(self, keys: Sequence[str], cost: int = 1, mode: int = CONSUME) -> Decision:
        """As ``consume_now``, with a key for each policy.

        Raises:
            TypeError: the engine is remote, and has to be awaited.
        """
        if self._local is None:
            raise TypeError("this limiter's engine is remote: await its decisions")
        if cost < 0:
            raise ValueError(f"a request cannot cost {cost}; units are given back by refund")
        try:
            decision = self._local.decide(keys, cost, mode)
        except EngineUnavailable as error:
            return self._instead(keys, cost, mode, error)
        return decision

    async def decide(self, keys: Sequence[str], cost: int = 1, mode: int = CONSUME) -> Decision:
        """Decides with a key for each policy; ``mode`` is CONSUME, PEEK or REFUND."""
        if cost < 0:
            raise ValueError(f"a request cannot cost {cost}; units are given back by refund")
        if self._remote is None:
            return self.decide_now(keys, cost, mode)
        try:
            decision = await self._remote.decide(keys, cost, mode)
        except EngineUnavailable as error:
            return self._instead(keys, cost, mode, error)
        if self._failing:
            self._failing = False
            _LOG.info("rate limits are decided by their engine again")
        if mode == CONSUME:
            self._tally(decision)
        return decision

    def _tally(self, decision: Decision) -> None:
        """Counts what a remote engine decided; the others count by themselves."""
        for part in decision.all:
            if decision.allowed or not part.allowed:
                tally(self.engine.counts_of(part.policy), part.policy, part)

    async def consume(self, key: str, cost: int = 1) -> Decision:
        """Takes ``cost`` units for ``key`` from every policy, if each has them; never raises for a refusal."""
        return await self.decide((key,) * len(self.policies), cost)

    async def peek(self, key: str, cost: int = 1) -> Decision:
        """What ``consume`` would decide now; nothing is taken."""
        return await self.decide((key,) * len(self.policies), cost, PEEK)

    async def refund(self, key: str, cost: int = 1) -> Decision:
        """Gives back units that were taken a moment ago and not used; a key never has more than its quota."""
        return await self.decide((key,) * len(self.policies), cost, REFUND)

    async def require(self, key: str, cost: int = 1) -> Decision:
        """As ``consume``; raises LimitExceeded for a refusal."""
        decision = await self.consume(key, cost)
        if not decision.allowed:
            raise exceeded(decision)
        return decision

    async def wait(self, key: str, cost: int = 1, *, timeout: float) -> Decision:
        """Waits until ``cost`` units can be taken. Those who wait for one key are served in the order they came.

        Raises:
            LimitExceeded: it would take longer than ``timeout`` seconds (told at once, as far as can be known), the
                cost is more than the quota, or too many wait already.
        """
        loop = asyncio.get_running_loop()
        due = loop.time() + timeout
        if self._waiting >= self._max_waiting:
            raise exceeded(await self.peek(key, cost))
        self._waiting += 1
        line = self._lines.setdefault(key, _Line())
        line.people += 1
        deadline = asyncio.timeout_at(due)
        try:
            async with deadline, line.turn:
                while True:
                    decision = await self.consume(key, cost)
                    if decision.allowed:
                        return decision
                    if loop.time() + decision.retry_after > due:
                        raise exceeded(decision)
                    await asyncio.sleep(decision.retry_after)
        except TimeoutError:
            if deadline.expired():
                raise exceeded(await self.peek(key, cost)) from None
            raise
        finally:
            self._waiting -= 1
            line.people -= 1
            if not line.people:
                del self._lines[key]

    # -- when the engine cannot be asked ----------------------------------------------------------------------------

    def _instead(self, keys: Sequence[str], cost: int, mode: int, error: EngineUnavailable) -> Decision:
        self.degraded += 1
        if not self._failing:
            self._failing = True
            _LOG.warning("rate limits are decided by on_failure=%r: %s", self.on_failure, error)
        if self.on_failure == "local":
            decision = self._share.decide(keys, cost, mode)
        else:
            policy = self.policies[0]
            quota = terms_of(policy).quota
            is_open = self.on_failure == "open"
            decision = Decision(policy, is_open, quota, quota if is_open else 0, 0 if is_open else 10**9, 0)
        decision.source = self.on_failure
        return decision

    # -- decorator --------------------------------------------------------------------------------------------------

    def limited(
        self, key: str | Callable[P, str] = "", *, cost: int = 1
    ) -> Callable[[Callable[P, Awaitable[T]]], Callable[P, Awaitable[T]]]:
        """Decorates an async function: a call that is refused raises LimitExceeded.

        Args:
            key: one for all calls, or a function of the call's arguments.
            cost: of each call.
        """

        def decorate(function: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
            @functools.wraps(function)
            async def limited(*args: P.args, **kwargs: P.kwargs) -> T:
                await self.require(key(*args, **kwargs) if callable(key) else key, cost)
                return await function(*args, **kwargs)

            return limited

        return decorate


def exceeded(decision: Decision, headers: dict[str, str] | None = None) -> LimitExceeded:
    """The error that says what a decision refused."""
    closed = decision.source == "closed"
    return LimitExceeded(
        decision.policy.name,
        retry_after=decision.retry_after,
        status=503 if closed else 429,
        headers=headers,
        type=REDUCED_CAPACITY if closed else QUOTA_EXCEEDED,
        violated=[part.policy.name for part in decision.all if not part.allowed],
    )
