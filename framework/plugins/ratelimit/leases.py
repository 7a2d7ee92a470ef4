"""The hybrid of memory and Redis: units are taken from Redis by the lease, and spent here.

**The bound.** Redis never hands out more than the policy admits. What a worker holds it took earlier, at most one
lease for each key: so within any stretch of time all workers together admit at most what the policy admits in it, plus
``workers * lease`` units taken before it began. A lease that is not spent within ``lease_time`` is dropped, not given
back: giving back later than taking would let the policy be exceeded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import islice

from framework.errors import ConfigError
from framework.plugins.ratelimit.engine import RemoteGate
from framework.plugins.ratelimit.kernel import CONSUME, Decision
from framework.plugins.ratelimit.policy import Policy, terms_of

__all__ = ["LeaseGate"]


class _Lease:
    """Units at hand for a key, until ``ends`` (loop time); ``waits`` is the request for more, when one is under way.

    Until ``refused_until`` a request for ``refused`` units or more would be refused again.
    """

    __slots__ = ("ends", "refused", "refused_until", "reset_ns", "units", "waits")

    def __init__(self) -> None:
        self.units = 0
        self.ends = 0.0
        self.reset_ns = 0
        self.refused = 0
        self.refused_until = 0.0
        self.waits: asyncio.Future[None] | None = None


class LeaseGate:
    """Asks ``gate`` for ``lease`` units at a time.

    Args:
        gate: that of the one policy.
        lease: units; the larger, the fewer round trips and the more overshoot.
        lease_time: seconds for which a lease is good.
        max_keys: leases held at once; the oldest go first.

    Raises:
        ConfigError: a lease larger than the quota.
    """

    def __init__(
        self, gate: RemoteGate, policy: Policy, *, lease: int, lease_time: float, max_keys: int = 100_000
    ) -> None:
        self.policy = policy
        self._quota = terms_of(policy).quota
        if not 1 <= lease <= self._quota:
            raise ConfigError(
                f"policy {policy.name}: lease: it must be 1 to the quota of {self._quota}, not {lease}"
            )
        self._gate = gate
        self._lease = lease
        self._lease_time = lease_time
        self._max_keys = max_keys
        self._leases: dict[str, _Lease] = {}

    @property
    def held(self) -> int:
        """Units at hand, for all keys."""
        return sum(lease.units for lease in self._leases.values())

    async def decide(self, keys: Sequence[str], cost: int, mode: int) -> Decision:
        """Spends what is at hand, or asks for more; what peeks and gives back asks Redis. Raises EngineUnavailable."""
        if mode != CONSUME:
            return await self._gate.decide(keys, cost, mode)
        if cost > self._quota:
            return await self._gate.decide(keys, cost, mode)
        (key,) = keys
        now = asyncio.get_running_loop().time
        while True:
            lease = self._leases.get(key)
            if lease is None:
                lease = self._open(key)
            if lease.ends <= now():
                lease.units = 0
            if lease.units >= cost:
                lease.units -= cost
                decision = Decision(self.policy, True, self._quota, lease.units, 0, lease.reset_ns)
                decision.source = "lease"
                return decision
            left = lease.refused_until - now()
            if left > 0 and cost - lease.units >= lease.refused:
                ns = max(1, round(left * 1e9))
                decision = Decision(self.policy, False, self._quota, lease.units, ns, ns)
                decision.source = "lease"
                return decision
            if lease.waits is None:
                return await self._ask(key, lease, cost)
            # One request for each key: everybody else waits for it, and looks again.
            await asyncio.shield(lease.waits)

    async def _ask(self, key: str, lease: _Lease, cost: int) -> Decision:
        loop = asyncio.get_running_loop()
        done = lease.waits = loop.create_future()
        try:
            # Topped up, not added to: more than a lease is never at hand.
            wanted = max(cost, self._lease) - lease.units
            decision = await self._gate.decide((key,), wanted, CONSUME)
            if not decision.allowed and wanted > cost - lease.units:
                wanted = cost - lease.units
                decision = await self._gate.decide((key,), wanted, CONSUME)
            if decision.allowed:
                lease.units += wanted - cost
                lease.ends = loop.time() + self._lease_time
                lease.reset_ns = decision.reset_ns
            elif decision.retry_ns > 0:
                # Until then nobody else has to ask, either: a flood that is refused costs no round trips.
                lease.refused = wanted
                lease.refused_until = loop.time() + decision.retry_ns / 1e9
            return decision
        finally:
            lease.waits = None
            done.set_result(None)

    def _open(self, key: str) -> _Lease:
        leases = self._leases
        if len(leases) >= self._max_keys:
            for old in list(islice(leases, max(1, self._max_keys // 8))):
                if leases[old].waits is None:
                    del leases[old]
        lease = leases[key] = _Lease()
        return lease
