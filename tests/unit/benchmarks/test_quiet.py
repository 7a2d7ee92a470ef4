from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as command
from benchmarks.promises import PROMISES
from benchmarks.quiet import run as quiet
from benchmarks.quiet.programs import (
    PROGRAMS,
    SCALES,
    Program,
    Scale,
    Step,
    choose,
    read_idle,
    read_ratelimit,
    read_websocket,
    select,
)
from benchmarks.quiet.run import ProgramError, busy_share, quietness, run_program, run_quiet

SMALL = Scale(1, 1)


def program(code: str, *, to_file: bool = True, **rest: Any) -> Program:
    def steps(scale: Scale, folder: Path) -> list[Step]:
        out = folder / "out.json"
        return [Step([sys.executable, "-c", code, str(out)], out if to_file else None)]

    return Program("some", 1, 0, 0, steps, lambda texts: dict(json.loads(texts[0])), **rest)


WRITES = "import sys; open(sys.argv[1], 'w').write('{\"summary\": 1}')"


def test_names_select_by_how_they_begin() -> None:
    assert [one.name for one in select("websocket,asgi")] == ["websocket", "websocket-idle", "asgi"]
    assert select(None) == PROGRAMS
    with pytest.raises(ValueError, match="unknown program nope"):
        select("websocket,nope")


@pytest.mark.parametrize("minutes", [6, 10, 30])
def test_what_is_chosen_fits_and_the_next_would_not(minutes: int) -> None:
    scale = choose(PROGRAMS, minutes)
    takes = [sum(one.estimate(each) for one in PROGRAMS) for each in SCALES]
    assert takes == sorted(takes)
    place = SCALES.index(scale)
    assert takes[place] <= minutes * 60 or place == 0
    assert place == len(SCALES) - 1 or takes[place + 1] > minutes * 60


def test_a_program_that_writes_its_result_and_misses_its_aim_is_read() -> None:
    assert run_program(program(f"{WRITES}; sys.exit(1)"), SMALL) == {"summary": 1}
    assert run_program(program("print('{\"a\": 2}')", to_file=False), SMALL) == {"a": 2}


@pytest.mark.parametrize(
    ("code", "to_file", "words"),
    [
        ("pass", True, "wrote no result"),
        (f"{WRITES}; sys.exit('broken')", False, "code 1: broken"),
        (f"{WRITES}; raise SystemExit(3)", True, "code 3"),
        (f"{WRITES}; 1 / 0", True, "ZeroDivisionError"),
        ("import sys; sys.exit('3 of 9 requests failed')", True, "code 1: 3 of 9 requests failed"),
        ("print('none')", False, "cannot be read"),
    ],
)
def test_a_program_that_fails_has_no_result(code: str, to_file: bool, words: str) -> None:
    with pytest.raises(ProgramError, match=words):
        run_program(program(code, to_file=to_file), SMALL)


def test_a_program_that_hangs_is_ended() -> None:
    hanging = Step([sys.executable, "-c", "import signal; signal.pause()"], None)
    with pytest.raises(ProgramError, match="not done within"):
        quiet.run_step(hanging, 0.2)


def test_the_failure_of_one_leaves_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quiet, "LOOK_SECONDS", 0.0)
    needing = program(WRITES, programs=("no-such-program-here",))
    assert needing.missing() == "needs no-such-program-here (a program)"
    documents = run_quiet(
        [program("pass"), needing, program(WRITES, peers=("no-such-peer",))], SMALL, tmp_path
    )
    assert list(documents) == ["some"]
    written = json.loads((tmp_path / "some.json").read_text())
    assert written["kind"] == "some"
    assert written["absent"]["no-such-peer"].endswith("python benchmarks/setup_peers.py")
    assert written["settings"]["rounds"] == 1
    assert 0 <= written["facts"]["others_busy"] <= 1


