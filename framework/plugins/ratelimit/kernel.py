"""Decisions in memory: the state of each key, a bound on how many there are, and the bucket's arithmetic.

The hot path of the limiter. ``kernel.pxd`` beside it lets Cython compile this very file; it runs either way.

Memory under a flood of keys: a table has two parts. A key that was refused is *hot*, all others are *cold*. Room is
made among the cold ones, the oldest first and of those the ones that owe least; a hot key is only given up when it owes
nothing any more, or when all others are hot as well (they may fill seven eighths of the table). So whoever exhausts his
limit cannot have it forgotten by asking with a million other keys.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from time import monotonic_ns
from typing import Any, Final

from framework.plugins.ratelimit.policy import Policy, Terms, terms_of

__all__ = [
    "CONSUME",
    "NEVER",
    "PEEK",
    "REFUND",
    "Counts",
    "Decision",
    "GcraTable",
    "MemoryGate",
    "Table",
    "joined",
    "near_left",
    "tally",
]

PEEK: Final = 0
CONSUME: Final = 1
REFUND: Final = 2
NEVER: Final = -1
BATCH: Final = 256


class Counts:
    """What became of the requests to one policy. ``near``: admitted, with most of the quota used; ``shadowed``: would
    have been refused."""

    __slots__ = ("admitted", "near", "refused", "shadowed")

    def __init__(self) -> None:
        self.admitted = 0
        self.refused = 0
        self.near = 0
        self.shadowed = 0


class Decision:
    """What a limiter decided.

    Attributes:
        allowed: whether the request may go on.
        policy: whose numbers these are: the one that refuses for longest; else the one with the least left.
        quota: units that the policy admits at once.
        remaining: units that are left now.
        retry_ns: nanoseconds until this request would be admitted; 0 when it was, NEVER (-1) when it never will be
            because it costs more than the whole quota.
        reset_ns: nanoseconds until the whole quota is there again.
        parts: of a limiter with several policies, each one's own decision; empty otherwise.
        source: "" as a rule; "local", "open" or "closed" where the engine could not be asked; "lease".
    """

    __slots__ = ("allowed", "parts", "policy", "quota", "remaining", "reset_ns", "retry_ns", "source")

    def __init__(
        self, policy: Policy, allowed: bool, quota: int, remaining: int, retry_ns: int, reset_ns: int
    ) -> None:
        self.policy = policy
        self.allowed = allowed
        self.quota = quota
        self.remaining = remaining
        self.retry_ns = retry_ns
        self.reset_ns = reset_ns
        self.parts: tuple[Decision, ...] = ()
        self.source = ""

    @property
    def retry_after(self) -> float:
        """Seconds until this request would be admitted; infinite when it costs more than the quota."""
        return float("inf") if self.retry_ns < 0 else self.retry_ns / 1e9

    @property
    def reset_after(self) -> float:
        """Seconds until the whole quota is there again."""
        return self.reset_ns / 1e9

    @property
    def all(self) -> tuple[Decision, ...]:
        """Each policy's decision."""
        return self.parts or (self,)

    def __bool__(self) -> bool:
        return self.allowed

    def __repr__(self) -> str:
        word = "allowed" if self.allowed else f"refused for {self.retry_after:g} s"
        return f"<Decision {self.policy.name}: {word}, {self.remaining} of {self.quota} left>"


