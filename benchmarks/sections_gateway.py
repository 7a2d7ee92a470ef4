"""Section and drawing of the gateway beside other proxies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.plot import Panel, render
from benchmarks.tables import Document, absences, cpu_bar, least, machine, named, rounds, table, trust

__all__ = ["gateway_drawing", "gateway_section"]

LOADS = {"1k": "answers of 1 kB", "1m": "answers of 1 MB"}
HELD = {"streams": "a stream whose client does not read on", "tunnels": "an idle WebSocket"}


def gateway_drawing(document: Document) -> str:
    panels = []
    for scenario, title in LOADS.items():
        cells = document["summary"].get(scenario, {})
        ours = cells.get("ours")
        bars = [
            cpu_bar(who, cells[who]["cpu"], None if ours is None else cells[who]["cpu"] / ours["cpu"])
            for who in least(cells, lambda cell: float(cell["cpu"]))
        ]
        if bars:
            panels.append(Panel(title, bars))
    note = f"microseconds of the proxy, and times the framework's; shorter is better; {machine(document)}"
    return render("CPU per request through a gateway, beside other proxies", note, panels)


def gateway_section(document: Document) -> list[str]:
    summary = document["summary"]
    parts = [
        "## Gateway\n",
        f"One worker of each proxy before an nginx; {rounds(document)}.\n",
        *trust(document),
        "![CPU per request through a gateway](gateway.svg)\n",
        *absences(document),
    ]
    loads = {scenario: title for scenario, title in LOADS.items() if scenario in summary}
    if loads:
        heads = [head for title in loads.values() for head in (f"{title}/s", "CPU µs each")]
        rows = [
            [named(who)[0], *(text for scenario in loads for text in _load(summary[scenario], who))]
            for who in _contestants(summary, loads)
        ]
        parts.append(table(["proxy", *heads], rows))
    if "latency" in summary:
        names = ("p50", "p99", "p999")
        rows = [
            [named(who)[0], f"{cell['rate']:,.0f}", *(f"{cell[f'added_{name}']:.2f}" for name in names)]
            for who, cell in summary["latency"].items()
        ]
        head = ["added at half load, ms", "requests/s", "p50", "p99", "p99.9"]
        parts.append(table(head, rows))
    held = {scenario: title for scenario, title in HELD.items() if scenario in summary}
    if held:
        rows = [
            [
                named(who)[0],
                *(
                    f"{summary[scenario][who]['bytes'] / 1024:.1f}" if who in summary[scenario] else "-"
                    for scenario in held
                ),
            ]
            for who in _contestants(summary, held)
        ]
        parts.append(table(["KiB of memory for", *held.values()], rows))
    return parts


def _contestants(summary: Mapping[str, Any], scenarios: Mapping[str, str]) -> list[str]:
    return list(dict.fromkeys(who for scenario in scenarios for who in summary[scenario]))


def _load(cells: Mapping[str, Any], who: str) -> tuple[str, str]:
    cell = cells.get(who)
    return ("-", "-") if cell is None else (f"{cell['rate']:,.0f}", f"{cell['cpu']:.1f}")
