from __future__ import annotations

from xml.etree import ElementTree

import pytest

from benchmarks.plot import CUT, Bar, Panel, render

SVG = "{http://www.w3.org/2000/svg}"


def bars(*values: float) -> list[Bar]:
    return [Bar(f"s{number}", value, f"{value} µs") for number, value in enumerate(values)]


def widths(drawing: str) -> list[float]:
    return [float(rect.get("width", "")) for rect in ElementTree.fromstring(drawing).iter(f"{SVG}rect")]


def test_bars_are_in_proportion() -> None:
    first, second, third = widths(render("t", "n", [Panel("p", bars(1, 2, 4))]))
    assert second == pytest.approx(2 * first, rel=0.01)
    assert third == pytest.approx(4 * first, rel=0.01)


def test_a_bar_far_over_the_reference_is_cut_and_marked() -> None:
    panel = Panel("p", bars(1, 2, 3, 4, 5, 6, 7, CUT * 50), reference=1.0, reference_label="floor")
    drawing = render("t", "n", [panel])
    found = widths(drawing)
    assert found[-1] == pytest.approx(CUT * found[0], rel=0.05)
    assert drawing.count('class="cut"') == 1


def test_most_bars_stay_whole_where_all_are_far_over_the_reference() -> None:
    panel = Panel("p", bars(1, 20, 25, 30, 35, 40, 45, 900), reference=1.0)
    assert render("t", "n", [panel]).count('class="cut"') <= 2


def test_text_is_escaped() -> None:
    drawing = render('a <b> & "c"', "n", [Panel("<p>", [Bar("<s>", 1, "1 & 2")])])
    texts = [element.text for element in ElementTree.fromstring(drawing).iter(f"{SVG}text")]
    assert {'a <b> & "c"', "<p>", "<s>", "1 & 2"} <= set(texts)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_every_panel_is_inside_the_drawing(count: int) -> None:
    root = ElementTree.fromstring(render("t", "n", [Panel("p", bars(1, 2)) for _ in range(count)]))
    width, height = float(root.get("width", "")), float(root.get("height", ""))
    for text in root.iter(f"{SVG}text"):
        assert 0 <= float(text.get("x", "")) <= width
        assert 0 <= float(text.get("y", "")) <= height
