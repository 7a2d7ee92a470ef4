"""Cells of app-scoped objects."""

from __future__ import annotations

import gc
import weakref

import pytest

from framework.di.cell import Cell


class Thing: ...


def test_an_empty_cell_says_whose_it_is() -> None:
    cell = Cell("Database")
    assert not cell.is_full
    with pytest.raises(RuntimeError, match="Database is app-scoped, and the app scope has not built it"):
        cell.value  # noqa: B018 - reading it is the point


def test_a_full_cell_gives_its_object_and_can_be_filled_again() -> None:
    cell = Cell("Thing")
    first, second = Thing(), Thing()
    cell.fill(first)
    assert cell.is_full
    assert cell.value is first
    cell.fill(second)
    assert cell.value is second


def test_a_cleared_cell_is_empty_and_holds_nothing() -> None:
    cell = Cell("Thing")
    thing = Thing()
    gone = weakref.ref(thing)
    cell.fill(thing)
    cell.clear()
    cell.clear()
    del thing
    gc.collect()
    assert gone() is None
    with pytest.raises(RuntimeError):
        cell.value  # noqa: B018