class Table:
    """The keys of one policy, at most ``max_keys`` of them. Subclasses know what a state is.

    Attributes:
        counts: what became of the requests.
        evicted: states that were given up although they said something.
    """

    __slots__ = ("cold", "counts", "evicted", "hot", "max_keys", "near_left", "policy", "shadow", "terms")

    def __init__(self, policy: Policy, max_keys: int) -> None:
        self.max_keys = max_keys
        self.counts = Counts()
        self.evicted = 0
        self.cold: dict[Any, Any] = {}
        self.hot: dict[Any, Any] = {}
        self.change(policy)

    def change(self, policy: Policy) -> None:
        """Takes other terms, which hold for the keys that are there as well."""
        self.policy = policy
        self.terms: Terms = terms_of(policy)
        self.shadow = policy.shadow
        self.near_left = near_left(policy, self.terms.quota)

    def decide(self, key: str, cost: int, now: int, mode: int) -> Decision:
        """Decides on ``cost`` units for a key at ``now`` nanoseconds; ``mode`` says whether they are taken."""
        raise NotImplementedError

    def owes(self, state: Any, now: int) -> int:
        """How much a state differs from that of a new key: 0 for not at all. Only the order counts."""
        raise NotImplementedError

    def tally(self, decision: Decision) -> None:
        """Counts a decision of this table's policy."""
        counts = self.counts
        if decision.allowed:
            counts.admitted += 1
            if decision.remaining < self.near_left:
                counts.near += 1
        elif self.shadow:
            counts.shadowed += 1
        else:
            counts.refused += 1

    def __len__(self) -> int:
        return len(self.cold) + len(self.hot)

    def heat(self, key: str, state: Any, now: int) -> None:
        """A key was refused: it is the last to be forgotten."""
        if self.cold.pop(key, None) is not None:
            if len(self.hot) * 8 >= self.max_keys * 7:
                self._thin(self.hot, now)
            self.hot[key] = state

    def make_room(self, now: int) -> None:
        """Called when the table is full, ahead of a new key."""
        self._cool(now)
        if len(self.cold) + len(self.hot) < self.max_keys:
            return
        self._thin(self.cold or self.hot, now)

    def _cool(self, now: int) -> None:
        """Looks at a few hot keys in turn, and drops those that owe nothing any more."""
        hot = self.hot
        for key in list(islice(hot, 8)):
            state = hot.pop(key)
            if self.owes(state, now) > 0:
                hot[key] = state

    def _thin(self, part: dict[Any, Any], now: int) -> None:
        """Of the oldest keys drops those that owe nothing, or else the half that owes least; the others become young.

        In batches: to find the oldest key of a dict takes time for each one that was removed before it.
        """
        wanted = min(BATCH, max(1, self.max_keys // 8))
        oldest = list(islice(part.items(), 2 * wanted))
        owed = sorted([(self.owes(state, now), index) for index, (_, state) in enumerate(oldest)])
        gone = {index for amount, index in owed if amount <= 0}
        if not gone:
            gone = {index for _, index in owed[:wanted]}
            self.evicted += len(gone)
        for index, (key, state) in enumerate(oldest):
            del part[key]
            if index not in gone:
                part[key] = state


class GcraTable(Table):
    """Buckets by virtual scheduling (ITU-T I.371, annex A). A state is one whole number: the *theoretical arrival
    time* in nanoseconds, at which the key will owe nothing; a key that is not there owes nothing now.

    Time that goes back makes the debt larger, and never pays it twice. A debt that is larger by more than a window than
    any could be is cut to that of an empty bucket: the clock was set back, or the limit was a larger one.
    """

    __slots__ = ("ahead", "interval", "limit", "quota")

    def change(self, policy: Policy) -> None:
        """Takes other terms."""
        Table.change(self, policy)
        self.interval = self.terms.interval
        self.limit = self.terms.limit
        self.ahead = self.terms.ahead
        self.quota = self.terms.quota

    def decide(self, key: str, cost: int, now: int, mode: int) -> Decision:
        """Decides; O(1)."""
        part = self.cold
        found = part.get(key)
        if found is None and self.hot:
            found = self.hot.get(key)
            if found is not None:
                part = self.hot
        interval, limit = self.interval, self.limit
        debt = 0
        if found is not None:
            debt = found
            debt -= now
            if debt < 0:
                debt = 0
            elif debt > self.ahead:
                debt = limit
                if mode == CONSUME:
                    part[key] = found = now + limit
        left = 0 if debt > limit else (limit - debt) // interval
        if mode != REFUND:
            after = limit + 1 if cost > self.quota else debt + cost * interval
            if after > limit:
                if mode == CONSUME and found is not None and part is self.cold:
                    self.heat(key, found, now)
                after = NEVER if cost > self.quota else after - limit
                return Decision(self.policy, False, self.quota, left, after, debt)
            if mode == CONSUME:
                if found is None and len(part) + len(self.hot) >= self.max_keys:
                    self.make_room(now)
                part[key] = now + after
                return Decision(self.policy, True, self.quota, left - cost, 0, after)
            return Decision(self.policy, True, self.quota, left, 0, debt)
        debt = 0 if cost > self.quota else max(0, debt - cost * interval)
        if found is not None:
            part[key] = now + debt
        left = 0 if debt > limit else (limit - debt) // interval
        return Decision(self.policy, True, self.quota, left, 0, debt)

    def owes(self, state: Any, now: int) -> int:
        """The debt."""
        owed: int = state - now
        return owed


class MemoryGate:
    """The policies of a limiter, decided upon at once and all or nothing, in this process.

    Args:
        tables: one for each policy.
        clock: nanoseconds that never go back.
    """

    __slots__ = ("_clock", "_only", "tables")

    def __init__(self, tables: Sequence[Table], clock: Callable[[], int] = monotonic_ns) -> None:
        self.tables = tuple(tables)
        self._clock = clock
        self._only = self.tables[0] if len(self.tables) == 1 else None

    def consume(self, key: str, cost: int = 1) -> Decision:
        """Takes ``cost`` units for the key from every policy, if all have them."""
        if cost < 0:
            raise ValueError(f"a request cannot cost {cost}; units are given back by refund")
        only = self._only
        if only is None:
            return self.decide((key,) * len(self.tables), cost, CONSUME)
        decision = only.decide(key, cost, self._clock(), CONSUME)
        only.tally(decision)
        if not decision.allowed and only.shadow:
            decision.allowed = True
            decision.retry_ns = 0
        return decision

    def decide(self, keys: Sequence[str], cost: int, mode: int) -> Decision:
        """As ``consume``, with a key for each policy; or peeks, or gives back."""
        now = self._clock()
        tables = self.tables
        if mode != CONSUME:
            return joined(
                [table.decide(key, cost, now, mode) for table, key in zip(tables, keys, strict=True)]
            )
        parts = [table.decide(key, cost, now, PEEK) for table, key in zip(tables, keys, strict=True)]
        every = True
        for table, part in zip(tables, parts, strict=True):
            if not part.allowed and not table.shadow:
                every = False
        for index, table in enumerate(tables):
            # A refusal is asked for once more as what it is, so that the key counts as hot.
            if every or not parts[index].allowed:
                parts[index] = table.decide(keys[index], cost, now, CONSUME)
        for table, part in zip(tables, parts, strict=True):
            if every or not part.allowed:
                table.tally(part)
        return joined(parts)


def joined(parts: Sequence[Decision]) -> Decision:
    """One decision of those of several policies: that of the one which binds most. Shadows bind nobody."""
    if len(parts) == 1 and (parts[0].allowed or not parts[0].policy.shadow):
        return parts[0]
    binding = [part for part in parts if not part.policy.shadow]
    refusing = [part for part in binding if not part.allowed]
    bound = (refusing or binding or parts)[0]
    for part in refusing or binding:
        if refusing:
            if _later(part, bound):
                bound = part
        elif part.remaining * bound.quota < bound.remaining * part.quota:
            bound = part
    retry_ns = bound.retry_ns if refusing else 0
    decision = Decision(bound.policy, not refusing, bound.quota, bound.remaining, retry_ns, bound.reset_ns)
    if len(parts) > 1 or not parts[0].allowed:
        decision.parts = tuple(parts)
    return decision


def near_left(policy: Policy, quota: int) -> int:
    """With less than this left of the quota an admission is near the limit; the last unit always is."""
    return max(1, quota - round(quota * policy.near))


def tally(counts: Counts, policy: Policy, decision: Decision) -> None:
    """Counts a policy's decision, for those who have no table."""
    if decision.allowed:
        counts.admitted += 1
        if decision.remaining < near_left(policy, decision.quota):
            counts.near += 1
    elif policy.shadow:
        counts.shadowed += 1
    else:
        counts.refused += 1


def _later(part: Decision, than: Decision) -> bool:
    if part.retry_ns < 0 or than.retry_ns < 0:
        return part.retry_ns < 0
    return part.retry_ns > than.retry_ns
