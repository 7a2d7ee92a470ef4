"""The cases still fit what they time: each statement runs once, and its baseline is there."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from benchmarks.micro.run import GROUPS, in_loop, run_micro
from benchmarks.micro.runner import run_case


@pytest.mark.parametrize("group", GROUPS)
def test_every_case_runs(group: str) -> None:
    module = import_module(f"benchmarks.micro.{group}")

    def work() -> dict[str, Any]:
        found = list(module.cases())
        names = {(case.group, case.name) for case in found}
        assert len(names) == len(found)
        for case in found:
            assert case.baseline is None or (case.group, case.baseline) in names
            assert run_case(case, 1) > 0
        return {"cases": len(found)}

    assert in_loop(work)["cases"] > 1


def test_an_unknown_group_is_named() -> None:
    with pytest.raises(ValueError, match="unknown group nope"):
        run_micro("head,nope")
