"""Events become lines: one each, whatever is in them."""

from __future__ import annotations

import datetime
import json
import math
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.app.secret import Secret
from framework.plugins.logs.lines import Timestamps, human_lines, json_line

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary(max_size=8)
    | st.just(object()),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=8), anything, max_size=6))
def test_any_event_is_one_line_of_json(event: dict[str, Any]) -> None:
    line = json_line(event)
    assert "\n" not in line
    assert set(json.loads(line)) == {name.encode("utf-8", "backslashreplace").decode() for name in event}


@given(st.dictionaries(st.text(max_size=8), anything, max_size=6))
def test_any_event_is_one_harmless_line_for_people(event: dict[str, Any]) -> None:
    event.pop("exception", None)
    event.pop("stack", None)
    line = human_lines(colors=False)({"event": "x", **event})
    line.encode()
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in line)
    assert line.splitlines() == [line]


def test_what_json_has_no_word_for() -> None:
    event = {
        "at": datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC),
        "id": uuid.UUID(int=1),
        "secret": Secret("hunter2"),
        "error": OSError("x"),
        "nan": math.nan,
        "odd": {("a", 1): 2},
        "lone": "\ud800",
    }
    found = json.loads(json_line(event))
    assert found["secret"] == "***"
    assert found["error"] == "OSError('x')"
    assert found["lone"] == "\\ud800"
    assert "hunter2" not in json_line(event)


def test_a_stranger_writes_no_line_and_no_colours() -> None:
    line = human_lines(colors=False)(
        {"timestamp": "t", "level": "info", "event": "a\n2026 [critical] b\x1b[31m", "path": "/x\r\n\x9b"}
    )
    assert line.startswith("t [info     ] a\\n2026 [critical] b\\x1b[31m ")
    assert line.endswith(r"path=/x\r\n\x9b")


def test_a_traceback_keeps_its_lines() -> None:
    line = human_lines(colors=False)({"event": "x", "exception": "Traceback:\n  a\n\tb\x1b[0m"})
    assert line.splitlines()[1:] == ["Traceback:", "  a", "\tb\\x1b[0m"]


def test_people_see_the_trace_only_where_it_says_more_than_the_request() -> None:
    human = human_lines(colors=False)
    same = human({"event": "x", "request_id": "r1", "trace_id": "r1", "span_id": "s1"})
    other = human({"event": "x", "request_id": "r1", "trace_id": "t1", "span_id": "s1"})
    assert ("trace_id" in same, "trace_id" in other, "span_id" in other) == (False, True, False)


def test_colours_when_asked_for() -> None:
    assert "\x1b[" in human_lines(colors=True)({"event": "x", "level": "info"})
    assert "\x1b[" not in human_lines(colors=False)({"event": "x", "level": "info"})


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1769860800.9999, "2026-01-31T12:00:00.999Z"),
        (1769860801.0001, "2026-01-31T12:00:01.000Z"),
        (1769860801.0002, "2026-01-31T12:00:01.000Z"),
        (1769860800.5, "2026-01-31T12:00:00.500Z"),
    ],
)
def test_times(seconds: float, text: str) -> None:
    stamps = Timestamps()
    stamps.now()
    assert stamps.of(seconds) == text
    assert stamps.of(seconds) == text


@given(st.lists(st.floats(0, 4e9), max_size=20))
def test_times_do_not_depend_on_those_before(times: list[float]) -> None:
    stamps = Timestamps()
    assert [stamps.of(each) for each in times] == [Timestamps().of(each) for each in times]
