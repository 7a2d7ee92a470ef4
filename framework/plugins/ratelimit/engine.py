"""What an engine is: where the states of keys are kept, and who shares them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic_ns
from typing import Protocol, runtime_checkable

from framework.errors import ResourceError
from framework.plugins.ratelimit.kernel import Counts, Decision, GcraTable, MemoryGate, Table
from framework.plugins.ratelimit.policy import Policy, terms_of
from framework.plugins.ratelimit.windows import FixedTable, LogTable, SlidingTable

__all__ = ["Engine", "EngineUnavailable", "LocalGate", "MemoryEngine", "RemoteGate", "new_table"]

MAX_LOGGED: int = 4_000_000


class EngineUnavailable(ResourceError):
    """The engine did not decide in time; what then happens is the limiter's ``on_failure``."""


class LocalGate(Protocol):
    """Decides by the policies of one limiter at once, without waiting."""

    def consume(self, key: str, cost: int = 1) -> Decision:
        """Takes ``cost`` units for the key by every policy, if each has them. Raises EngineUnavailable."""
        ...

    def decide(self, keys: Sequence[str], cost: int, mode: int) -> Decision:
        """As ``consume``, with one key for each policy; ``mode`` may also be PEEK or REFUND."""
        ...


class RemoteGate(Protocol):
    """Decides by the policies of one limiter at once, by asking somebody."""

    async def decide(self, keys: Sequence[str], cost: int, mode: int) -> Decision:
        """As a LocalGate's. Raises EngineUnavailable when there is no answer in time."""
        ...


@runtime_checkable
class Engine(Protocol):
    """Keeps states. Policies of one name are one policy, also of several limiters: the last terms bound to it hold.

    Attributes:
        remote: it has to be asked, and its gates are RemoteGates.
        per_process: each process has its own states: a limit is too loose by the number of processes.
        per_process_hint: what to take instead.
    """

    remote: bool
    per_process: bool
    per_process_hint: str

    def bind(self, policies: Sequence[Policy]) -> LocalGate | RemoteGate:
        """A gate for the policies of a limiter; the keys that are there keep what they owe."""
        ...

    def counts_of(self, policy: Policy) -> Counts:
        """What became of the requests to a policy that was bound."""
        ...

    async def open(self) -> None:
        """Makes it ready. Raises ResourceError or OSError when that cannot be."""
        ...

    async def close(self) -> None:
        """Gives back what it holds."""
        ...

    async def ping(self) -> None:
        """Raises when it cannot decide now."""
        ...


def new_table(policy: Policy, max_keys: int) -> Table:
    """An empty table for a policy. A log remembers every unit: its table has as many keys as four million units
    allow."""
    if policy.algorithm == "sliding_log":
        return LogTable(policy, max(1, min(max_keys, MAX_LOGGED // policy.quota)))
    kind = {"fixed_window": FixedTable, "sliding_window": SlidingTable}.get(policy.algorithm, GcraTable)
    return kind(policy, max_keys)


class MemoryEngine:
    """States in the memory of this process, by its monotonic clock.

    Args:
        max_keys: that each policy remembers. What a key takes: about 200 bytes and the key's own length.
        clock: nanoseconds that never go back.
    """

    remote = False
    per_process = True
    per_process_hint = 'share the limits by ratelimit.url = "shared://" or "redis://..."'

    def __init__(self, *, max_keys: int = 100_000, clock: Callable[[], int] = monotonic_ns) -> None:
        if max_keys < 1:
            raise ValueError("max_keys: an engine remembers at least one key")
        self.tables: dict[str, Table] = {}
        self._max_keys = max_keys
        self._clock = clock

    def bind(self, policies: Sequence[Policy]) -> MemoryGate:
        """A gate for the policies."""
        return MemoryGate([self._table(policy) for policy in policies], self._clock)

    def counts_of(self, policy: Policy) -> Counts:
        """The counts of the policy's table."""
        return self.tables[policy.name].counts

    def _table(self, policy: Policy) -> Table:
        code = terms_of(policy).code
        table = self.tables.get(policy.name)
        if table is None or table.terms.code != code:
            table = self.tables[policy.name] = new_table(policy, self._max_keys)
        else:
            table.change(policy)
        return table

    async def open(self) -> None:
        """Nothing to do."""

    async def close(self) -> None:
        """Forgets every key."""
        for table in self.tables.values():
            table.cold.clear()
            table.hot.clear()

    async def ping(self) -> None:
        """It always can."""
