"""Problems are collected, told once, and raised as what they are."""

from __future__ import annotations

import pytest

from framework.app.problems import Problems
from framework.errors import BindingError, GraphError, SetupError


def raised(problems: Problems) -> SetupError:
    with pytest.raises(SetupError) as caught:
        problems.raise_if_any()
    return caught.value


def test_nothing_wrong_raises_nothing() -> None:
    problems = Problems()
    with problems.collect():
        pass
    problems.raise_if_any()


def test_one_kind_stays_that_kind() -> None:
    problems = Problems()
    for texts in (["a", "b"], ["b", "c"]):
        with problems.collect():
            raise BindingError(texts)
    error = raised(problems)
    assert type(error) is BindingError
    assert error.problems == ("a", "b", "c")


def test_several_kinds_are_a_setup_error() -> None:
    problems = Problems()
    with problems.collect():
        raise BindingError("a")
    with problems.collect():
        raise GraphError("b")
    error = raised(problems)
    assert type(error) is SetupError
    assert error.problems == ("a", "b")


def test_each_says_where_it_is_once() -> None:
    problems = Problems()
    with problems.collect("GET /x"):
        raise SetupError(["GET /x: a", "b"])
    assert raised(problems).problems == ("GET /x: a", "GET /x: b")


def test_other_errors_pass() -> None:
    with pytest.raises(LookupError), Problems().collect():
        raise LookupError
