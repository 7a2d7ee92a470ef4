"""Summaries, descriptions and operation ids."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from framework.errors import SetupError
from framework.plugins.openapi.texts import described, operation_ids


def documented(text: str | None) -> Any:
    def handler() -> None: ...

    handler.__doc__ = text
    return handler


@pytest.mark.parametrize(
    ("text", "summary", "description"),
    [
        (None, "", ""),
        ("Lists users.", "Lists users", ""),
        ("Lists users", "Lists users", ""),
        ("Lists users. Oldest first.", "Lists users", "Oldest first."),
        (
            "Lists users, e.g. Ada, or\n    those of version 1.5 at once.",
            "Lists users, e.g. Ada, or those of version 1.5 at once",
            "",
        ),
        (
            "Lists users.\n\n    Oldest first.\n\n    - one\n    - two",
            "Lists users",
            "Oldest first.\n\n- one\n- two",
        ),
        ("Lists users. ``next`` leads on.\n\n    More.", "Lists users", "``next`` leads on.\n\nMore."),
        ("Waits ...", "Waits ...", ""),
        ("Does it.\n\n    Raises:\n        KeyError: a secret.", "Does it", ""),
        ("Does it.\n\n    More.\n\n    Args:\n        x: a secret.", "Does it", "More."),
    ],
)
def test_the_first_sentence_is_the_summary(text: str | None, summary: str, description: str) -> None:
    assert described(documented(text)) == (summary, description)


def test_a_partial_speaks_with_the_words_of_its_function() -> None:
    assert described(partial(documented("Does it."))) == ("Does it", "")


class Users:
    def list(self) -> None: ...


def list_users() -> None: ...


def stranger(name: str, module: str) -> Any:
    def handler() -> None: ...

    handler.__qualname__, handler.__module__ = name, module
    return handler


def test_ids_are_the_handlers_names() -> None:
    wanted: list[Any] = [
        (None, list_users, "get", "/users"),
        (None, Users().list, "get", "/all"),
        ("stated", list_users, "post", "/users"),
        (None, documented(""), "get", "/"),
    ]
    assert operation_ids(wanted) == ["list_users", "Users_list", "stated", "handler"]


def test_those_that_share_a_name_all_take_a_longer_one() -> None:
    a, b = stranger("show", "shop.a"), stranger("show", "shop.b")
    wanted: list[Any] = [(None, a, "get", "/a"), (None, b, "get", "/b"), (None, list_users, "get", "/c")]
    assert operation_ids(wanted) == ["shop_a_show", "shop_b_show", "list_users"]
    assert operation_ids(wanted[::-1]) == ["list_users", "shop_b_show", "shop_a_show"]


def test_one_handler_for_several_methods_and_places() -> None:
    one = stranger("show", "shop")
    methods: list[Any] = [(None, one, "get", "/a"), (None, one, "post", "/a")]
    assert operation_ids(methods) == ["shop_show_get", "shop_show_post"]
    places: list[Any] = [(None, one, "get", "/a"), (None, one, "get", "/b/{id}"), (None, one, "get", "/b_id")]
    assert operation_ids(places) == ["shop_show_get_a", "shop_show_get_b_id", "shop_show_get_b_id_2"]


def test_a_stated_id_keeps_its_place() -> None:
    wanted: list[Any] = [("show", list_users, "get", "/a"), (None, stranger("show", "shop"), "get", "/b")]
    assert operation_ids(wanted) == ["show", "shop_show"]


def test_an_id_stated_twice_is_a_setup_error() -> None:
    with pytest.raises(SetupError, match="'x' is stated by more than one"):
        operation_ids([("x", list_users, "get", "/a"), ("x", list_users, "get", "/b")])
