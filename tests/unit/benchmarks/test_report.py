from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.aims import judge
from benchmarks.load.scenarios import SCENARIOS
from benchmarks.load.stats import Sample, summarise
from benchmarks.report import page, report, table

CPU = {"floor": 8.0, "framework": 10.0, "starlette": 40.0}


def samples() -> list[Sample]:
    return [
        Sample(number, server, scenario, 1_000_000, 4.0, cpu, None if scenario == "pipeline" else 0.6, None)
        for number in range(2)
        for scenario in ("text", "pipeline")
        for server, cpu in CPU.items()
    ]


def facts(load_average: float = 0.0) -> dict[str, Any]:
    return {
        "cpu": "EPYC",
        "cores": 2,
        "python": "CPython 3.11.7",
        "kernel": "6.1",
        "commit": "abc",
        "date": "2026-11-24",
        "load_average": load_average,
        "twin": "compiled",
        "versions": {
            "project": {"uvloop": "0.23.0"},
            "peers": {"starlette": "1.10.0"},
            "node": {"fastify": "5.12.8"},
            "programs": {"wrk": "wrk 4.1.0"},
            "twin": "compiled",
        },
    }


def load_document(load_average: float = 0.0) -> dict[str, Any]:
    return {
        "kind": "load",
        "facts": facts(load_average),
        "settings": {"rounds": 2, "seconds": 4, "connections": 64},
        "servers": {"floor": "raw uvloop", "framework": "framework", "starlette": "uvicorn + starlette"},
        "scenarios": {scenario.name: scenario.title for scenario in SCENARIOS},
        "absent": {"nginx": "nginx is not installed"},
        "refused": [{"server": "socketify", "scenario": "post", "reason": "4 errors in 9 requests"}],
        "summary": summarise(samples()),
        "samples": [sample.record() for sample in samples()],
    }


def idle_document() -> dict[str, Any]:
    cell = {"kib_per_connection": 5.5, "empty_mib": 20.0, "rss_mib": 70.0, "alive": 10_000}
    return {
        "kind": "idle",
        "facts": facts(),
        "settings": {"connections": 10_000, "rounds": 3},
        "servers": {"framework": "framework"},
        "absent": {},
        "refused": [],
        "summary": {"framework": cell},
    }


def micro_document() -> dict[str, Any]:
    figure = {"group": "router", "name": "static", "ns": 61.4, "baseline": "static", "ratio": 1.0}
    return {"kind": "micro", "facts": facts(), "settings": {"rounds": 9}, "figures": [figure]}


def test_the_page_shows_ratios_refusals_and_absences() -> None:
    text = page({"load": load_document()})["README.md"]
    assert "| **framework** | 10.0 (1.25) | 10.0 (1.25) |" in text
    assert "| uvicorn + starlette | 4.00 | 4.00 |" in text
    assert "socketify, post: refused, 4 errors in 9 requests" in text
    assert "nginx: absent, nginx is not installed" in text
    assert "starlette 1.10.0" in text
    assert "Not a measurement" not in text


def test_a_result_of_a_busy_machine_says_so() -> None:
    assert "**Not a measurement: the load average was 3.20" in page({"load": load_document(3.2)})["README.md"]


def test_all_kinds_go_on_one_page() -> None:
    files = page({"load": load_document(), "idle": idle_document(), "micro": micro_document()})
    assert sorted(files) == ["README.md", "idle.svg", "load.svg"]
    assert "| framework" not in files["idle.svg"]
    assert "10,000 connections open at once" in files["README.md"]
    assert "| static | 61 | 1.00 |" in files["README.md"]


def test_report_writes_into_its_folder(tmp_path: Path) -> None:
    source = tmp_path / "load.json"
    source.write_text(json.dumps(load_document()))
    written = report([source], tmp_path / "out")
    assert [path.name for path in written] == ["README.md", "load.svg"]
    assert (tmp_path / "out" / "README.md").read_text().startswith("# Measured")


@pytest.mark.parametrize("content", ["", "[]", "{}", "3"])
def test_report_refuses_what_is_no_result(tmp_path: Path, content: str) -> None:
    source = tmp_path / "x.json"
    source.write_text(content)
    with pytest.raises(ValueError, match="is no result"):
        report([source], tmp_path)


def test_aims_are_judged_by_the_samples_there_are() -> None:
    verdicts = {verdict.aim.text: verdict for verdict in judge(samples())}
    assert verdicts["text: at most 1.35 x the floor"].found == pytest.approx(1.25)
    assert verdicts["text: at most 1.35 x the floor"].met
    assert verdicts["text: 3 x less CPU than starlette"].met
    assert not any(text.startswith("post") for text in verdicts)


def test_a_missed_aim_is_missed() -> None:
    slow = [Sample(0, "floor", "text", 1_000_000, 4.0, 8.0, None, None)]
    slow.append(Sample(0, "framework", "text", 1_000_000, 4.0, 12.0, None, None))
    assert [verdict.met for verdict in judge(slow)] == [False]


def test_table_aligns_figures_right() -> None:
    assert table(["a", "b"], [["x", "1"]]) == "| a | b |\n|---|--:|\n| x | 1 |\n"