def test_the_share_of_others_is_what_was_not_idle() -> None:
    texts = iter(["cpu  100 0 50 800 50 0 0 0 0 0\ncpu0", "cpu  110 0 55 970 55 0 5 5 0 0\ncpu0"])
    assert busy_share(1.0, read=lambda: next(texts), sleep=lambda seconds: None) == pytest.approx(0.125)


def test_a_machine_is_quiet_by_its_load_before_the_run_and_by_its_cores_before_the_program() -> None:
    assert quietness({"load_average": 0.1, "others_busy": 0.01}) is None
    assert quietness({"load_average": 0.1}) is None
    assert "load average was 2.00" in (quietness({"load_average": 2.0, "others_busy": 0.0}) or "")
    assert quietness({"load_average": 0.1, "others_busy": 0.3}) == (
        "others took 30% of the machine just before this program"
    )


def test_websocket_samples_become_medians_and_ratios_inside_rounds() -> None:
    def sample(number: int, cost: float) -> dict[str, float]:
        return {"round": number, "cpu_us": cost, "rate": 1000.0}

    text = {
        "text64": {"listener": [sample(0, 2.0), sample(1, 8.0)], "picows": [sample(0, 3.0), sample(1, 12.0)]}
    }
    other = {"pipelined": {"picows": [sample(0, 1.0)]}}
    found = read_websocket([json.dumps(text), json.dumps(other)])
    assert found["summary"]["text64"]["picows"]["to_listener"] == 1.5
    assert found["summary"]["text64"]["listener"]["cpu_us"] == 5.0
    assert found["summary"]["pipelined"]["picows"]["to_listener"] is None
    assert found["samples"]["text64"]["picows"][1]["cpu_us"] == 12.0


def test_idle_lines_are_read() -> None:
    lines = [
        f"idle       {name:16} {kib:7.2f} KiB each, 15000 open"
        for name, kib in (("listener", 3.21), ("handler", 7))
    ]
    assert read_idle(["\n".join(lines)])["summary"]["listener"] == {"kib": 3.21, "connections": 15000}
    with pytest.raises(ValueError, match="no figure"):
        read_idle(["it did not come up"])


def test_limiter_runs_become_medians_and_absent_peers_stay_named() -> None:
    def run(rate: int) -> str:
        ours = {"name": "gcra", "per_second": rate, "cpu_us": 9.0, "degraded": 0}
        return json.dumps({"figures": [ours, {"name": "limits", "absent": "No module named 'limits'"}]})

    found = read_ratelimit([run(100), run(300), run(200)])
    assert found["summary"] == {"gcra": {"per_second": 200, "cpu_us": 9.0}}
    assert found["absent"] == {"limits": "No module named 'limits'"}


def test_every_program_has_a_command_for_a_module_that_exists(tmp_path: Path) -> None:
    for one in PROGRAMS:
        for step in one.steps(SMALL, tmp_path):
            name = step.command[step.command.index("-m") + 1]
            path = Path(*name.split("."))
            assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), name


def test_promises_of_a_kind_without_a_program_are_known() -> None:
    kinds = {promise.kind for promise in PROMISES} - {one.name for one in PROGRAMS}
    assert kinds == {"websocket-deflate"}


def test_the_command_prints_each_aim_with_its_figure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = {"summary": {"import_ms": 90.0, "users_app_ms": 700.0}, "facts": {"load_average": 0.04}}
    monkeypatch.setattr(command, "run_quiet", lambda *given: {"startup": document})
    assert command.main(["quiet", "--only", "startup", "--folder", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[1:]] == [
        [
            "3",
            "users",
            "app,",
            "start",
            "to",
            "listening",
            "700.00",
            "ms",
            "at",
            "most",
            "500",
            "ms",
            "missed",
            "yes",
        ],
        ["3", "import", "framework", "90.00", "ms", "at", "most", "120", "ms", "met", "yes"],
        ["load", "average", "before", "the", "run:", "0.04"],
    ]


def test_a_program_without_a_result_fails_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(command, "run_quiet", lambda *given: {})
    assert command.main(["quiet", "--only", "startup", "--folder", str(tmp_path)]) == 1
