"""The door: which twin serves, and that both offer the same."""

from __future__ import annotations

import os
from functools import partial

import pytest

from framework.wire.websocket import _pure, leaves
from tests.support.twins import twin_of

twin = partial(twin_of, "framework.wire.websocket.leaves")


def test_the_pure_twin_can_be_asked_for() -> None:
    assert twin(FRAMEWORK_PURE="1") == "pure"


@pytest.mark.parametrize("missing", ["_frames", "_encode"])
def test_the_pure_twin_serves_where_a_leaf_is_missing(missing: str) -> None:
    assert twin(f"sys.modules['framework.wire.websocket.{missing}'] = None") == "pure"


def test_the_frames_do_without_the_websockets_package() -> None:
    """Compression needs it; nothing else may, nor its C."""
    modules = "frames, handshake, handshake_client, leaves"
    code = f"from framework.wire.websocket import {modules}\nassert 'websockets' not in sys.modules"
    assert twin(code, FRAMEWORK_PURE="1") == "pure"


def test_this_run_has_the_twin_it_asked_for() -> None:
    if os.environ.get("FRAMEWORK_PURE") == "1":
        assert leaves.TWIN == "pure"
    elif os.environ.get("CI") == "true":
        assert leaves.TWIN == "compiled"


def test_the_twins_offer_the_same_names() -> None:
    assert sorted(leaves.__all__) == sorted(_pure.__all__)
    assert all(hasattr(leaves, name) for name in leaves.__all__)
