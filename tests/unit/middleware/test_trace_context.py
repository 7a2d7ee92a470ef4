"""Trace contexts; the cases of the W3C's own test suite (github.com/w3c/trace-context, test/test.py) are among them."""

from __future__ import annotations

import pytest

from framework.http.request import Request
from framework.middleware.trace_context import (
    TRACE,
    TraceContext,
    parse_traceparent,
    parse_tracestate,
    trace_of,
)
from framework.testing import fake_request
from framework.wire.leaves import Limits, parse_request

TRACE_ID = "12345678901234567890123456789012"
PARENT_ID = "1234567890123456"
GOOD = f"00-{TRACE_ID}-{PARENT_ID}-01"


def request_with(*lines: tuple[str, str]) -> Request:
    """A request whose fields may come several times."""
    head = "GET / HTTP/1.1\r\nhost: test\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines)
    request = parse_request(f"{head}\r\n".encode("latin-1"), 0, Limits(), Request)
    assert request is not None
    plain = fake_request()
    request.attach(plain.exchange, b"", None)
    request.endpoint = plain.endpoint
    return request


def test_a_good_traceparent_is_read() -> None:
    assert parse_traceparent(GOOD) == (TRACE_ID, PARENT_ID, 1)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "x",
        f"00-{TRACE_ID}-{PARENT_ID}-01.",
        f"00-{TRACE_ID}-{PARENT_ID}-01-what-the-future-will-be-like",
        f"cc-{TRACE_ID}-{PARENT_ID}-01.what-the-future-will-be-like",
        f"ff-{TRACE_ID}-{PARENT_ID}-01",
        f".0-{TRACE_ID}-{PARENT_ID}-01",
        f"0.-{TRACE_ID}-{PARENT_ID}-01",
        f"000-{TRACE_ID}-{PARENT_ID}-01",
        f"0000-{TRACE_ID}-{PARENT_ID}-01",
        f"0-{TRACE_ID}-{PARENT_ID}-01",
        f"00-{'0' * 32}-{PARENT_ID}-01",
        f"00-.{TRACE_ID[1:]}-{PARENT_ID}-01",
        f"00-{TRACE_ID[:-1]}.-{PARENT_ID}-01",
        f"00-{TRACE_ID}3-{PARENT_ID}-01",
        f"00-{TRACE_ID[:-1]}-{PARENT_ID}-01",
        f"00-{TRACE_ID}-{'0' * 16}-01",
        f"00-{TRACE_ID}-.{PARENT_ID[1:]}-01",
        f"00-{TRACE_ID}-{PARENT_ID}7-01",
        f"00-{TRACE_ID}-{PARENT_ID[:-1]}-01",
        f"00-{TRACE_ID}-{PARENT_ID}-.0",
        f"00-{TRACE_ID}-{PARENT_ID}-0.",
        f"00-{TRACE_ID}-{PARENT_ID}-001",
        f"00-{TRACE_ID}-{PARENT_ID}-1",
        f"00-{'A' * 32}-{PARENT_ID}-01",
        f"00-{TRACE_ID}-{PARENT_ID}-01\n",
        f"00-{'١' * 32}-{PARENT_ID}-01",
    ],
)
def test_a_malformed_traceparent_is_ignored(value: str) -> None:
    assert parse_traceparent(value) is None


@pytest.mark.parametrize("rest", ["", "-what-the-future-will-be-like", "-"])
def test_of_a_later_version_what_is_known_is_read(rest: str) -> None:
    assert parse_traceparent(f"cc-{TRACE_ID}-{PARENT_ID}-01{rest}") == (TRACE_ID, PARENT_ID, 1)


def test_flags_without_a_meaning_are_not_passed_on() -> None:
    found = parse_traceparent(f"00-{TRACE_ID}-{PARENT_ID}-ff")
    assert found is not None
    assert found[2] == 3


