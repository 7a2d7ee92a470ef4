"""The pool's core against its books, whatever happens in whatever order; and whole pools in simulated weather."""

from __future__ import annotations

import asyncio
import random

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from framework.plugins.pool import ConnectionPool, PoolExhausted, PoolSettings, PoolTimeout
from framework.plugins.pool.core import Core
from framework.plugins.pool.slots import (
    Close,
    Grant,
    Open,
    Reason,
    Refuse,
    Report,
    Slot,
    State,
    Terminate,
    Waiter,
)
from framework.testing import run_virtual
from tests.support.connections import Network, WireLost

PICK = st.integers(0, 1_000_000)


class Books(RuleBasedStateMachine):
    """Plays the shell, the server and the borrowers; checks after each step what must always hold."""

    @initialize(
        minimum=st.integers(0, 3),
        extra=st.integers(0, 3),
        connecting=st.integers(1, 4),
        check_after=st.sampled_from([0.0, 1.0, 100.0]),
        idle=st.sampled_from([0.0, 5.0]),
        lifetime=st.sampled_from([0.0, 20.0]),
        leak=st.sampled_from([0.0, 7.0]),
    )
    def begin(
        self,
        minimum: int,
        extra: int,
        connecting: int,
        check_after: float,
        idle: float,
        lifetime: float,
        leak: float,
    ) -> None:
        options = PoolSettings(
            min_size=minimum,
            max_size=max(1, minimum + extra),
            max_connecting=connecting,
            check_after=check_after,
            idle_timeout=idle,
            max_lifetime=lifetime,
            leak_after=leak,
        )
        self.core: Core = Core(options, random.Random(1).random)
        self.now = 100.0
        self.connections = 0
        self.opens: list[Slot] = []
        self.closes: list[Slot] = []
        self.granted: list[Waiter] = []  # woken, but they have not run yet
        self.queue: list[Waiter] = []  # who should be waiting, in the order in which they are to be served
        self.held: list[Slot] = []
        self.ended: set[int] = set()  # connections that were closed or terminated
        self.steps = 0
        self.core.start(self.now)
        self.perform()

    def perform(self) -> None:
        self.steps += 1
        while self.core.actions:
            actions, self.core.actions = self.core.actions, []
            for action in actions:
                self.do(action)

    def do(self, action: object) -> None:
        match action:
            case Open(slot):
                assert len(self.core.slots) <= self.core.max_size
                assert not self.core.is_closed
                self.opens.append(slot)
            case Close(slot, _):
                self.end(slot)
                self.closes.append(slot)
            case Terminate(slot, _):
                self.end(slot)
                self.core.gone(slot, self.now)
            case Grant(waiter):
                assert self.core.lending
                assert waiter is self.queue.pop(0), "somebody was overtaken"
                assert self.now < waiter.deadline or self.now >= waiter.since
                self.granted.append(waiter)
            case Refuse(waiter, closed):
                assert closed or self.now >= waiter.deadline
                self.queue.remove(waiter)
            case Report(slot):
                assert slot.state is State.LENT
            case _:
                raise AssertionError(action)

    def end(self, slot: Slot) -> None:
        assert slot.connection not in self.ended, "a connection was ended twice"
        assert slot not in self.held or slot.state is not State.LENT
        self.ended.add(slot.connection)

    # -- borrowers --------------------------------------------------------------------------------------------------

    @rule(patience=st.sampled_from([0.5, 3.0, 30.0]))
    def acquire(self, patience: float) -> None:
        if self.core.is_closed:
            return
        slot = self.core.take(self.now) or self.core.pick(self.now)
        if slot is None:
            self.wait(patience, again=False)
        else:
            assert not self.queue, "a newcomer got what somebody waits for"
            self.got(slot)
        self.perform()

    def wait(self, patience: float, *, again: bool) -> None:
        waiter = self.core.enqueue(self.now, self.now + patience, None, again=again)
        self.queue.insert(0 if again else len(self.queue), waiter)

    def got(self, slot: Slot) -> None:
        assert slot not in self.held, "two have the same connection"
        assert slot.connection not in self.ended, "a connection was lent that had been ended"
        assert self.core.is_closed or slot.state in (State.LENT, State.CHECKING)
        self.held.append(slot)

    @precondition(lambda self: self.granted)
    @rule(pick=PICK)
    def wakes(self, pick: int) -> None:
        slot = self.granted.pop(pick % len(self.granted)).slot
        assert slot is not None
        if slot.state in (State.LENT, State.CHECKING):
            self.got(slot)

    @precondition(lambda self: self.granted)
    @rule(pick=PICK)
    def is_cancelled_as_it_wakes(self, pick: int) -> None:
        self.core.abandon(self.granted.pop(pick % len(self.granted)), self.now)
        self.perform()

    @precondition(lambda self: self.queue)
    @rule(pick=PICK)
    def is_cancelled_in_the_queue(self, pick: int) -> None:
        self.core.abandon(self.queue.pop(pick % len(self.queue)), self.now)
        self.perform()

    @precondition(lambda self: self.held)
    @rule(pick=PICK, fate=st.sampled_from(["clean", "clean", "clean", "broken", "cut"]))
    def returns(self, pick: int, fate: str) -> None:
        slot = self.held.pop(pick % len(self.held))
        if slot.state is State.CHECKING:
            self.core.checked(slot, self.now)
        if fate == "clean":
            self.core.put(slot, self.now)
        else:
            self.core.discard(slot, Reason.BROKEN if fate == "broken" else Reason.CUT, self.now)
        self.perform()

    @precondition(lambda self: any(slot.state is State.CHECKING for slot in self.held))
    @rule(pick=PICK, goes_on=st.booleans())
    def finds_it_stale(self, pick: int, goes_on: bool) -> None:
        checking = [slot for slot in self.held if slot.state is State.CHECKING]
        slot = checking[pick % len(checking)]
        self.held.remove(slot)
        self.core.check_failed(slot, self.now)
        self.perform()
        if goes_on and not self.core.is_closed and not self.core.idle:
            self.wait(3.0, again=True)
            self.perform()

    # -- the server -------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.opens)
    @rule(pick=PICK, fate=st.sampled_from(["opened", "opened", "failed", "given up"]))
    def connects(self, pick: int, fate: str) -> None:
        slot = self.opens.pop(pick % len(self.opens))
        if fate == "opened":
            self.connections += 1
            self.core.opened(slot, self.connections, self.now)
        else:
            self.core.open_failed(slot, OSError("refused") if fate == "failed" else None, self.now)
        self.perform()

    @precondition(lambda self: self.closes)
    @rule(pick=PICK)
    def is_closed(self, pick: int) -> None:
        self.core.gone(self.closes.pop(pick % len(self.closes)), self.now)
        self.perform()

    # -- time and operators -----------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.01, 0.3, 1.0, 4.0]))
    def time_passes(self, seconds: float) -> None:
        """The core is called when it asked to be, and at no other time."""
        until = self.now + seconds
        for _ in range(10_000):
            if self.core.wake > until:
                break
            self.now = max(self.now, self.core.wake)
            self.core.tick(self.now)
            self.perform()
            assert self.core.wake > self.now, "it wants to be called again and again"
        else:
            raise AssertionError("it never comes to rest")
        self.now = until

    @rule(plan=st.lists(st.tuples(st.sampled_from("accrrt"), PICK), min_size=5, max_size=30))
    def a_busy_day(self, plan: list[tuple[str, int]]) -> None:
        """What happens most: borrowing, connecting and returning, in any order."""
        for kind, pick in plan:
            if kind == "a":
                self.acquire(3.0)
            elif kind == "c" and self.opens:
                self.connects(pick, "opened")
            elif kind == "r" and (self.granted or self.held):
                if self.granted:
                    self.wakes(pick)
                else:
                    self.returns(pick, "clean")
            elif kind == "t":
                self.time_passes(0.01)
            self.the_books_balance()
            self.those_wait_who_should()
            self.nobody_is_forgotten()

    @rule()
    def pauses(self) -> None:
        self.core.pause()

    @rule()
    def resumes(self) -> None:
        self.core.resume(self.now)
        self.perform()

    @rule()
    def drains(self) -> None:
        self.core.drain(self.now)
        self.perform()

    @rule(minimum=st.integers(0, 3), extra=st.integers(0, 3))
    def is_resized(self, minimum: int, extra: int) -> None:
        self.core.resize(minimum, max(1, minimum + extra), self.now)
        self.core.tick(self.now)
        self.perform()

    def teardown(self) -> None:
        """In the end the pool is closed: some come back in time, the others find their connection terminated."""
        if not hasattr(self, "core"):
            return
        core = self.core
        core.close(self.now)
        self.perform()
        self.those_wait_who_should()
        in_time, late = self.held[::2], self.held[1::2]
        self.held = late
        for slot in in_time:
            core.checked(slot, self.now)
            core.put(slot, self.now)
            self.perform()
        core.kill(self.now)
        self.perform()
        while self.held:
            core.put(self.held.pop(), self.now)
            self.perform()
        while self.granted:
            core.abandon(self.granted.pop(), self.now)
            self.perform()
        while self.opens:
            core.open_failed(self.opens.pop(), None, self.now)
        while self.closes:
            core.gone(self.closes.pop(), self.now)
        self.the_books_balance()
        assert not core.slots
        assert core.counts.opened == sum(core.counts.closed.values()) == len(self.ended)

    # -- what must hold ---------------------------------------------------------------------------------------------

    @invariant()
    def the_books_balance(self) -> None:
        core = self.core
        states = [slot.state for slot in core.slots.values()]
        out = [slot for slot in core.slots.values() if slot.state in (State.LENT, State.CHECKING)]
        assert core.opening == states.count(State.OPENING) == len(self.opens)
        assert core.closing == states.count(State.CLOSING) == len(self.closes)
        assert len(core.idle) == states.count(State.IDLE)
        assert core.lent == len(out)
        assert len(states) == core.opening + core.closing + core.lent + len(core.idle)
        theirs = [*self.held, *(waiter.slot for waiter in self.granted)]
        assert {slot.number for slot in out} <= {slot.number for slot in theirs if slot is not None}
        assert all(slot.connection not in self.ended for slot in (*core.idle, *out))
        assert all(slot.generation == core.generation for slot in core.idle), "stale, and yet kept"
        assert len({slot.connection for slot in (*core.idle, *out)}) == len(core.idle) + len(out)

    @invariant()
    def those_wait_who_should(self) -> None:
        assert list(self.core.waiters) == self.queue
        assert len({id(waiter) for waiter in self.queue}) == len(self.queue)
        if self.core.lending:
            assert not (self.queue and self.core.idle), "somebody waits while a connection is idle"
        if self.core.is_closed:
            assert not self.queue
            assert not self.core.idle

    @invariant()
    def nobody_is_forgotten(self) -> None:
        """P6 and P7: who waits is waited for by something: a return, an opening, a closing, or a moment to come."""
        core = self.core
        if self.queue:
            assert core.wake <= min(waiter.deadline for waiter in self.queue)
        missing = (self.queue and core.lending) or (
            not core.is_closed and len(core.slots) - core.closing < core.min_size
        )
        if missing and not core.opening and not core.closing and not (self.queue and core.lent):
            assert core.backoff.is_failing
            assert core.wake <= core.backoff.retry_at or core.backoff.retry_at <= self.now

    @invariant()
    def old_connections_are_called_for(self) -> None:
        core = self.core
        for slot in core.idle:
            assert core.wake <= slot.retire_at


