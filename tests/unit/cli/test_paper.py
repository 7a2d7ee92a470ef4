"""Lines, tables, and colour only where somebody sees it."""

from __future__ import annotations

import io

import pytest

from framework.cli.paper import say, styled, table, wants_colour, warn


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environ", "wanted"),
    [
        (Terminal(), {}, True),
        (io.StringIO(), {}, False),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"NO_COLOR": ""}, True),
        (io.StringIO(), {"FORCE_COLOR": "1"}, True),
        (Terminal(), {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {"FORCE_COLOR": "1", "TERM": "dumb"}, True),
    ],
)
def test_colour_goes_to_terminals_and_where_it_is_forced(
    stream: io.StringIO, environ: dict[str, str], wanted: bool
) -> None:
    assert wants_colour(stream, environ) is wanted


def test_style_is_taken_out_where_it_is_not_wanted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    say(styled("out", fg="red"))
    warn(styled("err", bold=True))
    assert capsys.readouterr() == ("out\n", "err\n")


def test_style_stays_where_it_is_forced(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    say(styled("out", bold=True))
    assert capsys.readouterr().out == "\x1b[1mout\x1b[0m\n"


def test_columns_are_aligned_and_empty_ones_left_out() -> None:
    lines = table(["A", "B", "C"], [("long text", "", "1"), ("x", "", "22")])
    assert lines[1:] == ["long text  1", "x          22"]
    assert "A          C" in lines[0]


def test_a_table_without_rows_is_its_header() -> None:
    assert len(table(["A"], [])) == 1
