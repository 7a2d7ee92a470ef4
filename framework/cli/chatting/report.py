"""What a load of the chat showed: as lines, as JSON, and drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from xml.sax.saxutils import escape

import msgspec

from framework.cli.chatting.load import Report
from framework.cli.paper import table

__all__ = ["as_json", "as_lines", "as_svg", "percentile"]

POINTS: Final = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0))

WIDTH: Final = 560
MARGIN: Final = 24
LABEL: Final = 64
VALUE: Final = 96
STEP: Final = 21
BAR: Final = 15
STYLE: Final = """
  text { font-family: "Inter", "Segoe UI", "Helvetica Neue", Helvetica, Arial, sans-serif; fill: #727c87; }
  .title { font-size: 19px; font-weight: 600; }
  .note { font-size: 12px; }
  .panel { font-size: 13.5px; font-weight: 600; }
  .name, .value { font-size: 12px; font-variant-numeric: tabular-nums; }
  rect { fill: #1f7ae0; }
  @media (prefers-color-scheme: dark) { text { fill: #9aa4af; } rect { fill: #388bfd; } }
"""


def percentile(ordered: Sequence[float], share: float) -> float:
    """The least of the values that ``share`` of them do not exceed (nearest rank); ``ordered`` is not empty."""
    rank = -(-len(ordered) * share // 1)
    return ordered[min(len(ordered), max(1, int(rank))) - 1]


def _measured(report: Report) -> list[tuple[str, list[float]]]:
    all_of_them = (
        ("connected", report.connecting),
        ("acknowledged", report.acknowledged),
        ("delivered", report.delivered),
    )
    return [(name, sorted(times)) for name, times in all_of_them if times]


def _rate(count: int, report: Report) -> float:
    return count / report.elapsed if report.elapsed else 0.0


def as_lines(report: Report) -> list[str]:
    """The report for people, times in milliseconds."""
    load = report.load
    lines = [
        f"{load.members} members in {load.rooms} rooms, {load.rate:g} posts/s for {load.seconds:g} s,"
        f" {load.size} characters each",
        "",
    ]
    rows = [
        [name, str(len(times)), *(f"{percentile(times, share) * 1000:.2f}" for _, share in POINTS)]
        for name, times in _measured(report)
    ]
    lines += table(["MILLISECONDS", "COUNT", *(name for name, _ in POINTS)], rows)
    acknowledged, delivered = len(report.acknowledged), len(report.delivered)
    lines += [
        "",
        f"posts       {report.sent} sent, {acknowledged} acknowledged ({_rate(acknowledged, report):,.0f}/s)",
        f"deliveries  {delivered} ({_rate(delivered, report):,.0f}/s), {report.missing} missing,"
        f" {report.doubled} double, {report.gaps} gaps",
    ]
    if report.behind:
        lines.append(f"left out    {report.behind}: too many were outstanding")
    if report.errors:
        lines.append(
            "refused     " + ", ".join(f"{code} {count}" for code, count in report.errors.most_common())
        )
    return lines


def as_json(report: Report) -> dict[str, object]:
    """The report for programs, times in seconds. The secret is not in it."""
    load = msgspec.structs.asdict(report.load)
    load.pop("secret")
    return {
        "load": load,
        "seconds": {
            name: {"count": len(times), **{point: percentile(times, share) for point, share in POINTS}}
            for name, times in _measured(report)
        },
        "sent": report.sent,
        "acknowledged_per_second": _rate(len(report.acknowledged), report),
        "delivered_per_second": _rate(len(report.delivered), report),
        "elapsed": report.elapsed,
        "expected": report.expected,
        "missing": report.missing,
        "doubled": report.doubled,
        "gaps": report.gaps,
        "behind": report.behind,
        "lost": report.lost,
        "errors": dict(report.errors),
    }


def as_svg(report: Report) -> str:
    """Bars of the percentiles; by itself, in colours that hold on a light and on a dark page."""
    load = report.load
    title = f"{load.members} members, {load.rooms} rooms, {load.rate:g} posts/s"
    note = (
        f"milliseconds; {len(report.delivered)} deliveries, {report.missing} missing, {report.doubled} double"
    )
    parts: list[str] = []
    top = MARGIN + 58
    for name, times in _measured(report):
        parts.append(f'<text class="panel" x="{MARGIN}" y="{top + 14}">{name}</text>')
        top += 26
        longest = times[-1] or 1.0
        scale = (WIDTH - 2 * MARGIN - LABEL - VALUE) / longest
        for point, share in POINTS:
            value = percentile(times, share)
            parts.append(_bar(point, value, value * scale, top))
            top += STEP
        top += 16
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" width="{WIDTH}" height="{top}" role="img"'
        f' aria-label="{escape(title)}">\n<style>{STYLE}</style>\n'
        f'<text class="title" x="{MARGIN}" y="{MARGIN + 18}">{escape(title)}</text>\n'
        f'<text class="note" x="{MARGIN}" y="{MARGIN + 38}">{escape(note)}</text>\n'
    )
    return head + "\n".join(parts) + "\n</svg>\n"


def _bar(name: str, value: float, length: float, top: int) -> str:
    start, base = MARGIN + LABEL, top + BAR - 3.5
    return (
        f'<text class="name" x="{start - 8}" y="{base}" text-anchor="end">{name}</text>'
        f'<rect x="{start}" y="{top}" width="{length:.1f}" height="{BAR}"/>'
        f'<text class="value" x="{start + length + 6:.1f}" y="{base}">{value * 1000:.2f}</text>'
    )
