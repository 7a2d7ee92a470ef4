"""``framework chat load``: everybody hears everything once, and the report says how long it took."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from framework.cli.chatting.load import Load, Report, run_load
from framework.cli.chatting.report import as_json, as_lines, as_svg, percentile

from .serving import SECRET, Serve

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

ROOT = Path(__file__).resolve().parents[3]


async def test_the_program_loads_a_chat_and_reports(serve: Serve, tmp_path: Path) -> None:
    async with serve() as server:
        program = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "framework", "chat", "load", server.url),
            *("--members", "12", "--rooms", "3", "--rate", "60", "--seconds", "1"),
            *("--json", str(tmp_path / "r.json"), "--svg", str(tmp_path / "r.svg")),
            cwd=ROOT,
            env={"FRAMEWORK_CHAT_SECRET": SECRET, "PATH": "/usr/bin"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(45):
            out, errors = await program.communicate()
        assert program.returncode == 0, errors.decode()
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["sent"] == 60
    assert report["expected"] == 60 * 4, "four members to a room"
    assert (report["missing"], report["doubled"], report["gaps"], report["lost"]) == (0, 0, 0, 0)
    assert report["seconds"]["delivered"]["count"] == 240
    points = report["seconds"]["acknowledged"]
    assert 0 < points["p50"] <= points["p90"] <= points["p99"] <= points["p99.9"] <= points["max"]
    assert SECRET not in json.dumps(report)
    assert "60 sent, 60 acknowledged" in out.decode()
    ElementTree.parse(tmp_path / "r.svg")


async def test_guests_will_do(serve: Serve) -> None:
    async with serve() as server:
        told: list[str] = []
        base = f"{server.url}/chat"
        socket = f"{base.replace('http', 'ws', 1)}/ws"
        report = await run_load(Load(socket, base, members=4, rooms=2, rate=40, seconds=0.5), told.append)
    assert report.problems == []
    assert report.expected == 40
    assert len(told) == 2


def test_a_report_says_what_must_not_be() -> None:
    load = Load("ws://h/ws", "http://h", members=2, rooms=1, rate=1, seconds=1)
    report = Report(
        load, connecting=[0.1], acknowledged=[0.2], elapsed=1.0, sent=2, expected=4, missing=1, doubled=2
    )
    report.errors["muted"] = 1
    assert report.problems == ["1 of 4 deliveries are missing", "2 deliveries came twice"]
    text = "\n".join(as_lines(report))
    assert "1 missing, 2 double" in text
    assert "muted 1" in text
    assert "200.00" in text
    assert "secret" not in json.dumps(as_json(report))
    assert "<script" not in as_svg(report)


def test_percentiles_are_values_that_were_measured() -> None:
    ordered = [float(number) for number in range(1, 101)]
    assert [percentile(ordered, share) for share in (0.5, 0.9, 0.99, 0.999, 1.0)] == [50, 90, 99, 100, 100]
    assert percentile([7.0], 0.5) == 7.0
    assert percentile([1.0, 2.0], 0.0) == 1.0