@pytest.mark.parametrize(
    ("lines", "combined"),
    [
        ([], ""),
        ([""], ""),
        (["foo=1,bar=2"], "foo=1,bar=2"),
        (["foo=1", ""], "foo=1"),
        (["", "foo=1"], "foo=1"),
        (["foo=1,bar=2", "rojo=1,congo=2", "baz=3"], "foo=1,bar=2,rojo=1,congo=2,baz=3"),
        (["foo=1 \t , \t bar=2, \t baz=3"], "foo=1,bar=2,baz=3"),
        (["\tfoo=1\t"], "foo=1"),
        (["foo=1,foo=2"], "foo=1"),
        (["foo=1", "foo=2"], "foo=1"),
        (["foo@=1,bar=2"], "foo@=1,bar=2"),
        (["foo@bar@baz=1"], "foo@bar@baz=1"),
        (["0a=1"], "0a=1"),
        ([f"{'z' * 256}=1"], f"{'z' * 256}=1"),
        ([f"a={'v' * 256}"], f"a={'v' * 256}"),
        (["a= b"], "a= b"),
        ([",".join(f"k{n}={n}" for n in range(32))], ",".join(f"k{n}={n}" for n in range(32))),
    ],
)
def test_a_tracestate_is_passed_on(lines: list[str], combined: str) -> None:
    assert parse_tracestate(lines) == combined


@pytest.mark.parametrize(
    "text",
    [
        "foo =1",
        "FOO=1",
        "foo.bar=1",
        "@foo=1,bar=2",
        "foo=bar=baz",
        "foo=,bar=3",
        "foo",
        "=1",
        "foo=\x01",
        "foo=\xe9",
        f"{'z' * 257}=1",
        f"a={'v' * 257}",
        ",".join(f"k{n}={n}" for n in range(33)),
    ],
)
def test_a_malformed_tracestate_is_left_out_as_a_whole(text: str) -> None:
    assert parse_tracestate(["good=1", text]) == ""


def test_every_visible_character_but_two_may_stand_in_a_value() -> None:
    value = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) not in ",=").strip()
    assert parse_tracestate([f"a={value}"]) == f"a={value}"


def test_a_request_stands_in_the_trace_of_its_caller() -> None:
    trace = trace_of(
        request_with(("TraceParent", f" \t{GOOD} "), ("tracestate", "a=1"), ("tracestate", "b=2"))
    )
    assert (trace.trace_id, trace.parent_id, trace.sampled) == (TRACE_ID, PARENT_ID, True)
    assert trace.state == "a=1,b=2"
    assert trace.span_id != PARENT_ID
    assert trace.fields() == {
        "traceparent": f"00-{TRACE_ID}-{trace.span_id}-01",
        "tracestate": "a=1,b=2",
    }


def test_the_random_flag_is_passed_on() -> None:
    trace = trace_of(request_with(("traceparent", f"00-{TRACE_ID}-{PARENT_ID}-02")))
    assert trace.traceparent.endswith("-02")
    assert not trace.sampled


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [("trace-parent", GOOD)],
        [("traceparent", GOOD), ("traceparent", GOOD)],
        [("traceparent", f"00-{'0' * 32}-{PARENT_ID}-01"), ("tracestate", "a=1")],
        [("tracestate", "a=1")],
    ],
)
def test_otherwise_a_trace_begins(lines: list[tuple[str, str]]) -> None:
    trace = trace_of(request_with(*lines))
    assert trace.trace_id != TRACE_ID
    assert trace.parent_id is None
    assert trace.state == ""
    assert parse_traceparent(trace.traceparent) == (trace.trace_id, trace.span_id, 2)


def test_each_request_has_a_span_of_its_own() -> None:
    spans = {trace_of(request_with(("traceparent", GOOD))).span_id for _ in range(100)}
    assert len(spans) == 100


def test_a_trace_that_begins_here_is_named_as_its_request() -> None:
    request = request_with()
    assert trace_of(request).trace_id == request.id


def test_an_id_from_elsewhere_names_no_trace() -> None:
    request = request_with()
    request.id = "what a client sent"
    assert parse_traceparent(trace_of(request).traceparent) is not None


def test_it_is_read_once_and_a_tracer_may_decide_otherwise() -> None:
    request = request_with(("traceparent", GOOD))
    assert trace_of(request) is trace_of(request)
    decided = request[TRACE] = TraceContext("a" * 32, "b" * 16)
    assert trace_of(request) is decided
