"""The collector's thresholds while a process serves, and after."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from framework.net.collector import collecting_seldom


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


def test_collects_seldom_while_it_serves_and_as_before_afterwards() -> None:
    before = gc.get_threshold()
    with collecting_seldom(5_000):
        assert gc.get_threshold() == (5_000, *before[1:])
        assert gc.get_freeze_count() > 1_000  # modules and all that
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


def test_cycles_are_still_collected() -> None:
    class Knot:
        def __init__(self) -> None:
            self.self = self

    with collecting_seldom(1_000):
        made = [Knot() for _ in range(10)]
        marks = [id(one) for one in made]
        del made
        gc.collect(0)
        assert not any(id(one) in marks for one in gc.get_objects() if isinstance(one, Knot))


def test_zero_leaves_everything_as_it_is() -> None:
    before = gc.get_threshold()
    with collecting_seldom(0):
        assert gc.get_threshold() == before
        assert gc.get_freeze_count() == 0


def test_an_error_passes_and_the_thresholds_are_put_back() -> None:
    before = gc.get_threshold()
    with pytest.raises(RuntimeError), collecting_seldom(5_000):
        raise RuntimeError
    assert gc.get_threshold() == before
