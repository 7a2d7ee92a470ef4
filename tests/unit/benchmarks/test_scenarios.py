from __future__ import annotations

import json

import pytest

from benchmarks.load import work
from benchmarks.load.scenarios import SCENARIOS, Reply, Scenario, complaint, refusals, request_bytes, select

TEXT = next(scenario for scenario in SCENARIOS if scenario.name == "text")
POST = next(scenario for scenario in SCENARIOS if scenario.name == "post")
PLAIN = {"content-type": "text/plain; charset=utf-8"}


def test_names_are_unique() -> None:
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)


def test_the_browser_head_is_about_500_bytes() -> None:
    browser = next(scenario for scenario in SCENARIOS if scenario.name == "browser")
    assert 480 <= len(request_bytes(browser, "127.0.0.1:50000")) <= 520


def test_the_posted_document_is_about_1_kb_and_its_length_is_told() -> None:
    raw = request_bytes(POST, "localhost")
    head, _, body = raw.partition(b"\r\n\r\n")
    assert 950 <= len(body) <= 1050
    assert b"Content-Length: %d" % len(body) in head
    assert json.loads(body) == work.order()


def test_select_keeps_the_order_of_the_scenarios() -> None:
    assert [scenario.name for scenario in select("post, text")] == ["text", "post"]
    assert select(None) == SCENARIOS


def test_select_names_what_it_does_not_know() -> None:
    with pytest.raises(ValueError, match="unknown scenario nope"):
        select("text,nope")


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (Reply(200, PLAIN, b"Hello, World!"), None),
        (Reply(500, PLAIN, b"Hello, World!"), "status 500"),
        (Reply(200, {"content-type": "text/html"}, b"Hello, World!"), "content type text/html"),
        (Reply(200, {}, b"Hello, World!"), "content type (none)"),
        (Reply(200, PLAIN, b"Hello, world!"), "instead of 'Hello, World!'"),
        (Reply(200, PLAIN, b"\xff"), "does not decode"),
    ],
)
def test_complaint_about_text(reply: Reply, problem: str | None) -> None:
    found = complaint(TEXT, reply)
    assert found is None if problem is None else found is not None and problem in found


def test_json_is_compared_by_value() -> None:
    spaced = json.dumps(work.receipt(), indent=2).encode()
    assert complaint(POST, Reply(200, {"content-type": "application/json"}, spaced)) is None
    wrong = json.dumps({**work.receipt(), "total": 1}).encode()
    assert complaint(POST, Reply(200, {"content-type": "application/json"}, wrong)) is not None


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_every_scenario_has_something_to_refuse(scenario: Scenario) -> None:
    for bad in refusals(scenario):
        assert request_bytes(bad, "h") != request_bytes(scenario, "h")


def test_the_bad_orders_are_json_with_one_fault_each() -> None:
    wrong, missing = (json.loads(bad.body) for bad in refusals(POST))
    assert wrong["lines"][-1]["quantity"] == "many"
    assert "city" not in missing["customer"]["address"]


@pytest.mark.parametrize("count", [3, 4, 30, 31, 600])
def test_fillers_make_up_the_table(count: int) -> None:
    before, after = work.fillers(count)
    assert len(before) + len(after) + 3 == count
    assert len(set(before + after)) == count - 3
    assert abs(len(before) - len(after)) <= 1


def test_settings_pass_through_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = work.Settings(port=8123, routes=600, onions=5)
    for name, value in sent.environment().items():
        monkeypatch.setenv(name, value)
    assert work.settings() == sent
