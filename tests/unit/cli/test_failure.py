"""Whose frames a traceback shows."""

from __future__ import annotations

import pytest

import framework.cli.failure as failure
from framework import App
from framework.cli.failure import Failure, place_of, user_traceback
from framework.errors import SetupError


def fail() -> None:
    App().install(App)  # type: ignore[arg-type]


def test_the_place_is_the_last_frame_of_the_user() -> None:
    with pytest.raises(SetupError) as caught:
        fail()
    assert place_of(caught.value) == f"{__file__}:{fail.__code__.co_firstlineno + 1}"


def test_frames_of_ours_go_from_the_beginning_only() -> None:
    with pytest.raises(SetupError) as caught:
        fail()
    text = user_traceback(caught.value)
    assert text.count("  File ") == 3
    assert "in install" in text


def test_an_error_without_any_frame_of_the_user_still_has_its_text() -> None:
    error = ValueError("alone")
    assert user_traceback(error) == "ValueError: alone"
    assert place_of(error) == ""


def test_a_fault_that_is_all_ours_is_shown_whole() -> None:
    try:
        App().build(environ={"FRAMEWORK_X": "1"})
    except SetupError as error:
        whole = error.with_traceback(error.__traceback__.tb_next if error.__traceback__ else None)
    assert "framework/app" in user_traceback(whole)


def test_one_problem_or_many() -> None:
    assert Failure("one").problems == ("one",)
    assert Failure(["one", "two"]).problems == ("one", "two")
    assert Failure("one").code == failure.WRONG_USE
