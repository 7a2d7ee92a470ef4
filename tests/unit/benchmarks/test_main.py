from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks.load.run import Plan


def test_short_is_four_servers_and_two_rounds_of_two_seconds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plans: list[Plan] = []

    def record(plan: Plan) -> dict[str, object]:
        plans.append(plan)
        return {"kind": "load", "refused": []}

    monkeypatch.setattr(command, "run_load", record)
    monkeypatch.setattr("benchmarks.load.roster.find_twin", lambda: "compiled")
    out = tmp_path / "deep" / "result.json"
    assert command.main(["load", "--short", "--out", str(out)]) == 0
    (plan,) = plans
    assert [server.name for server in plan.servers] == ["floor", "framework", "granian-rsgi", "starlette"]
    assert (plan.rounds, plan.seconds) == (2, 2)
    assert json.loads(out.read_text())["kind"] == "load"


@pytest.mark.parametrize(("server", "code"), [("socketify", 0), ("framework", 1), ("floor", 1)])
def test_a_refusal_of_our_own_fails_the_command(server: str, code: int) -> None:
    assert command.failed({"refused": [{"server": server, "scenario": "post", "reason": "x"}]}) == code


def test_an_unknown_name_is_an_error_of_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["load", "--servers", "nope"]) == 2
    assert "unknown server nope" in capsys.readouterr().err
