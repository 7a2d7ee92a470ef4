"""A Secret does not leak."""

from __future__ import annotations

import copy
import pickle
from typing import Any, cast

import msgspec
import orjson
import pytest

from framework.app.secret import Secret

WORD = "hunter2"


@pytest.mark.parametrize(
    "text",
    [
        str(Secret(WORD)),
        repr(Secret(WORD)),
        f"{Secret(WORD)}",
        f"{Secret(WORD)!r:>30}",
        f"{Secret(WORD):>10}",
        "%s" % Secret(WORD),  # noqa: UP031 - the old way must not leak either
        str([Secret(WORD)]),
        str({"a": Secret(WORD)}),
    ],
)
def test_printing_hides_the_text(text: str) -> None:
    assert WORD not in text
    assert "***" in text


def test_reveal_gives_the_text() -> None:
    assert Secret(WORD).reveal() == WORD


@pytest.mark.parametrize(
    "encode", [msgspec.json.encode, msgspec.msgpack.encode, orjson.dumps, msgspec.to_builtins]
)
def test_it_has_no_encoding_to_slip_into_a_response(encode: Any) -> None:
    with pytest.raises(TypeError) as caught:
        encode({"password": Secret(WORD)})
    assert WORD not in str(caught.value)


def test_it_does_not_change() -> None:
    secret = Secret(WORD)
    with pytest.raises(AttributeError):
        secret._value = "other"
    with pytest.raises(AttributeError):
        del secret._value
    with pytest.raises(TypeError):
        vars(secret)


def test_equality_is_that_of_the_text() -> None:
    assert Secret(WORD) == Secret(WORD)
    assert Secret(WORD) != Secret("other")
    assert Secret(WORD) != cast("object", WORD)
    assert hash(Secret(WORD)) == hash(Secret(WORD))
    assert Secret("\udcff") != Secret("é")


def test_emptiness_is_that_of_the_text() -> None:
    assert Secret(WORD)
    assert not Secret("")


def test_other_processes_and_copies_get_the_text() -> None:
    assert pickle.loads(pickle.dumps(Secret(WORD))).reveal() == WORD
    assert copy.deepcopy(Secret(WORD)).reveal() == WORD


def test_only_text_is_taken_and_the_error_hides_it() -> None:
    with pytest.raises(TypeError, match="a secret is text, not bytes") as caught:
        Secret(cast("str", WORD.encode()))
    assert WORD not in str(caught.value)
