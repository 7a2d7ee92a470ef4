"""The pairs behind headers, queries and forms."""

from __future__ import annotations

import pytest

from framework.http.multimap import MultiMap

PAIRS = [("b", "1"), ("a", "2"), ("b", "3"), ("c", "")]


def test_looks_up() -> None:
    pairs = MultiMap(PAIRS)
    assert pairs["b"] == "1"
    assert pairs.get("c") == ""
    assert pairs.get("x") is None
    assert pairs.get("x", "other") == "other"
    assert pairs.get_all("b") == ["1", "3"]
    assert pairs.get_all("x") == []
    with pytest.raises(KeyError):
        pairs["x"]


def test_counts_and_iterates_over_distinct_names() -> None:
    pairs = MultiMap(PAIRS)
    assert list(pairs) == ["b", "a", "c"]
    assert len(pairs) == 3
    assert list(pairs.items()) == PAIRS
    assert "c" in pairs
    assert "x" not in pairs
    assert 3 not in pairs


def test_equals_only_its_own_kind_in_the_same_order() -> None:
    assert MultiMap(PAIRS) == MultiMap(list(PAIRS))
    assert MultiMap(PAIRS) != MultiMap(PAIRS[::-1])
    assert MultiMap(PAIRS) != PAIRS


def test_repr_shows_no_values() -> None:
    assert repr(MultiMap([("password", "hunter2")])) == "<MultiMap password>"
