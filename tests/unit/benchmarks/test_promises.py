from __future__ import annotations

from typing import Any

import pytest

from benchmarks.promises import PROMISES, Finding, Promise, find_all


def promise(words: str) -> Promise:
    (found,) = [one for one in PROMISES if words in one.text]
    return found


def found(words: str, document: dict[str, Any]) -> Finding:
    return promise(words).judge(document)


def echoes(**servers: list[float]) -> dict[str, Any]:
    return {
        server: [{"round": number, "cpu_us": cost} for number, cost in enumerate(costs)]
        for server, costs in servers.items()
    }


def test_a_bound_may_be_met_exactly_from_either_side() -> None:
    for at_least in (False, True):
        edge = Promise(9, "edge", "x", lambda document: float(document["value"]), 2.0, " x", at_least)
        assert edge.judge({"value": 2.0}).met is True
        assert edge.judge({"value": 1.0}).met is not at_least
        assert edge.judge({"value": 3.0}).met is at_least


def test_a_figure_that_is_not_there_is_neither_met_nor_missed_and_says_why() -> None:
    aim = promise("8 outstanding")
    assert aim.judge(None).met is None
    assert aim.judge(None).why == "broadcast was not run"
    without = aim.judge({"summary": {"8 outstanding": {}}, "absent": {"socketify": "not in .venv-bench"}})
    assert (without.met, without.text) == (None, "-")
    assert without.why == "not in the result (socketify: not in .venv-bench)"


def test_every_promise_is_judged_without_any_document() -> None:
    assert [finding.promise for finding in find_all({})] == list(PROMISES)
    assert {one.issue for one in PROMISES} == {3, 4, 5, 6}
    assert len({one.text for one in PROMISES}) == len(PROMISES)


def test_echo_ratios_are_taken_inside_a_round() -> None:
    # The second round was disturbed for both: medians apart would say 20 / 4, whole rounds say 2.
    samples = {"text64": echoes(listener=[2.0, 10.0, 4.0], picows_echo=[4.0, 20.0, 8.0], handler=[3.0, 15.0])}
    document = {"samples": samples}
    assert found("echo 64 B text", document).value == pytest.approx(2.0)
    assert found("echo 64 B text", document).met is True
    assert found("async for, CPU", document).value == pytest.approx(1.5)
    assert found("async for, CPU", document).met is True


def test_the_worst_request_of_an_application_counts() -> None:
    summary = {
        "starlette hello": {"rate_ratio": {"uvicorn": 1.9}},
        "starlette echo": {"rate_ratio": {"uvicorn": 1.2}},
        "fastapi hello": {"rate_ratio": {"uvicorn": 1.4}},
    }
    assert found("Starlette app", {"summary": summary}).met is False
    assert found("FastAPI app", {"summary": summary}).met is True


def test_a_query_through_the_pool_may_take_a_twentieth_and_the_borrowing_more() -> None:
    summary = {"SELECT 1: a held connection": 98.5, "SELECT 1: this pool": 104.9}
    assert found("SELECT 1 by", {"summary": summary}).met is True
    summary["SELECT 1: this pool"] = 105.1
    assert found("SELECT 1 by", {"summary": summary}).met is False


def test_the_middleware_costs_what_it_adds_to_a_bare_request() -> None:
    group = "rate limit, middleware"
    figures = [
        {"group": group, "name": "request and response alone", "ns": 700.0},
        {"group": group, "name": "with a limit by client and draft-11 fields", "ns": 2100.0},
    ]
    finding = found("through the middleware", {"figures": figures})
    assert finding.value == pytest.approx(1.4)
    assert finding.text == "1.40 µs"


def test_a_limiter_that_costs_less_than_nothing_is_a_disturbance_and_not_met() -> None:
    group = "rate limit, middleware"
    figures = [
        {"group": group, "name": "request and response alone", "ns": 2700.0},
        {"group": group, "name": "with a limit by client and draft-11 fields", "ns": 2100.0},
    ]
    finding = found("through the middleware", {"figures": figures})
    assert finding.met is None
    assert (finding.why or "").startswith("disturbed")


def test_the_flood_is_judged_by_what_it_takes_after_the_table_is_full() -> None:
    marks = {"100000": 60.0, "1000000": 80.0, "10000000": 81.5}
    finding = found("flood of 1 to 10 million", {"summary": {"keys": 10_000_000, "megabytes": marks}})
    assert finding.value == pytest.approx(1.5)
    assert finding.met is False


def test_large_figures_have_separators() -> None:
    finding = found("limiter on Redis", {"summary": {"gcra": {"per_second": 71_234.0}}})
    assert (finding.text, finding.promise.aim, finding.met) == ("71,234/s", "at least 60,000/s", True)


def test_the_cache_is_judged_by_its_worst_zipf_trace() -> None:
    rows = [
        {"trace": "zipf 0.7", "ours": 0.36, "textbook": 0.30},
        {"trace": "zipf 0.9", "ours": 0.58, "textbook": 0.60},
        {"trace": "loop", "ours": 0.1, "textbook": 0.9},
    ]
    finding = found("hits on Zipf", {"summary": rows})
    assert finding.value == pytest.approx(0.58 / 0.60)
    assert finding.met is False


def test_what_watching_costs_is_told_in_percent() -> None:
    finding = found("trace context", {"summary": {"context": {"to_plain": 1.18}}})
    assert (finding.text, finding.met) == ("18.00 %", True)


def proxied() -> dict[str, Any]:
    def rounds(rates: list[float], cpu: float) -> list[dict[str, float]]:
        return [{"round": number, "rate": rate, "cpu": cpu} for number, rate in enumerate(rates)]

    small = {
        "ours": rounds([4000.0, 9000.0, 9000.0], 100.0),
        "ours-600": rounds([4000.0, 9000.0, 9000.0], 106.0),
        "ours-policies": rounds([3000.0, 6000.0, 6000.0], 150.0),
        "nginx": rounds([8000.0, 18_000.0, 22_000.0], 45.0),
        "http-proxy": rounds([3000.0], 250.0),
    }
    summary = {
        "latency": {"ours": {"added_p99": 0.62}},
        "streams": {"ours": {"bytes": 270_336.0}},
        "tunnels": {"ours": {"bytes": 8_192.0}},
    }
    large = {"ours": rounds([850.0], 1100.0), "nginx": rounds([1000.0], 1200.0)}
    return {"samples": {"1k": small, "1m": large}, "summary": summary, "absent": {"aiohttp": "not there"}}


@pytest.mark.parametrize(
    ("words", "text", "met"),
    [
        ("requests/s by nginx's", "0.50 x", True),  # the median of the rounds' ratios
        ("requests/s by Node", "1.33 x", False),  # of the rounds that both had
        ("by an aiohttp proxy's", "-", None),
        ("metrics on, requests/s", "0.67 x", True),
        ("600 routes, CPU", "1.06 x", False),
        ("throughput by nginx's", "0.85 x", True),
        ("a stream whose", "264.00 KiB", False),
        ("added at half load", "0.62 ms", True),
        ("tunnelled", "8.00 KiB", True),
    ],
)
def test_the_gateway_is_judged_beside_the_proxies(words: str, text: str, met: bool | None) -> None:
    finding = found(words, proxied())
    assert (finding.text, finding.met) == (text, met)
    assert finding.promise.issue == 6
