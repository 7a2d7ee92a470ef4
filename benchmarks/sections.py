"""Sections and drawings of the results beyond HTTP under load."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from benchmarks.plot import Bar, Panel, render
from benchmarks.promises import Finding, find_all
from benchmarks.quiet.run import quietness
from benchmarks.sections_data import cache_section, pool_drawing, pool_section, ratelimit_section
from benchmarks.sections_gateway import gateway_drawing, gateway_section
from benchmarks.tables import Document, absences, cpu_bar, least, machine, named, rounds, table, trust

__all__ = ["KINDS", "drawings", "findings_rows", "findings_section", "sections"]

ECHO_TITLES = {
    "text64": "64 bytes of text, echoed",
    "pipelined": "64 bytes of text, 16 outstanding",
    "binary16k": "16 KiB of binary, echoed",
}
# -- WebSockets -----------------------------------------------------------------------------------------------------


def websocket_drawing(document: Document) -> str:
    panels = []
    for scenario, cells in document["summary"].items():
        bars = [
            cpu_bar(server, cells[server]["cpu_us"], cells[server]["to_listener"])
            for server in least(cells, lambda cell: float(cell["cpu_us"]))
        ]
        panels.append(Panel(ECHO_TITLES.get(scenario, scenario), bars))
    note = (
        f"µs of the server, 64 connections, and times the listener's; shorter is better; {machine(document)}"
    )
    return render("CPU per WebSocket message, beside the peers", note, panels)


def websocket_section(document: Document) -> list[str]:
    summary = document["summary"]
    servers = list(dict.fromkeys(server for cells in summary.values() for server in cells))

    def cell(server: str, cells: Mapping[str, Any]) -> str:
        if server not in cells:
            return "-"
        found = cells[server]
        ratio = "" if found["to_listener"] is None else f" ({found['to_listener']:.2f})"
        return f"{found['cpu_us']:.2f}{ratio}, {found['rate'] / 1000:.1f}k/s"

    rows = [[named(server)[0], *(cell(server, cells) for cells in summary.values())] for server in servers]
    return [
        "## WebSocket echoes\n",
        f"CPU µs of the server per message (times the listener's), and messages per second; 64 connections, "
        f"{rounds(document)}.\n",
        *trust(document),
        "![CPU per WebSocket message](websocket.svg)\n",
        *absences(document),
        table(["server", *(ECHO_TITLES.get(scenario, scenario) for scenario in summary)], rows),
    ]


def idle_section(document: Document) -> list[str]:
    rows = [
        [named(server)[0], f"{cell['kib']:.2f}", f"{cell['connections']:,}"]
        for server, cell in document["summary"].items()
    ]
    return [
        "## Idle WebSockets\n",
        "Growth of resident memory from a thousand of them to all, on one worker.\n",
        *trust(document),
        table(["style", "KiB each", "open"], rows),
    ]


# -- broadcast ------------------------------------------------------------------------------------------------------


def whole(cells: Mapping[str, Any]) -> dict[str, Any]:
    """Without the servers that were refused."""
    return {name: cell for name, cell in cells.items() if "problem" not in cell}


def broadcast_drawing(document: Document) -> str:
    panels = []
    for depth, found in document["summary"].items():
        cells = whole(found)
        bars = []
        for server in least(cells, lambda cell: -float(cell["rate"])):
            rate = cells[server]["rate"]
            bars.append(Bar(named(server)[0], rate, f"{rate / 1e6:.2f} M/s", named(server)[1]))
        panels.append(Panel(f"{depth}: deliveries per second, longer is better", bars))
        bars = [
            cpu_bar(server, cells[server]["cpu_us"], None)
            for server in least(cells, lambda cell: float(cell["cpu_us"]))
        ]
        panels.append(Panel(f"{depth}: CPU per delivery, shorter is better", bars))
    members = document["settings"].get("members", "500")
    return render(
        f"Broadcast to {members} members, beside the floor and the peers",
        f"one speaks and all get it, through the public channel API; {machine(document)}",
        panels,
    )


def broadcast_section(document: Document) -> list[str]:
    rows = []
    for depth, cells in document["summary"].items():
        for server, cell in cells.items():
            if "problem" in cell:
                rows.append([depth, named(server)[0], f"refused, {cell['problem']}", "", ""])
                continue
            ratio = cell.get("ours_to_its_rate")
            rows.append(
                [
                    depth,
                    named(server)[0],
                    f"{cell['rate'] / 1e6:.3f} M",
                    f"{cell['cpu_us']:.3f}",
                    "-" if ratio is None else f"{ratio:.2f}",
                ]
            )
    head = ["messages", "server", "deliveries/s", "CPU µs each", "framework's rate by its"]
    return [
        "## Broadcast\n",
        f"One of {document['settings'].get('members', '500')} members speaks, all get each message; every delivery "
        f"is counted and the last compared byte by byte. {rounds(document)}.\n",
        *trust(document),
        "![Broadcast](broadcast.svg)\n",
        *absences(document),
        table(head, rows),
    ]


# -- ASGI -----------------------------------------------------------------------------------------------------------


def asgi_drawing(document: Document) -> str:
    panels = []
    for name, cell in document["summary"].items():
        bars = [
            Bar(server, cost, f"{cost:.1f} µs{ratio_of(cell, server)}", named(server)[1])
            for server, cost in sorted(cell["cost"].items(), key=lambda item: float(item[1]))
        ]
        app, _, request = name.partition(" ")
        # A bare function costs next to nothing: a line there would only cut the bars.
        alone = document["app"].get(app) if request == "hello" and app != "bare" else None
        panels.append(Panel(f"{app}, {request}", bars, alone or None, "the application alone"))
    note = f"microseconds, the application's own part included; shorter is better; {machine(document)}"
    return render("CPU per request of ASGI applications, here and on uvicorn", note, panels)


def ratio_of(cell: Mapping[str, Any], server: str) -> str:
    times = cell["cost_ratio"].get(server)
    return "" if times is None else f" · {times:.2f}×"


def asgi_section(document: Document) -> list[str]:
    rows = []
    for name, cell in document["summary"].items():
        for server, ratio in cell["rate_ratio"].items():
            rows.append(
                [
                    name,
                    server,
                    f"{cell['rate']['framework']:,}",
                    f"{cell['rate'][server]:,}",
                    f"{ratio:.2f}",
                    f"{cell['cost_ratio'][server]:.2f}",
                ]
            )
    alone = ", ".join(f"{app} {cost:.1f} µs" for app, cost in document["app"].items())
    head = ["application, request", "beside", "requests/s here", "there", "times the rate", "times less CPU"]
    return [
        "## ASGI applications of others\n",
        f"Served by `framework run --asgi` and by uvicorn with httptools and uvloop; {rounds(document)}. What the "
        f"application costs without any server, which no server can lessen: {alone}.\n",
        *trust(document),
        "![CPU per request of ASGI applications](asgi.svg)\n",
        *absences(document),
        table(head, rows),
    ]


# -- clients, files, processes ---------------------------------------------------------------------------------------


def client_section(document: Document) -> list[str]:
    cells = document["summary"]
    rows = [
        [named(name)[0], f"{cells[name]['cpu_us']:.2f}", "-" if ratio is None else f"{ratio:.2f}"]
        for name in least(cells, lambda cell: float(cell["cpu_us"]))
        for ratio in (cells[name]["to_ours"],)
    ]
    return [
        "## HTTP clients\n",
        "CPU of the client's process for each exchange, one after another over one kept connection.\n",
        *trust(document),
        *absences(document),
        table(["client", "CPU µs each", "times the framework's"], rows),
    ]


def files_section(document: Document) -> list[str]:
    rows = [
        [path, server, f"{found['rate']:,.0f}", f"{found['cpu_us']:.1f}"]
        for path, cell in document["peer"].items()
        for server, found in cell["servers"].items()
    ]
    grown = [[kind, f"{mib:+.1f}"] for kind, mib in document["memory_mib"].items()]
    return [
        "## Files\n",
        f"50 kB, and transfers of {document['settings']['mib']:,} MiB with the most that the server grew by.\n",
        *trust(document),
        *absences(document),
        table(["50 kB at", "server", "requests/s", "CPU µs each"], rows),
        table(["transfer", "MiB"], grown),
    ]


def process_section(documents: Mapping[str, Document]) -> list[str]:
    rows = []
    if startup := documents.get("startup"):
        rows.append(["import framework", f"{startup['summary']['import_ms']:.0f} ms"])
        rows.append(["users app, start to listening", f"{startup['summary']['users_app_ms']:.0f} ms"])
    if observed := documents.get("observed"):
        for case, what in (
            ("context", "metrics, logs and trace context"),
            ("access", "with the access log too"),
        ):
            cell = observed["summary"][case]
            rows.append(
                [f"{what}, CPU per request", f"{cell['cpu_us']:.2f} µs, {cell['to_plain']:.2f} x plain"]
            )
    if workers := documents.get("workers"):
        rows.append(["two workers, times one", f"{workers['summary']['scale']:.2f}"])
    if reloads := documents.get("reload"):
        found = reloads["summary"]
        answered = found["answered_on_kept_connections"] + found["answered_on_new_connections"]
        rows.append([f"{found['reloads']} reloads, {answered:,} requests", f"{found['failed']} failed"])
    return ["## Processes\n", table(["what", "found"], rows)] if rows else []


# -- all together ---------------------------------------------------------------------------------------------------

DRAWINGS: dict[str, Callable[[Document], str]] = {
    "websocket": websocket_drawing,
    "broadcast": broadcast_drawing,
    "asgi": asgi_drawing,
    "pool": pool_drawing,
    "gateway": gateway_drawing,
}
SECTIONS: dict[str, Callable[[Document], list[str]]] = {
    "websocket": websocket_section,
    "websocket-idle": idle_section,
    "broadcast": broadcast_section,
    "asgi": asgi_section,
    "client": client_section,
    "files": files_section,
    "pool": pool_section,
    "cache": cache_section,
    "gateway": gateway_section,
}
KINDS = frozenset(
    {*SECTIONS, "startup", "observed", "workers", "reload", "ratelimit-redis", "ratelimit-flood"}
)


def drawings(documents: Mapping[str, Document]) -> dict[str, str]:
    """File names and contents."""
    return {f"{kind}.svg": draw(documents[kind]) for kind, draw in DRAWINGS.items() if kind in documents}


def sections(documents: Mapping[str, Document]) -> list[str]:
    found = [
        part for kind, section in SECTIONS.items() if kind in documents for part in section(documents[kind])
    ]
    return [*found, *ratelimit_section(documents), *process_section(documents)]


def findings_rows(findings: Iterable[Finding], documents: Mapping[str, Document]) -> list[list[str]]:
    """Issue, what, found, aim, met or not, and whether the machine was quiet."""
    rows = []
    for finding in findings:
        verdict = {True: "met", False: "**missed**", None: finding.why or ""}[finding.met]
        quiet = "-"
        if finding.value is not None:
            quiet = "no" if quietness(documents[finding.promise.kind]["facts"]) else "yes"
        promise = finding.promise
        rows.append([str(promise.issue), promise.text, finding.text, promise.aim, verdict, quiet])
    return rows


def findings_section(documents: Mapping[str, Document]) -> list[str]:
    """The aims of issues 3 to 6 that these results say something about."""
    findings = [finding for finding in find_all(documents) if finding.value is not None]
    if not findings:
        return []
    rows = [[row[1], row[2], row[3], row[4], row[5]] for row in findings_rows(findings, documents)]
    return ["## Aims\n", table(["aim", "found", "bound", "", "quiet machine"], rows)]
