from __future__ import annotations

import pytest

from benchmarks.load.scenarios import SCENARIOS
from benchmarks.load.wrk import Load, WrkError, parse, script

OUTPUT = """Running 1s test @ http://127.0.0.1:8000/hello
  1 threads and 64 connections
bench-result {"requests": 1000, "micros": 2000000, "p50": 510, "p99": 1250, "errors": 3}
"""
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


def test_parse_reads_the_marked_line() -> None:
    assert parse(OUTPUT) == Load(requests=1000, seconds=2.0, p50_ms=0.51, p99_ms=1.25, errors=3)


def test_parse_has_no_latencies_under_pipelining() -> None:
    load = parse(OUTPUT, depth=16)
    assert (load.p50_ms, load.p99_ms) == (None, None)


def test_parse_without_the_line_raises() -> None:
    with pytest.raises(WrkError, match="unable to connect"):
        parse("unable to connect to 127.0.0.1:8000")


def test_a_request_without_pipelining_is_static() -> None:
    for name in ("text", "browser", "param", "post"):
        assert "function request" not in script(BY_NAME[name])


def test_the_script_carries_method_headers_and_body() -> None:
    text = script(BY_NAME["post"])
    assert 'wrk.method = "POST"' in text
    assert 'wrk.headers["Content-Type"] = "application/json"' in text
    assert BY_NAME["post"].body.decode() in text


def test_the_pipelining_script_repeats_the_request() -> None:
    text = script(BY_NAME["pipeline"])
    assert 'string.rep(wrk.format(nil, "/hello"), 16)' in text
    assert "function request() return batch end" in text