TestBooks = Books.TestCase
TestBooks.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)


async def weather(seed: int) -> None:
    """Borrowers of all kinds, and a server that restarts, refuses, and answers nothing, for ten minutes."""
    chance = random.Random(seed)
    network = Network(
        connect=chance.choice([0.0, 0.01, 0.3]),
        check=0.01,
        reset=0.01,
        close=chance.choice([0.0, 0.2]),
        resets=chance.random() < 0.3,
    )
    network.shows_loss = chance.random() < 0.5
    size = chance.randint(1, 6)
    pool = ConnectionPool(
        network,
        PoolSettings(
            min_size=chance.randint(0, size),
            max_size=size,
            max_waiting=chance.choice([5, 100]),
            check_after=chance.choice([0.0, 1.0]),
            max_lifetime=chance.choice([0.0, 30.0]),
            idle_timeout=chance.choice([0.0, 10.0]),
            max_connecting=chance.randint(1, 3),
            connect_timeout=1.0,
            check_timeout=0.5,
            reset_timeout=0.5,
            backoff_max=2.0,
            nested="allow",
            required=False,
        ),
        seed=seed,
    )
    users: dict[int, object] = {}
    served = 0

    async def borrower() -> None:
        nonlocal served
        me = object()
        async with pool.acquire(chance.choice([0.1, 2.0, 10.0])) as wire:
            assert wire.number not in users, "two have the same connection"
            users[wire.number] = me
            try:
                async with asyncio.timeout(5):
                    for _ in range(chance.randint(0, 3)):
                        await wire.query(chance.choice([0.0, 0.01, 0.5]))
                if chance.random() < 0.2:
                    wire.is_dirty = True
                served += 1
            finally:
                del users[wire.number]

    async def life() -> None:
        for _ in range(30):
            task = asyncio.create_task(borrower())
            if chance.random() < 0.3:
                await asyncio.wait([task], timeout=chance.choice([0.0, 0.05, 0.5]))
                task.cancel()
            await asyncio.wait([task])
            if not task.cancelled() and task.exception() is not None:
                assert isinstance(task.exception(), PoolTimeout | PoolExhausted | WireLost | TimeoutError), (
                    task.exception()
                )
            await asyncio.sleep(chance.choice([0.0, 0.1, 3.0]))

    async def misfortune() -> None:
        for _ in range(8):
            await asyncio.sleep(chance.uniform(1, 15))
            kind = chance.choice(["restart", "refuse", "hole", "drain", "pause"])
            network.refuses = kind == "refuse"
            network.is_black_hole = kind == "hole"
            if kind in ("restart", "refuse"):
                network.restart()
            if kind == "drain":
                pool.drain()
            if kind == "pause":
                pool.pause()
            await asyncio.sleep(chance.uniform(0.1, 3))
            pool.resume()
            network.refuses = network.is_black_hole = False

    await pool.open()
    bad = asyncio.create_task(misfortune())
    await asyncio.gather(*(life() for _ in range(chance.randint(2, 12))))
    await bad
    await asyncio.sleep(30)
    stats = pool.stats()
    assert (stats.lent, stats.waiting) == (0, 0)
    assert stats.size == stats.idle + stats.opening + stats.closing  # a lifetime may end right now
    assert network.most_open <= size, f"{network.most_open} connections, {size} allowed"
    assert stats.opened - sum(stats.closed.values()) == stats.idle, stats
    async with pool.acquire(5) as wire:
        await wire.query()
    assert served
    await pool.close()
    assert network.open_count == 0


@given(seed=st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_whole_pools_in_any_weather(seed: int) -> None:
    run_virtual(weather(seed), patience=0.1)
