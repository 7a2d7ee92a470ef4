"""What the fields of a settings type say of themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import Meta, Struct, field

from framework.app.secret import Secret
from framework.cli.fields import default_words, fields_of, limits_of, only_struct, parts_of


class Inner(Struct, frozen=True):
    size: int = 1


class Outer(Struct, frozen=True, kw_only=True):
    """What it is.

    Attributes:
        port: where it listens,
            or ``None``.
        name: overruled by its annotation.

    More text.
        port: no entry.
    """

    port: int | None = None
    name: Annotated[str, Meta(description="what it is called", min_length=1)] = "x"
    inner: Inner = field(default_factory=lambda: Inner(size=5))
    must: Annotated[int, Meta(ge=1, le=9)]
    renamed: bool = field(default=True, name="other")


def test_words_come_from_the_annotation_or_the_docstring() -> None:
    docs = {one.name: one.doc for one in fields_of(Outer)}
    assert docs == {
        "port": "where it listens, or None",
        "name": "what it is called",
        "inner": "",
        "must": "",
        "other": "",
    }


def test_defaults_come_from_the_field_or_from_an_instance() -> None:
    defaults = {one.name: one.default for one in fields_of(Outer)}
    assert defaults["inner"] == Inner(size=5)
    assert defaults["must"] is msgspec.NODEFAULT
    assert [one.default for one in fields_of(Inner, Inner(size=7))] == [7]


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (Annotated[int, Meta(ge=0, le=65535)], "0 to 65535"),
        (Annotated[Annotated[int, Meta(ge=1)], Meta(le=3)], "1 to 3"),
        (Annotated[float, Meta(gt=0)] | None, "above 0"),
        (Annotated[int, Meta(ge=1)], "at least 1"),
        (Annotated[float, Meta(gt=0, lt=1)], "above 0, below 1"),
        (Annotated[str, Meta(min_length=1, max_length=3)], "length at least 1, length at most 3"),
        (list[Annotated[int, Meta(ge=1)]], ""),
        (str, ""),
    ],
)
def test_limits_are_told_in_words(annotation: object, words: str) -> None:
    assert limits_of(annotation) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (msgspec.NODEFAULT, "required"),
        (None, "not set"),
        (True, "on"),
        (False, "off"),
        (30.0, "30"),
        (0.5, "0.5"),
        ("", "empty"),
        ("text", "text"),
        ((), "none"),
        ({}, "none"),
        (("a", "b"), '["a","b"]'),
        (Path("/x"), "/x"),
        (Secret("hush"), "***"),
        ((Secret("hush"),), '["***"]'),
    ],
)
def test_a_default_is_shown_as_people_write_it(value: object, words: str) -> None:
    assert default_words(value) == words


def test_the_parts_of_an_annotation() -> None:
    assert parts_of(Annotated[list[int] | None, Meta(max_length=2)]) == [list, int, type(None)]
    assert parts_of(Inner) == [Inner]


@pytest.mark.parametrize(
    ("annotation", "found"),
    [
        (Inner, Inner),
        (Inner | None, Inner),
        (list[Inner], None),
        (dict[str, Inner], None),
        (Inner | int, None),
    ],
)
def test_a_field_that_can_only_hold_one_struct(annotation: object, found: object) -> None:
    assert only_struct(annotation) is found


def test_choices_have_no_limits() -> None:
    assert limits_of(Literal["a", "b"]) == ""
