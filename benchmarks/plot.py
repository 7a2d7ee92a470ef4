"""Horizontal bars as hand-written SVG: no dependency, and colours that hold on a light and on a dark page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

__all__ = ["Bar", "Panel", "render"]

COLUMN = 470
GAP = 30
MARGIN = 24
LABEL_WIDTH = 152
VALUE_WIDTH = 112
BAR_HEIGHT = 15
BAR_STEP = 21
PANEL_HEAD = 50
PANEL_FOOT = 24
TITLE_HEIGHT = 58
# Bars longer than about this many references are cut off: linear bars, and the short ones stay readable.
CUT = 9.0

STYLE = """
  text { font-family: "Inter", "Segoe UI", "Helvetica Neue", Helvetica, Arial, sans-serif; fill: #727c87; }
  .title { font-size: 19px; font-weight: 600; }
  .note { font-size: 12px; }
  .panel { font-size: 13.5px; font-weight: 600; }
  .name, .value { font-size: 12px; }
  .value { font-variant-numeric: tabular-nums; }
  .own { fill: #1f7ae0; font-weight: 600; }
  .bar { fill: #8c959f; fill-opacity: 0.62; }
  .bar.own { fill: #1f7ae0; fill-opacity: 1; }
  .bar.pure { fill: #1f7ae0; fill-opacity: 0.55; }
  .bar.floor { fill: #c77d0a; fill-opacity: 0.9; }
  .line { stroke: #c77d0a; stroke-width: 1.2; stroke-dasharray: 4 3; }
  .reference { font-size: 11px; fill: #c77d0a; }
  .cut { stroke: #8c959f; stroke-width: 1.4; fill: none; }
  @media (prefers-color-scheme: dark) {
    text { fill: #9aa4af; }
    .own { fill: #58a6ff; }
    .bar.own, .bar.pure { fill: #388bfd; }
    .reference { fill: #d29922; }
  }
"""


@dataclass(frozen=True, slots=True)
class Bar:
    """``kind`` is "floor", "own", "pure" or "peer"; ``label`` is written behind the bar."""

    name: str
    value: float
    label: str
    kind: str = "peer"


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart; its bars are drawn as given. ``reference`` draws the dashed line, with its text above."""

    title: str
    bars: Sequence[Bar]
    reference: float | None = None
    reference_label: str = ""

    @property
    def height(self) -> int:
        return PANEL_HEAD + BAR_STEP * len(self.bars) + PANEL_FOOT


def render(title: str, note: str, panels: Sequence[Panel]) -> str:
    """The drawing: panels in two columns, each row as high as its higher panel."""
    columns = min(2, max(1, len(panels)))
    width = 2 * MARGIN + columns * COLUMN + (columns - 1) * GAP
    parts: list[str] = []
    top = MARGIN + TITLE_HEIGHT
    for first in range(0, len(panels), columns):
        row = panels[first : first + columns]
        for column, panel in enumerate(row):
            parts.append(draw_panel(panel, MARGIN + column * (COLUMN + GAP), top))
        top += max(panel.height for panel in row)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top}" width="{width}" height="{top}"'
        f' role="img" aria-label="{escape(title, {chr(34): "&quot;"})}">\n<style>{STYLE}</style>\n'
        f'<text class="title" x="{MARGIN}" y="{MARGIN + 18}">{escape(title)}</text>\n'
        f'<text class="note" x="{MARGIN}" y="{MARGIN + 38}">{escape(note)}</text>\n'
    )
    return head + "\n".join(parts) + "\n</svg>\n"


def draw_panel(panel: Panel, left: int, top: int) -> str:
    longest = max((bar.value for bar in panel.bars), default=1.0) or 1.0
    limit = longest if panel.reference is None else min(longest, cut_off(panel, panel.reference))
    start = left + LABEL_WIDTH
    scale = (COLUMN - LABEL_WIDTH - VALUE_WIDTH) / limit
    parts = [f'<text class="panel" x="{left}" y="{top + 16}">{escape(panel.title)}</text>']
    if panel.reference:
        x = start + panel.reference * scale
        bottom = top + PANEL_HEAD + BAR_STEP * len(panel.bars)
        parts += [
            f'<line class="line" x1="{x:.1f}" y1="{top + PANEL_HEAD - 6}" x2="{x:.1f}" y2="{bottom}"/>',
            f'<text class="reference" x="{x:.1f}" y="{top + PANEL_HEAD - 11}" text-anchor="middle">'
            f"{escape(panel.reference_label)}</text>",
        ]
    for index, bar in enumerate(panel.bars):
        parts.append(draw_bar(bar, start, top + PANEL_HEAD + index * BAR_STEP, scale, limit))
    return "\n".join(parts)


def cut_off(panel: Panel, reference: float) -> float:
    """The longest bar drawn whole: some references, or so that three quarters of the bars are whole."""
    values = sorted(bar.value for bar in panel.bars)
    return max(CUT * reference, values[len(values) * 3 // 4 - 1])


def draw_bar(bar: Bar, start: int, top: int, scale: float, limit: float) -> str:
    length = min(bar.value, limit) * scale
    base = top + BAR_HEIGHT - 3.5
    own = " own" if bar.kind in ("own", "pure") else ""
    parts = [
        f'<text class="name{own}" x="{start - 8}" y="{base}" text-anchor="end">{escape(bar.name)}</text>',
        f'<rect class="bar {bar.kind}" x="{start}" y="{top}" width="{length:.1f}" height="{BAR_HEIGHT}"/>',
    ]
    end = start + length
    if bar.value > limit:
        slash = f"l4 {BAR_HEIGHT + 2}"
        back = f"m0 -{BAR_HEIGHT + 2}"
        parts.append(f'<path class="cut" d="M{end + 3:.1f} {top - 1} {slash} {back} {slash}"/>')
        end += 11
    parts.append(f'<text class="value{own}" x="{end + 6:.1f}" y="{base}">{escape(bar.label)}</text>')
    return "\n".join(parts)
