"""Sections and drawings of what stands on data: connection pool, rate limiter, cache."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.plot import Panel, render
from benchmarks.tables import Document, absences, cpu_bar, least, machine, named, table, trust

__all__ = ["cache_section", "pool_drawing", "pool_section", "ratelimit_section"]


def pool_drawing(document: Document) -> str:
    cases: dict[str, dict[str, float]] = {}
    for name, value in document["summary"].items():
        case, _, contestant = name.partition(": ")
        cases.setdefault(case, {})[contestant] = value
    panels = [
        Panel(case, [cpu_bar(who, found[who], None) for who in least(found, float)])
        for case, found in cases.items()
    ]
    best = f"best of {document['settings']['rounds']} interleaved rounds"
    note = f"microseconds each on PostgreSQL, {best}; {machine(document)}"
    return render("Borrowing a connection, beside the pools of asyncpg and psycopg", note, panels)


def pool_section(document: Document) -> list[str]:
    rows = [
        [case, named(contestant)[0], f"{value:.2f}"]
        for name, value in document["summary"].items()
        for case, _, contestant in (name.partition(": "),)
    ]
    return [
        "## Connection pool\n",
        *trust(document),
        "![Pool](pool.svg)\n",
        *absences(document),
        table(["case", "pool", "µs each"], rows),
    ]


def ratelimit_section(documents: Mapping[str, Document]) -> list[str]:
    parts: list[str] = []
    if redis := documents.get("ratelimit-redis"):
        rows = [
            [name, f"{cell['per_second']:,.0f}", f"{cell['cpu_us']:.1f}"]
            for name, cell in redis["summary"].items()
        ]
        head = ["one client process, 64 tasks", "decisions/s", "CPU µs each"]
        parts += [*trust(redis), *absences(redis), table(head, rows)]
    if flood := documents.get("ratelimit-flood"):
        found = flood["summary"]
        rows = [[f"{int(keys):,}", f"{mb:.1f}"] for keys, mb in found["megabytes"].items()]
        said = "remembered" if found["offender_remembered"] else "forgotten"
        parts += [
            f"A flood of {found['keys']:,} distinct keys, {found['ns_per_key']:,} ns each; the exhausted key of "
            f"before it was {said}.\n",
            table(["keys so far", "MB resident"], rows),
        ]
    return ["## Rate limiter\n", *parts] if parts else []


def cache_section(document: Document) -> list[str]:
    policies = list(dict.fromkeys(name for row in document["summary"] for name in row))[2:]
    rows = [
        [
            f"{row['trace']}, {row['capacity']:,}",
            *(f"{row[name]:.3f}" if name in row else "-" for name in policies),
        ]
        for row in document["summary"]
    ]
    return [
        "## Cache, hit ratios\n",
        f"Traces of {document['settings']['requests']:,} requests, and how many entries may stay.\n",
        *absences(document),
        table(["trace", *("framework" if name == "ours" else name for name in policies)], rows),
    ]
