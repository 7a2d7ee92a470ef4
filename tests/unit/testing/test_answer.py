"""What is read from an answer, and what a failed test shows of it."""

from __future__ import annotations

import msgspec
import pytest

from framework.errors import CodecError
from framework.http.headers import Headers
from framework.testing import Answer, UnexpectedAnswer


class User(msgspec.Struct):
    id: int
    name: str


def answer(body: bytes, status: int = 200, kind: str = "application/json") -> Answer:
    return Answer(status, Headers([("content-type", kind)]), body, request="GET /users/7")


def test_json_as_a_type() -> None:
    body = b'{"id":7,"name":"Ann"}'
    assert answer(body).json() == {"id": 7, "name": "Ann"}
    assert answer(body).json(User) == User(7, "Ann")
    assert answer(b"[" + body + b"]").json(type=list[User]) == [User(7, "Ann")]


def test_json_of_another_type_says_every_fault_and_shows_the_body() -> None:
    with pytest.raises(AssertionError) as caught:
        answer(b'{"id":"x"}').json(User)
    told = str(caught.value)
    assert told.startswith("GET /users/7: its answer is no User:")
    for part in ("/id: Expected `int`, got `str`", "name", '"id": "x"', "200, application/json"):
        assert part in told


def test_what_is_no_json() -> None:
    with pytest.raises(CodecError):
        answer(b"oops").json()
    with pytest.raises(AssertionError, match=r"(?s)its answer is no User: .*oops"):
        answer(b"oops").json(User)


def test_the_expected_status_gives_the_answer_back() -> None:
    got = answer(b"", 204)
    assert got.expect(204) is got
    assert got.expect((200, 204)) is got
    assert got.expect(range(200, 300)) is got


def test_another_status_shows_the_problem_document() -> None:
    got = answer(b'{"title":"Not Found","detail":"no user 7"}', 404, "application/problem+json")
    cause = LookupError("7")
    with pytest.raises(UnexpectedAnswer) as caught:
        got.expect(200, cause)
    assert str(caught.value) == (
        "GET /users/7: expected 200, the answer was 404, application/problem+json, 42 bytes\n"
        '{\n  "title": "Not Found",\n  "detail": "no user 7"\n}'
    )
    assert (caught.value.answer, caught.value.expected, caught.value.__cause__) == (got, 200, cause)


def test_the_problem_is_read_only_from_a_problem_document() -> None:
    assert answer(b'{"status":404}', 404, "application/problem+json").problem == {"status": 404}
    with pytest.raises(
        AssertionError, match=r"(?s)not answered by a problem document.*404, text/plain.*gone"
    ):
        _ = answer(b"gone", 404, "text/plain").problem


def test_what_pytest_prints_is_short_and_tells_why() -> None:
    shown = repr(answer(b'{"detail":"no user 7"}' + b" " * 1000, 404, "application/problem+json"))
    assert shown.startswith('<Answer 404 to GET /users/7: application/problem+json \'{"detail":"no user 7"}')
    assert len(shown) < 300
    assert len(answer(b"\xff" * 1_000_000).shown) < 3000
