from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks.quiet.programs import PROGRAMS
from benchmarks.report import page, report
from benchmarks.sections import KINDS

SVG = "{http://www.w3.org/2000/svg}"
FACTS = {"cpu": "EPYC", "cores": 2, "python": "CPython 3.11.7", "load_average": 0.0, "others_busy": 0.01}
SETTINGS = {"rounds": 3, "seconds": "2.0"}


def document(kind: str, summary: Any, **rest: Any) -> dict[str, Any]:
    return {"kind": kind, "facts": FACTS, "settings": SETTINGS, "absent": {}, "summary": summary, **rest}


def echo(cost: float, ratio: float | None) -> dict[str, Any]:
    return {"rounds": 3, "cpu_us": cost, "rate": 100_000, "to_listener": ratio}


def samples(**costs: float) -> dict[str, Any]:
    return {server: [{"round": 0, "cpu_us": cost, "rate": 1.0}] for server, cost in costs.items()}


def websocket() -> dict[str, Any]:
    summary = {
        "text64": {"listener": echo(4.0, 1.0), "picows_echo": echo(5.0, 1.25)},
        "pipelined": {"listener": echo(0.5, 1.0)},
    }
    return document("websocket", summary, samples={"text64": samples(listener=4.0, picows_echo=5.0)})


def broadcast() -> dict[str, Any]:
    cells = {
        "floor": {"rate": 2_600_000.0, "cpu_us": 0.31, "ours_to_its_rate": 0.68},
        "channel": {"rate": 1_750_000.0, "cpu_us": 0.38, "ours_to_its_rate": 1.0},
        "socketify": {"rate": 1_400_000.0, "cpu_us": 0.82, "ours_to_its_rate": 1.25},
        "websockets": {"problem": "3 members got 0 of 9 messages"},
    }
    return document("broadcast", {"8 outstanding": cells})


def asgi() -> dict[str, Any]:
    cell = {
        "rate": {"framework": 20_000, "uvicorn": 12_500},
        "cost": {"framework": 45.0, "uvicorn": 72.0},
        "rate_ratio": {"uvicorn": 1.6},
        "cost_ratio": {"uvicorn": 1.6},
    }
    return document("asgi", {"starlette hello": cell, "starlette item": cell}, app={"starlette": 20.0})


def gateway() -> dict[str, Any]:
    def load(rate: float, cpu: float) -> dict[str, float]:
        return {"rate": rate, "cpu": cpu}

    summary = {
        "1k": {"ours": load(9000.0, 100.0), "ours-600": load(8900.0, 101.0), "nginx": load(18_000.0, 45.0)},
        "1m": {"ours": load(850.0, 1100.0), "nginx": load(1000.0, 1200.0)},
        "latency": {"ours": {"rate": 4500.0, "added_p50": 0.2, "added_p99": 0.62, "added_p999": 1.4}},
        "streams": {"ours": {"bytes": 131_072.0}},
        "tunnels": {"ours": {"bytes": 8_192.0}, "nginx": {"bytes": 17_408.0}},
    }
    return document("gateway", summary, samples={})


def rest() -> list[dict[str, Any]]:
    mib = {"download": 0.0, "upload of a form": 0.6}
    server = {"rate": 9000.0, "cpu_us": 100.0}
    path = {"servers": {"framework": server}, "rate_ratio": 2.5, "cost_ratio": 2.4}
    marks = {"100000": 57.9, "1000000": 69.3, "10000000": 69.3}
    flood = {"keys": 10_000_000, "ns_per_key": 900, "megabytes": marks, "offender_remembered": True}
    counts = {
        "reloads": 100,
        "failed": 0,
        "answered_on_kept_connections": 900,
        "answered_on_new_connections": 100,
    }
    pools = {"idle: this pool": 1.3, "idle: psycopg_pool": 8.3, "SELECT 1: a held connection": 19.0}
    trace = {"trace": "zipf 0.9", "capacity": 1000, "ours": 0.424, "textbook": 0.416}
    watched = {case: {"cpu_us": 8.0, "to_plain": 1.15} for case in ("plain", "context", "access")}
    return [
        document("websocket-idle", {"listener": {"kib": 3.21, "connections": 15_000}}),
        document(
            "client",
            {"client": {"cpu_us": 10.6, "to_ours": 1.0}, "aiohttp": {"cpu_us": 85.5, "to_ours": 8.07}},
        ),
        {**document("files", None, peer={"/file": path}, memory_mib=mib), "settings": {"mib": 1024}},
        document("pool", pools),
        {**document("cache", [trace, {**trace, "lru": 0.34}]), "settings": {"requests": 100_000}},
        document("startup", {"import_ms": 90.0, "users_app_ms": 260.0}),
        document("observed", watched),
        document("workers", {"scale": 1.93}),
        document("reload", counts),
        document("ratelimit-redis", {"gcra": {"per_second": 70_106, "cpu_us": 6.2}}),
        document("ratelimit-flood", flood),
    ]


def everything() -> dict[str, dict[str, Any]]:
    return {one["kind"]: one for one in (websocket(), broadcast(), asgi(), gateway(), *rest())}


