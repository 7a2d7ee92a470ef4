"""Lifetimes and their order."""

from __future__ import annotations

from framework.di.scope import Scope


def test_wide_is_less_than_narrow() -> None:
    assert Scope.APP < Scope.CONNECTION < Scope.REQUEST < Scope.TRANSIENT


def test_the_word_is_what_a_person_writes() -> None:
    assert [scope.word for scope in Scope] == ["app", "connection", "request", "transient"]
