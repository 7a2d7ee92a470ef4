"""Result documents to a page: ``README.md`` with tables, and drawings beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.aims import judge
from benchmarks.facts import busy_warning
from benchmarks.load.roster import FLOOR, OURS
from benchmarks.load.stats import Sample
from benchmarks.plot import Bar, Panel, render
from benchmarks.sections import KINDS, drawings, findings_section, sections
from benchmarks.tables import machine, table

__all__ = ["load_panels", "page", "report", "table"]

Document = Mapping[str, Any]
SHORT_TITLES = {
    "text": "GET text",
    "browser": "browser's head",
    "param": "GET /users/{id}",
    "post": "POST 1 kB",
    "pipeline": "pipelined x16",
    "param600": "600 routes",
    "onions": "5 onions",
}
INTRODUCTION = """# Measured

CPU time (user and system, children included) of a server pinned to one core, per request; the load comes from
another core. Every server does the same work (`benchmarks/load/work.py`) in one worker, access log off, on
uvloop and httptools where it can use them. A ratio is taken inside a round, where both sides met the same
machine, and the median of the rounds is shown; absolute figures move from run to run.
How to measure: `benchmarks/README.md`.
"""


def report(files: Sequence[Path], folder: Path) -> list[Path]:
    """Renders the documents in ``files`` into ``folder``. Of two of a kind the later counts; of ``micro``, by group.

    Raises:
        ValueError: a file that is no result document.
    """
    documents: dict[str, Document] = {}
    for file in files:
        try:
            document = json.loads(file.read_text())
            kind = document["kind"]
            if kind not in ("load", "idle", "micro", *KINDS):
                raise ValueError(f"no report knows the kind {kind!r}")
            documents[kind] = merge(documents.get(kind), document)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{file} is no result: {error}") from error
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in page(documents).items():
        path = folder / name
        path.write_text(text)
        written.append(path)
    return written


def merge(before: Document | None, document: Document) -> Document:
    """``document``, with the groups of ``before`` that it lacks where both are of kind ``micro``."""
    if before is None or document["kind"] != "micro":
        return document
    groups = {figure["group"] for figure in document["figures"]}
    kept = [figure for figure in before["figures"] if figure["group"] not in groups]
    return {**document, "figures": [*kept, *document["figures"]]}


def page(documents: Mapping[str, Document]) -> dict[str, str]:
    """File names and contents."""
    files: dict[str, str] = {}
    parts = [INTRODUCTION, *findings_section(documents)]
    if load := documents.get("load"):
        files["load.svg"] = render(
            "CPU per request, beside the floor and the peers",
            f"microseconds, one core; shorter is better; {machine(load)}",
            load_panels(load),
        )
        parts += load_sections(load)
    if idle := documents.get("idle"):
        files["idle.svg"] = render(
            "Memory per idle keep-alive connection",
            f"KiB, {idle['settings']['connections']:,} open on one worker; shorter is better",
            [idle_panel(idle)],
        )
        parts += idle_sections(idle)
    files |= drawings(documents)
    parts += sections(documents)
    if micro := documents.get("micro"):
        parts += micro_sections(micro)
    return {"README.md": "\n".join(parts), **files}


def by_cpu(cells: Mapping[str, Any]) -> list[str]:
    """Server names, the least CPU first."""
    return sorted(cells, key=lambda server: float(cells[server]["cpu_us"]))


def kind_of(server: str) -> str:
    return {FLOOR: "floor", OURS: "own", "framework-pure": "pure"}.get(server, "peer")


def short(times: float) -> str:
    return f"{times:.2f}" if times < 10 else f"{times:.0f}"


def load_panels(document: Document) -> list[Panel]:
    panels = []
    for scenario, cells in document["summary"].items():
        bars = []
        for server in by_cpu(cells):
            cell = cells[server]
            times = "" if cell["floor_ratio"] is None else f" · {short(cell['floor_ratio'])}×"
            bars.append(Bar(server, cell["cpu_us"], f"{cell['cpu_us']:.1f} µs{times}", kind_of(server)))
        floor = cells[FLOOR]["cpu_us"] if FLOOR in cells else None
        panels.append(Panel(document["scenarios"][scenario], bars, floor, "floor"))
    return panels


def load_sections(document: Document) -> list[str]:
    summary: Mapping[str, Any] = document["summary"]
    facts, settings = document["facts"], document["settings"]
    servers = list(dict.fromkeys(server for cells in summary.values() for server in by_cpu(cells)))
    parts = [
        "## HTTP under load\n",
        f"{machine(document)}, Linux {facts['kernel']}; commit `{facts['commit']}`, {facts['date']}. "
        f"{settings['rounds']} interleaved rounds of {settings['seconds']} s, "
        f"{settings['connections']} connections.\n",
    ]
    if warning := busy_warning(facts["load_average"]):
        parts.append(f"**Not a measurement: {warning}.**\n")
    parts += ["![CPU per request](load.svg)\n", *refusals(document)]
    parts += ["### CPU µs per request (ratio to the floor)\n", cpu_table(document, servers)]
    if any(OURS in cells for cells in summary.values()):
        parts += ["### How many times less CPU the framework takes\n", less_table(document, servers)]
    parts += ["### Requests per second and 99th percentile\n", rate_table(document, servers)]
    if aims := aims_table(document):
        parts += ["### Aims\n", aims]
    parts += ["### Versions\n", versions(document)]
    return parts


def refusals(document: Document) -> list[str]:
    lines = [
        f"- {e['server']}, {e.get('scenario', 'idle')}: refused, {e['reason']}" for e in document["refused"]
    ]
    lines += [f"- {server}: absent, {reason}" for server, reason in document["absent"].items()]
    return ["\n".join(lines) + "\n"] if lines else []


def heads(document: Document) -> list[str]:
    return [SHORT_TITLES.get(scenario, scenario) for scenario in document["summary"]]


def cpu_table(document: Document, servers: Sequence[str]) -> str:
    def cell(server: str, cells: Mapping[str, Any]) -> str:
        if server not in cells:
            return "-"
        found = cells[server]
        times = "" if found["floor_ratio"] is None else f" ({found['floor_ratio']:.2f})"
        return f"{found['cpu_us']:.1f}{times}"

    rows = [
        [title(document, server), *(cell(server, c) for c in document["summary"].values())]
        for server in servers
    ]
    return table(["server", *heads(document)], rows)


def less_table(document: Document, servers: Sequence[str]) -> str:
    def cell(server: str, cells: Mapping[str, Any]) -> str:
        times = cells.get(OURS, {}).get("times_less", {}).get(server)
        return "-" if times is None else f"{times:.2f}"

    rows = [
        [title(document, server), *(cell(server, c) for c in document["summary"].values())]
        for server in servers
        if server not in (FLOOR, OURS)
    ]
    return table(["than", *heads(document)], rows)


def rate_table(document: Document, servers: Sequence[str]) -> str:
    def cell(server: str, cells: Mapping[str, Any]) -> str:
        if server not in cells:
            return "-"
        found = cells[server]
        slowest = "" if found["p99_ms"] is None else f", {found['p99_ms']:.1f} ms"
        return f"{found['rate'] / 1000:.1f}k{slowest}"

    rows = [
        [title(document, server), *(cell(server, c) for c in document["summary"].values())]
        for server in servers
    ]
    return table(["server", *heads(document)], rows)


def title(document: Document, server: str) -> str:
    text = document["servers"].get(server, server)
    return f"**{text}**" if server in (OURS, FLOOR) else text


def aims_table(document: Document) -> str:
    names = ("round", "server", "scenario", "requests", "seconds", "cpu_seconds", "p50_ms", "p99_ms")
    samples = [Sample(**{name: record[name] for name in names}) for record in document["samples"]]
    rows = [
        [
            verdict.aim.text,
            f"{'at least' if verdict.aim.at_least else 'at most'} {verdict.aim.bound:g}",
            f"{verdict.found:.2f}",
            "met" if verdict.met else "**missed**",
        ]
        for verdict in judge(samples)
    ]
    return table(["aim", "bound", "found", ""], rows) if rows else ""


def versions(document: Document) -> str:
    found = document["facts"]["versions"]
    wanted = Path(__file__).with_name("peers.txt").read_text().splitlines()
    names = [line.partition("==")[0] for line in wanted if line and not line.startswith("#")]
    peers = [f"{name} {found['peers'][name]}" for name in names if name in found["peers"]]
    own = [
        f"{name} {found['project'][name]}"
        for name in ("uvloop", "msgspec", "orjson")
        if name in found["project"]
    ]
    others = [f"{name} {version}" for name, version in found["node"].items()]
    programs = list(found["programs"].values())
    return (
        f"Framework and floor: {', '.join(own)}; leaves: {found['twin']}. "
        f"Peers: {', '.join([*peers, *others])}. Programs: {'; '.join(programs)}.\n"
    )


def idle_panel(document: Document) -> Panel:
    summary = document["summary"]
    ordered = sorted(summary, key=lambda server: float(summary[server]["kib_per_connection"]))
    bars = [
        Bar(server, value, f"{value:.2f} KiB", kind_of(server))
        for server in ordered
        for value in (summary[server]["kib_per_connection"],)
    ]
    return Panel("KiB of resident memory per connection", bars)


def idle_sections(document: Document) -> list[str]:
    rows = [
        [
            title(document, server),
            f"{cell['kib_per_connection']:.2f}",
            f"{cell['empty_mib']:.0f}",
            f"{cell['rss_mib']:.0f}",
            f"{cell['alive']:,.0f}",
        ]
        for server, cell in document["summary"].items()
    ]
    head = ["server", "KiB per connection", "MiB without", "MiB with all", "still answering"]
    return [
        "## Idle keep-alive connections\n",
        f"{document['settings']['connections']:,} connections open at once on one worker, each having done "
        "one request; growth of user-space resident memory from the first half of them to all.\n",
        "![Memory per idle connection](idle.svg)\n",
        *refusals(document),
        table(head, rows),
    ]


def micro_sections(document: Document) -> list[str]:
    parts = [
        "## Without sockets\n",
        f"Best of {document['settings']['rounds']} rounds, {document['facts']['twin']} leaves.\n",
    ]
    figures = document["figures"]
    for group in dict.fromkeys(figure["group"] for figure in figures):
        rows = [
            [
                figure["name"],
                f"{figure['ns']:,.0f}",
                "" if figure["ratio"] is None else f"{figure['ratio']:.2f}",
            ]
            for figure in figures
            if figure["group"] == group
        ]
        parts.append(table([group, "ns", "ratio"], rows))
    return parts
