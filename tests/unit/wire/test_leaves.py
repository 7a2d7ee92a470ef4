"""The door: which twin serves, and that both offer the same."""

from __future__ import annotations

import os
from functools import partial

import pytest

from framework.wire import _pure, leaves
from tests.support.twins import twin_of

twin = partial(twin_of, "framework.wire.leaves")


def test_the_pure_twin_can_be_asked_for() -> None:
    assert twin(FRAMEWORK_PURE="1") == "pure"


@pytest.mark.parametrize("missing", ["_head", "_request", "_response", "_encode"])
def test_the_pure_twin_serves_where_any_leaf_is_missing(missing: str) -> None:
    """Never half of each: their heads and limits would not fit."""
    assert twin(f"sys.modules['framework.wire.{missing}'] = None") == "pure"


def test_this_run_has_the_twin_it_asked_for() -> None:
    if os.environ.get("FRAMEWORK_PURE") == "1":
        assert leaves.TWIN == "pure"
    elif os.environ.get("CI") == "true":
        assert leaves.TWIN == "compiled"


def test_the_twins_offer_the_same_names() -> None:
    assert sorted(leaves.__all__) == sorted(_pure.__all__)
    assert all(hasattr(leaves, name) for name in leaves.__all__)
