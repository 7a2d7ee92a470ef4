"""Problem documents hold what the caller says and nothing else."""

from __future__ import annotations

import pytest

from framework.codec import decode_json
from framework.errors import CodecError
from framework.http.problem import PROBLEM_JSON, problem


def test_the_least_problem_is_named_by_its_status() -> None:
    assert decode_json(problem(404)) == {"type": "about:blank", "title": "Not Found", "status": 404}
    assert PROBLEM_JSON == "application/problem+json"


def test_members_and_extensions() -> None:
    assert decode_json(
        problem(
            422,
            "Out of credit",
            "the balance is 30, but that costs 50",
            "https://example.com/probs/out-of-credit",
            "/account/12345/msgs/abc",
            balance=30,
            errors=[{"pointer": "/a"}],
        )
    ) == {
        "type": "https://example.com/probs/out-of-credit",
        "title": "Out of credit",
        "status": 422,
        "detail": "the balance is 30, but that costs 50",
        "instance": "/account/12345/msgs/abc",
        "balance": 30,
        "errors": [{"pointer": "/a"}],
    }


def test_an_unregistered_status_is_named_by_its_class() -> None:
    assert decode_json(problem(599))["title"] == "Server Error"


def test_an_internal_object_does_not_leak_as_text() -> None:
    with pytest.raises(CodecError):
        problem(500, cause=RuntimeError("postgres://user:password@db"))
