"""States in memory that the workers of one machine share: one limit for all of them, and no server to ask."""

from __future__ import annotations

import fcntl
import os
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from time import monotonic_ns
from typing import Final

from framework.errors import ConfigError
from framework.plugins.ratelimit.kernel import CONSUME, PEEK, Counts, Decision, joined, tally
from framework.plugins.ratelimit.policy import Policy, Terms, terms_of
from framework.plugins.ratelimit.slots import WAYS, Slot, SlotFile
from framework.plugins.ratelimit.windows import (
    SCALE,
    Step,
    decision_of,
    fixed_step,
    gcra_step,
    log_step,
    sliding_step,
)

__all__ = ["SharedEngine", "SharedGate", "sweep", "workers_path"]

_LOG_SIZES: Final = (64, 1024)
_PREFIX: Final = "framework-limits"
_WIDTHS: Final = (1, 2, 3)
_PLACE: Final = "/dev/shm" if os.path.isdir("/dev/shm") else "/tmp"


class _Reading:
    """A key's decision, computed and not yet written: ``state`` is what it would leave."""

    __slots__ = ("at", "high", "low", "state", "step", "stripe")

    def __init__(self, high: int, low: int, at: int, stripe: int) -> None:
        self.high = high
        self.low = low
        self.at = at
        self.stripe = stripe
        self.step = Step(True, 0, 0, 0)
        self.state: Sequence[int] = ()


