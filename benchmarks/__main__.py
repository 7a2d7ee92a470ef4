"""``python -m benchmarks``: load, idle, micro, quiet and report."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.load import roster, scenarios
from benchmarks.load.idle import DEFAULT_SERVERS, IdlePlan, run_idle
from benchmarks.load.run import Plan, progress, run_load
from benchmarks.micro.run import GROUPS, run_micro
from benchmarks.promises import find_all
from benchmarks.quiet.programs import PROGRAMS, choose
from benchmarks.quiet.programs import select as select_programs
from benchmarks.quiet.run import run_quiet
from benchmarks.report import report
from benchmarks.sections import findings_rows

RESULTS = Path(__file__).parent / "results"
LOCAL = RESULTS / "local"
OWN = frozenset({roster.FLOOR, roster.OURS, roster.PURE})


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except ValueError as error:
        progress(f"error: {error}")
        return 2
    except KeyboardInterrupt:
        progress("interrupted: nothing is written")
        return 130
    return code


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure the framework beside its peers."
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    load = commands.add_parser("load", help="servers under wrk, in interleaved rounds")
    load.add_argument(
        "--short", action="store_true", help="floor, framework, starlette, granian; 2 rounds of 2 s"
    )
    load.add_argument("--rounds", type=int, metavar="N", help="default 3")
    load.add_argument("--seconds", type=int, metavar="N", help="length of one load, default 4")
    load.add_argument(
        "--warm-up", type=int, metavar="N", default=1, help="seconds before each load, default 1"
    )
    load.add_argument("--servers", metavar="A,B", help="default all that are installed")
    load.add_argument("--scenarios", metavar="X,Y", help="default all")
    load.add_argument("--server-core", type=int, metavar="CORE", default=0)
    load.add_argument("--load-core", type=int, metavar="CORE", default=1)
    load.add_argument("--out", type=Path, metavar="FILE")
    load.set_defaults(run=command_load)

    idle = commands.add_parser("idle", help="memory per idle keep-alive connection")
    idle.add_argument(
        "--connections", type=int, metavar="N", default=10_000, help="default 10000, on one worker"
    )
    idle.add_argument("--rounds", type=int, metavar="N", default=3, help="default 3")
    idle.add_argument("--servers", metavar="A,B", help="default the floor, the framework and nine peers")
    idle.add_argument("--out", type=Path, metavar="FILE")
    idle.set_defaults(run=command_idle)

    micro = commands.add_parser("micro", help="single pieces, without sockets")
    micro.add_argument("--groups", metavar="A,B", help=f"of {', '.join(GROUPS)}; default all")
    micro.add_argument("--rounds", type=int, metavar="N", default=9, help="default 9; the best counts")
    micro.add_argument("--out", type=Path, metavar="FILE")
    micro.set_defaults(run=command_micro)

    quiet = commands.add_parser(
        "quiet",
        help="every other program in a short form, for a quiet window, and the aims of issues 3 to 6",
    )
    quiet.add_argument("--minutes", type=float, metavar="N", default=10, help="what it may take, default 10")
    names = ", ".join(program.name for program in PROGRAMS)
    quiet.add_argument("--only", metavar="A,B", help=f"of {names}, or how these begin; default all")
    quiet.add_argument("--folder", type=Path, default=LOCAL / "quiet", help="for a result of each, NAME.json")
    quiet.add_argument("--plan", action="store_true", help="only say what would run, and how long it takes")
    quiet.set_defaults(run=command_quiet)

    page = commands.add_parser("report", help="tables and drawings of results")
    page.add_argument(
        "files", type=Path, nargs="+", metavar="FILE", help="results of load, idle, micro, quiet"
    )
    page.add_argument("--folder", type=Path, default=RESULTS, help="where README.md and the drawings go")
    page.set_defaults(run=command_report)
    return top


def command_load(options: argparse.Namespace) -> int:
    standard = roster.short(roster.find_twin()) if options.short else None
    plan = Plan(
        servers=roster.select(options.servers or standard),
        scenarios=scenarios.select(options.scenarios),
        rounds=options.rounds or (2 if options.short else 3),
        seconds=options.seconds or (2 if options.short else 4),
        warm_up=options.warm_up,
        server_core=options.server_core,
        load_core=options.load_core,
    )
    document = run_load(plan)
    write(document, options.out)
    return failed(document)


def command_idle(options: argparse.Namespace) -> int:
    servers = roster.select(options.servers or DEFAULT_SERVERS)
    document = run_idle(IdlePlan(servers, options.connections, options.rounds))
    write(document, options.out)
    return failed(document)


def command_micro(options: argparse.Namespace) -> int:
    write(run_micro(options.groups, options.rounds), options.out)
    return 0


def command_quiet(options: argparse.Namespace) -> int:
    programs = select_programs(options.only)
    scale = choose(programs, options.minutes)
    total = sum(program.estimate(scale) for program in programs)
    for program in programs if options.plan else ():
        progress(f"{program.name:<16} {program.estimate(scale):4.0f} s {program.missing() or ''}")
    progress(f"{scale.rounds} rounds of {scale.seconds} s each, about {total:.0f} s in all")
    if options.plan:
        return 0
    options.folder.mkdir(parents=True, exist_ok=True)
    documents = run_quiet(programs, scale, options.folder)
    kinds = {program.name for program in programs}
    findings = [one for one in find_all(documents) if options.only is None or one.promise.kind in kinds]
    rows = [["issue", "aim", "found", "bound", "verdict", "quiet"], *findings_rows(findings, documents)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        print("  ".join([*cells, row[4].strip("*").ljust(8), row[5]]).rstrip())
    loads = {kind: document["facts"]["load_average"] for kind, document in documents.items()}
    print(f"load average before the run: {max(loads.values(), default=0.0):.2f}")
    return int(len(documents) < len(programs))


def command_report(options: argparse.Namespace) -> int:
    for path in report(options.files, options.folder):
        progress(f"written: {path}")
    return 0


def failed(document: dict[str, Any]) -> int:
    """1 when the floor or the framework itself was refused: a peer's failure is a finding, ours an error."""
    return int(any(entry["server"] in OWN for entry in document["refused"]))


def write(document: dict[str, Any], out: Path | None) -> None:
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    path = out or LOCAL / f"{document['kind']}-{stamp}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")
    progress(f"written: {path}")


if __name__ == "__main__":
    sys.exit(main())
