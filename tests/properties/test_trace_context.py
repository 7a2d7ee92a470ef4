"""Whatever is sent, what is passed on is well-formed."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from framework.middleware.trace_context import TraceContext, parse_traceparent, parse_tracestate

HEX = "0123456789abcdef"


def ids(length: int) -> st.SearchStrategy[str]:
    return st.text(HEX, min_size=length, max_size=length).filter(lambda text: text.strip("0") != "")


@given(ids(32), ids(16), st.integers(0, 3))
def test_what_is_written_is_read_back(trace_id: str, span_id: str, flags: int) -> None:
    assert parse_traceparent(TraceContext(trace_id, span_id, flags).traceparent) == (trace_id, span_id, flags)


@given(st.text(f"{HEX}-gA \t\n", max_size=70) | st.text(max_size=70))
def test_what_is_read_is_well_formed(text: str) -> None:
    found = parse_traceparent(text)
    if found is not None:
        trace_id, span_id, flags = found
        assert re.fullmatch("[0-9a-f]{32}", trace_id)
        assert re.fullmatch("[0-9a-f]{16}", span_id)
        assert trace_id != "0" * 32
        assert span_id != "0" * 16
        assert 0 <= flags <= 3


@given(st.lists(st.text("ab1=,@ \t\x00é", max_size=30), max_size=4))
def test_a_tracestate_is_stable_and_has_each_key_once(lines: list[str]) -> None:
    state = parse_tracestate(lines)
    assert parse_tracestate([state]) == state
    keys = [member.partition("=")[0] for member in state.split(",")] if state else []
    assert len(set(keys)) == len(keys) <= 32