def test_every_kind_of_a_quiet_run_has_a_place_on_the_page() -> None:
    assert {program.name for program in PROGRAMS} == KINDS | {"micro"}
    assert set(everything()) == KINDS
    files = page(everything())
    assert sorted(files) == [
        "README.md",
        "asgi.svg",
        "broadcast.svg",
        "gateway.svg",
        "pool.svg",
        "websocket.svg",
    ]
    heads = [line for line in files["README.md"].splitlines() if line.startswith("## ")]
    assert heads == [
        "## Aims",
        "## WebSocket echoes",
        "## Idle WebSockets",
        "## Broadcast",
        "## ASGI applications of others",
        "## HTTP clients",
        "## Files",
        "## Connection pool",
        "## Cache, hit ratios",
        "## Gateway",
        "## Rate limiter",
        "## Processes",
    ]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_is_shown_without_the_others(kind: str) -> None:
    assert page({kind: everything()[kind]})["README.md"].count("\n## ") >= 1


def test_tables_hold_the_figures() -> None:
    text = page(everything())["README.md"]
    for row in (
        "| framework, listener | 4.00 (1.00), 100.0k/s | 0.50 (1.00), 100.0k/s |",
        "| picows | 5.00 (1.25), 100.0k/s | - |",
        "| framework, listener | 3.21 | 15,000 |",
        "| 8 outstanding | socketify | 1.400 M | 0.820 | 1.25 |",
        "| 8 outstanding | websockets | refused, 3 members got 0 of 9 messages |  |  |",
        "| starlette hello | uvicorn | 20,000 | 12,500 | 1.60 | 1.60 |",
        "| aiohttp | 85.50 | 8.07 |",
        "| zipf 0.9, 1,000 | 0.424 | 0.416 | - |",
        "| 10,000,000 | 69.3 |",
        "| framework, 600 routes | 8,900 | 101.0 | - | - |",
        "| nginx | 18,000 | 45.0 | 1,000 | 1200.0 |",
        "| framework | 4,500 | 0.20 | 0.62 | 1.40 |",
        "| nginx | - | 17.0 |",
        "| 100 reloads, 1,000 requests | 0 failed |",
    ):
        assert row in text


def test_aims_are_on_the_page_with_what_was_found() -> None:
    text = page(everything())["README.md"]
    assert (
        "| broadcast to 500, 8 outstanding, rate by socketify's | 1.25 x | at least 0.85 x | met | yes |"
        in text
    )
    assert "16 deep" not in text


def test_a_disturbed_result_says_so_in_its_section_and_in_the_aims() -> None:
    busy = {**broadcast(), "facts": {**FACTS, "others_busy": 0.4}}
    text = page({"broadcast": busy})["README.md"]
    assert "**Not a measurement: others took 40% of the machine just before this program.**" in text
    assert "| at least 0.85 x | met | no |" in text


def test_absent_peers_are_told() -> None:
    without = {**websocket(), "absent": {"aiohttp": "not in .venv-bench"}}
    assert "- aiohttp: absent, not in .venv-bench" in page({"websocket": without})["README.md"]


def test_bars_of_broadcast_go_by_rate_and_by_cost_and_leave_the_refused_out() -> None:
    root = ElementTree.fromstring(page({"broadcast": broadcast()})["broadcast.svg"])
    names = [text.text for text in root.iter(f"{SVG}text") if "name" in text.get("class", "").split()]
    assert names == ["raw joined floor", "framework", "socketify"] * 2
    kinds = [rect.get("class") for rect in root.iter(f"{SVG}rect")]
    assert kinds == ["bar floor", "bar own", "bar peer"] * 2


def test_the_application_alone_is_the_line_of_its_first_request_only() -> None:
    document = asgi()
    document["summary"]["bare hello"] = document["summary"]["starlette hello"]
    document["app"]["bare"] = 0.8
    drawing = page({"asgi": document})["asgi.svg"]
    assert drawing.count("the application alone") == 1
    assert 'class="cut"' not in drawing


def test_titles_and_names_stay_inside_the_drawings() -> None:
    for name, text in page(everything()).items():
        if name.endswith(".svg"):
            root = ElementTree.fromstring(text)
            width, height = float(root.get("width", "")), float(root.get("height", ""))
            assert all(0 <= float(one.get("x", "")) <= width for one in root.iter(f"{SVG}text"))
            assert all(0 <= float(one.get("y", "")) <= height for one in root.iter(f"{SVG}text"))


def test_micro_results_are_joined_by_group_and_the_later_wins(tmp_path: Path) -> None:
    def micro(**groups: float) -> dict[str, Any]:
        figures = [
            {"group": g, "name": "n", "ns": ns, "baseline": None, "ratio": None} for g, ns in groups.items()
        ]
        return {
            "kind": "micro",
            "facts": {**FACTS, "twin": "compiled"},
            "settings": {"rounds": 9},
            "figures": figures,
        }

    for name, content in (("a", micro(router=61.0, pool=900.0)), ("b", micro(pool=1100.0))):
        (tmp_path / name).write_text(json.dumps(content))
    (written,) = report([tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    text = written.read_text()
    assert "| n | 61 |  |" in text
    assert "| n | 1,100 |  |" in text
    assert "| n | 900 |" not in text


def test_a_kind_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_text(json.dumps({"kind": "weather"}))
    with pytest.raises(ValueError, match="no report knows the kind 'weather'"):
        report([tmp_path / "x"], tmp_path)
