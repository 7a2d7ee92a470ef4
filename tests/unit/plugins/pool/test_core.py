"""The decisions of a pool, one at a time: no loop, no connection, no clock."""

from __future__ import annotations

from math import inf

import pytest

from framework.plugins.pool.core import Core
from framework.plugins.pool.growth import Backoff, Estimate, growth
from framework.plugins.pool.queue import Queue
from framework.plugins.pool.settings import PoolSettings
from framework.plugins.pool.slots import Open, Report, Waiter


@pytest.mark.parametrize(
    ("waiting", "opening", "lent", "hold", "connect", "waited", "expected"),
    [
        (0, 0, 5, 0.002, 0.15, 0.0, 0),  # nobody waits
        (50, 0, 0, None, None, 0.0, 50),  # nobody could return one
        (50, 0, 0, 0.002, 0.15, 0.0, 1),  # nobody has one, but one that is opened will do for all
        (50, 1, 0, 0.002, 0.15, 0.1, 0),
        (50, 1, 0, 0.002, 0.15, 0.15, 49),
        (45, 0, 5, None, 0.15, 0.0, 1),  # nothing is known: one, to be on the safe side
        (45, 1, 5, None, 0.15, 0.1, 0),
        (45, 1, 5, None, 0.15, 0.2, 44),  # they have waited for longer than it takes to connect
        (45, 0, 5, 0.002, 0.15, 0.0, 0),  # served in 18 ms
        (45, 0, 5, 5.0, 0.15, 0.0, 45),
        (45, 0, 5, 0.03, 0.15, 0.0, 4),  # nine would serve them in the time that connecting takes
        (3, 3, 5, 5.0, 0.15, 9.0, 0),  # each has one on its way
        (3, 0, 1, 0.001, 0.0, 0.0, 3),  # connecting costs nothing
    ],
)
def test_growth(
    waiting: int,
    opening: int,
    lent: int,
    hold: float | None,
    connect: float | None,
    waited: float,
    expected: int,
) -> None:
    wanted = growth(waiting=waiting, opening=opening, lent=lent, hold=hold, connect=connect, waited=waited)
    assert wanted == expected


def test_attempts_become_rarer_until_it_has_worked_for_a_while() -> None:
    backoff = Backoff(0.1, 5.0, lambda: 1.0)
    now, delays = 0.0, []
    for _ in range(9):
        backoff.failed(now, OSError())
        delays.append(backoff.retry_at - now)
        now = backoff.retry_at
    assert delays == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0])
    backoff.succeeded()
    assert not backoff.is_failing
    backoff.failed(now, OSError())  # it took a connection, and dropped it
    assert backoff.retry_at - now == pytest.approx(5.0)
    backoff.failed(now + 60, OSError())
    assert backoff.retry_at - now - 60 == pytest.approx(0.1)


def test_half_of_the_delay_is_random() -> None:
    assert [round(delay_with(chance), 3) for chance in (0.0, 0.5, 1.0)] == [0.05, 0.075, 0.1]


def delay_with(chance: float) -> float:
    backoff = Backoff(0.1, 5.0, lambda: chance)
    backoff.failed(0.0, OSError())
    return backoff.retry_at


def test_an_average_follows() -> None:
    estimate = Estimate()
    assert estimate.value is None
    estimate.add(8.0)
    estimate.add(16.0)
    assert estimate.value == 9.0


def waiter(deadline: float) -> Waiter:
    return Waiter(0.0, deadline, None, None, None)


def test_a_queue_knows_the_next_deadline_of_those_who_are_still_there() -> None:
    queue: Queue = Queue()
    assert queue.next_deadline == inf
    late, early, middle = waiter(9), waiter(1), waiter(5)
    for each in (late, early, middle):
        queue.join(each)
    assert queue.next_deadline == 1
    assert queue.leave(early)
    assert not queue.leave(early)
    assert queue.next_deadline == 5
    assert list(queue.expired(5)) == [middle]
    assert queue.pop() is late
    assert queue.next_deadline == inf


def test_who_has_left_is_not_remembered_for_ever() -> None:
    queue: Queue = Queue()
    queue.join(waiter(0))
    for number in range(100_000):
        one = waiter(number + 1)
        queue.join(one)
        queue.leave(one)
    assert len(queue._deadlines) < 200  # pyright: ignore[reportPrivateUsage]


def test_ticks_do_not_repeat_where_floats_round() -> None:
    """A leak that is due at ``since + leak_after`` by one sum, and not yet by another, was looked at without end."""
    for step in range(200):
        core: Core = Core(
            PoolSettings(min_size=0, leak_after=60.0, max_lifetime=0, idle_timeout=0), lambda: 0.5
        )
        core.start(0.0)
        core.enqueue(0.0, 1e6, None)
        (action,) = core.actions
        assert isinstance(action, Open)
        core.actions = []
        core.opened(action.slot, 1, 40.0 + step * 0.07)
        core.actions = []
        core.tick(core.wake)
        assert core.wake > 40.0 + step * 0.07 + 60.0
        assert [type(each) for each in core.actions] == [Report]
