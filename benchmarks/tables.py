"""What the sections of a report are made of: tables, names, warnings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from benchmarks.plot import Bar
from benchmarks.quiet.run import quietness

__all__ = ["Document", "absences", "cpu_bar", "least", "machine", "named", "rounds", "table", "trust"]

Document = Mapping[str, Any]
NAMES = {
    "listener": ("framework, listener", "own"),
    "handler": ("framework, async for", "pure"),
    "channel": ("framework", "own"),
    "framework": ("framework", "own"),
    "client": ("framework", "own"),
    "pool": ("framework, pool only", "pure"),
    "bare": ("bare protocol", "floor"),
    "floor": ("raw joined floor", "floor"),
    "picows_echo": ("picows", "peer"),
    "websockets_echo": ("websockets", "peer"),
    "aiohttp_echo": ("aiohttp", "peer"),
    "socketify_echo": ("socketify", "peer"),
    "this pool": ("framework", "own"),
    "ours": ("framework", "own"),
    "ours-600": ("framework, 600 routes", "pure"),
    "ours-policies": ("framework, JWT, limit and metrics", "pure"),
    "a held connection": ("a held connection", "floor"),
}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first are right-aligned."""
    lines = [f"| {' | '.join(head)} |", "|---|" + "--:|" * (len(head) - 1)]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def absences(document: Document) -> list[str]:
    lines = [f"- {name}: absent, {why}" for name, why in document.get("absent", {}).items()]
    return ["\n".join(lines) + "\n"] if lines else []


def trust(document: Document) -> list[str]:
    warning = quietness(document["facts"])
    return [f"**Not a measurement: {warning}.**\n"] if warning else []


def machine(document: Document) -> str:
    facts = document["facts"]
    return f"{facts['cpu']}, {facts['cores']} cores, {facts['python']}"


def rounds(document: Document) -> str:
    settings = document["settings"]
    return f"{settings['rounds']} interleaved rounds of {float(settings['seconds']):g} s"


def named(name: str) -> tuple[str, str]:
    return NAMES.get(name, (name, "peer"))


def least(cells: Mapping[str, Any], key: Callable[[Any], float]) -> list[str]:
    return sorted(cells, key=lambda name: key(cells[name]))


def cpu_bar(server: str, value: float, times: float | None) -> Bar:
    name, kind = named(server)
    ratio = "" if times is None else f" · {times:.2f}×"
    return Bar(name, value, f"{value:.2f} µs{ratio}", kind)