class SharedTable:
    """The keys of one policy, in a file of slots."""

    def __init__(self, policy: Policy, folder: Path, name: str, max_keys: int, patience: int) -> None:
        self.counts = Counts()
        self.evicted = 0
        self.policy = policy
        self.terms = terms = terms_of(policy)
        width = _WIDTHS[terms.code] if terms.code < 3 else 1 + log_size(terms.quota)
        if terms.code == 3:
            max_keys = min(max_keys, 4_000_000 // log_size(terms.quota))
        sets = max(1, -(-max_keys // WAYS))
        # What does not fit together is not the same file: a reload may come with other limits.
        path = str(folder / f"{name}.{policy.name}.{terms.code}-{width}-{sets}")
        self._make: Callable[[], SlotFile] = partial(
            SlotFile, path, sets=sets, width=width, patience=patience
        )
        self._file: SlotFile | None = None

    @property
    def file(self) -> SlotFile:
        """The mapped file; it is made or opened at first use. Raises OSError, ResourceError."""
        file = self._file
        if file is None:
            file = self._file = self._make()
        return file

    def close(self) -> None:
        """Unmaps the file."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def change(self, policy: Policy) -> None:
        """Takes other terms, for the keys that are there as well."""
        self.policy = policy
        self.terms = terms_of(policy)

    def place(self, key: str) -> _Reading:
        """Where a key is, or would be."""
        high, low, at = self.file.place(key)
        return _Reading(high, low, at, self.file.stripe(at))

    def read(self, reading: _Reading, now: int, cost: int, mode: int) -> Slot | None:
        """Computes, under the lock."""
        slot = self.file.find(reading.high, reading.low, reading.at)
        reading.step, reading.state = _stepped(
            self.terms, None if slot is None else slot.state, now, cost, mode
        )
        return slot

    def write(self, reading: _Reading, slot: Slot | None, now: int) -> None:
        """Writes what was computed, under the lock. A new key takes the slot of whoever owes least."""
        if slot is None:
            others = self.file.others(reading.at)
            owed = [_owes(self.terms, other.state, now) for other in others]
            least = owed.index(min(owed))
            if owed[least] > 0:
                self.evicted += 1
            slot = others[least]
        self.file.write(slot, reading.high, reading.low, reading.state)


def log_size(quota: int) -> int:
    """How many units a slot's log has room for: a quota that changes within it keeps the states of its keys.

    Raises:
        ConfigError: the quota is too large for a log in shared memory.
    """
    for size in _LOG_SIZES:
        if quota <= size:
            return size
    raise ConfigError(
        f"sliding_log in shared memory remembers at most {_LOG_SIZES[-1]} units; take sliding_window"
    )


def _stepped(
    terms: Terms, state: Sequence[int] | None, now: int, cost: int, mode: int
) -> tuple[Step, Sequence[int]]:
    """One decision in nanoseconds on a state as it stands in a slot."""
    micro = now // 1000
    after: Sequence[int]
    if terms.code == 0:
        step, arrival = gcra_step(terms, 0 if state is None else state[0], now, cost, mode)
        return step, (arrival,)
    if terms.code == 1:
        step, after = fixed_step(terms, (0, 0) if state is None else (state[0], state[1]), micro, cost, mode)
    elif terms.code == 2:
        old = (0, 0, 0) if state is None else (state[0], state[1], state[2])
        step, after = sliding_step(terms, old, micro, cost, mode)
    else:
        log = deque([] if state is None else state[1 : 1 + state[0]])
        step = log_step(terms, log, micro, cost, mode)
        after = [len(log), *log, *[0] * (log_size(terms.quota) - len(log))]
    return step, after


def _owes(terms: Terms, state: Sequence[int], now: int) -> int:
    """How much a slot's state differs from that of a new key; -1 for an empty slot."""
    if not state:
        return -1
    if terms.code == 0:
        return max(0, state[0] - now)
    micro = now // 1000
    if terms.code == 1:
        return fixed_step(terms, (state[0], state[1]), micro, 0, PEEK)[1][1]
    if terms.code == 2:
        start, count, before = sliding_step(terms, (state[0], state[1], state[2]), micro, 0, PEEK)[1]
        return before * (SCALE - max(0, micro - start) * SCALE // terms.period) + count * SCALE
    return sum(1 for time in state[1 : 1 + state[0]] if time > micro - terms.period)


class SharedGate:
    """The policies of a limiter, decided upon at once and all or nothing, under the locks of their keys.

    A worker that is killed in the middle leaves every single state whole; of several policies some may have been
    charged for that one request, and the others not.
    """

    def __init__(self, tables: Sequence[SharedTable], clock: Callable[[], int]) -> None:
        self.tables = tuple(tables)
        # Locks are taken in one order, whoever takes them.
        self._order = sorted(range(len(tables)), key=lambda index: tables[index].policy.name)
        self._clock = clock

    def consume(self, key: str, cost: int = 1) -> Decision:
        """Takes ``cost`` units for the key from every policy, if all have them."""
        return self.decide((key,) * len(self.tables), cost, CONSUME)

    def decide(self, keys: Sequence[str], cost: int, mode: int) -> Decision:
        """As ``consume``, with a key for each policy; or peeks, or gives back. Raises EngineUnavailable."""
        tables = self.tables
        readings = [table.place(key) for table, key in zip(tables, keys, strict=True)]
        locked: list[tuple[SharedTable, int]] = []
        try:
            for index in self._order:
                tables[index].file.lock(readings[index].stripe)
                locked.append((tables[index], readings[index].stripe))
            self._decide(readings, cost, mode)
        finally:
            for table, stripe in locked:
                table.file.unlock(stripe)
        return self._told(readings, mode)

    def _decide(self, readings: Sequence[_Reading], cost: int, mode: int) -> None:
        now = self._clock()
        slots = [
            table.read(reading, now, cost, mode) for table, reading in zip(self.tables, readings, strict=True)
        ]
        if mode == PEEK:
            return
        refused = any(
            not reading.step.allowed and not table.policy.shadow
            for table, reading in zip(self.tables, readings, strict=True)
        )
        for index, (table, reading) in enumerate(zip(self.tables, readings, strict=True)):
            slot = slots[index]
            if mode == CONSUME and not reading.step.allowed:
                if reading.step.ahead:
                    table.write(reading, slot, now)
            elif mode == CONSUME and refused:
                table.read(reading, now, cost, PEEK)
            elif slot is not None or mode == CONSUME:
                table.write(reading, slot, now)

    def _told(self, readings: Sequence[_Reading], mode: int) -> Decision:
        parts: list[Decision] = []
        for table, reading in zip(self.tables, readings, strict=True):
            if table.terms.code == 0:
                step = reading.step
                parts.append(
                    Decision(
                        table.policy, step.allowed, table.terms.quota, step.remaining, step.retry, step.reset
                    )
                )
            else:
                parts.append(decision_of(table.policy, table.terms.quota, reading.step))
        decision = joined(parts)
        if mode == CONSUME:
            for table, part in zip(self.tables, parts, strict=True):
                if decision.allowed or not part.allowed:
                    tally(table.counts, table.policy, part)
        return decision


class SharedEngine:
    """States in files that the workers map.

    Args:
        path: where the files are and how their names begin; those who give the same share them. Without one, workers
            of one supervisor share theirs, and a process without a supervisor has its own.
        max_keys: that each policy remembers; a key takes 40 to 72 bytes, with a log 16 for each unit of the quota.
        patience: seconds to try for a key's lock before the limiter's ``on_failure`` decides.
        clock: nanoseconds, of one clock for all processes.
    """

    remote = False
    per_process = False
    per_process_hint = ""

    def __init__(
        self,
        path: str | None = None,
        *,
        max_keys: int = 65_536,
        patience: float = 0.002,
        clock: Callable[[], int] = monotonic_ns,
    ) -> None:
        base = Path(workers_path() if path is None else path)
        self._folder, self._name = base.parent, base.name
        self._max_keys = max_keys
        self._patience = round(patience * 1e9)
        self._clock = clock
        self.tables: dict[str, SharedTable] = {}

    def bind(self, policies: Sequence[Policy]) -> SharedGate:
        """A gate for the policies."""
        return SharedGate([self._table(policy) for policy in policies], self._clock)

    def counts_of(self, policy: Policy) -> Counts:
        """The counts of the policy's table, in this process."""
        return self.tables[policy.name].counts

    def _table(self, policy: Policy) -> SharedTable:
        terms = terms_of(policy)
        table = self.tables.get(policy.name)
        if table is not None:
            if table.terms.code == terms.code and (
                terms.code != 3 or log_size(table.terms.quota) == log_size(terms.quota)
            ):
                table.change(policy)
                return table
            table.close()
        table = SharedTable(policy, self._folder, self._name, self._max_keys, self._patience)
        self.tables[policy.name] = table
        return table

    async def open(self) -> None:
        """Maps the files, and removes those that killed processes left behind. Raises OSError, ResourceError."""
        sweep(self._folder)
        for table in self.tables.values():
            table.file  # noqa: B018

    async def close(self) -> None:
        """Unmaps the files; the last process to do so removes them."""
        for table in self.tables.values():
            table.close()

    async def ping(self) -> None:
        """Raises EngineUnavailable when a lock cannot be had."""
        for table in self.tables.values():
            table.file.lock(0)
            table.file.unlock(0)


def workers_path(supervisor: int | None = None) -> str:
    """Where the workers of a supervisor share their files.

    Args:
        supervisor: its process id; without one, the caller has no fellow workers.
    """
    pid = os.getpid() if supervisor is None else supervisor
    return f"{_PLACE}/{_PREFIX}-{os.getuid()}-{pid}-{_born(pid)}"


def _born(pid: int) -> str:
    """When a process was started, so that another one with its number later is not taken for it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return "0"


def sweep(folder: Path) -> None:
    """Removes files of supervisors whose processes were all killed before they could."""
    for path in folder.glob(f"{_PREFIX}-{os.getuid()}-*"):
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
        except OSError:
            pass  # somebody uses it
        finally:
            os.close(descriptor)
