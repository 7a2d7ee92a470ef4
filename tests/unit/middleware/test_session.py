"""What a handler sees of a session."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest

from framework.errors import LocalProtocolError
from framework.middleware.session import Session, Slot


class Cart(msgspec.Struct):
    items: list[str]


def test_it_is_a_dict_for_its_users() -> None:
    one = Session({"a": b"1", "b": b"[2]"})
    assert (one["a"], one.get("c"), "a" in one, "c" in one, len(one)) == (1, None, True, False, 2)
    one["c"] = 3
    del one["a"]
    assert (list(one), one.pop("b"), dict(one)) == (["b", "c"], [2], {"c": 3})
    assert repr(one) == "<Session c>"
    with pytest.raises(KeyError):
        _ = one["a"]
    with pytest.raises(KeyError):
        del one["a"]
    one["a"] = 1
    assert one.changes() == {"b": None, "c": b"3"}


def test_reading_changes_nothing() -> None:
    one = Session({"a": b'{"b":[1,2.5,null,"\xc3\xa9"]}'})
    assert one["a"] == {"b": [1, 2.5, None, "é"]}
    assert one.changes() == {}


def test_a_change_in_place_is_one() -> None:
    one = Session({"a": b"[1]", "b": b"[1]"})
    one["a"].append(2)
    assert one.changes() == {"a": b"[1,2]"}


def test_values_are_read_as_types() -> None:
    one = Session({"cart": b'{"items":["tea"]}', "day": b'"2026-01-02"', "old": b'{"articles":1}'})
    assert one.get_as("cart", Cart) == Cart(["tea"])
    assert one.get_as("day", date) == date(2026, 1, 2)
    assert one.get_as("old", Cart) is None
    assert one.get_as("none", int, 5) == 5
    one["cart"] = Cart(["milk"])
    assert one.get_as("cart", Cart) == Cart(["milk"])
    assert one.changes() == {"cart": b'{"items":["milk"]}'}


def test_clear_keeps_what_end_does_not() -> None:
    one = Session({"a": b"1"})
    one.clear()
    assert (one.changes(), one.ended) == ({"a": None}, False)
    one = Session({"a": b"1"})
    one.end()
    one["b"] = 2
    assert (one.changes(), one.merged(one.changes()), one.ended) == ({"b": b"2"}, {"b": b"2"}, True)


def test_a_sealed_session_can_only_be_read() -> None:
    one = Session({"a": b"1"})
    one.seal()
    assert one["a"] == 1
    for change in (one.renew, one.end, one.clear, lambda: one.update(b=1), lambda: one.pop("a")):
        with pytest.raises(LocalProtocolError, match="cannot change any more"):
            change()


@pytest.mark.parametrize("value", [object(), {1, object()}, {("a",): 1}])
def test_what_has_no_json_form_is_named(value: object) -> None:
    one = Session()
    one["odd"] = value
    with pytest.raises(TypeError, match="'odd' has no JSON form"):
        one.changes()


def test_a_value_within_itself_is_named() -> None:
    one = Session()
    one["loop"] = loop = []  # type: ignore[var-annotated]
    loop.append(loop)
    with pytest.raises(TypeError, match="'loop' has no JSON form"):
        one.changes()


def test_a_slot_makes_its_session_once() -> None:
    slot = Slot(Session)
    assert slot.opened is None
    assert slot.open() is slot.open() is slot.opened
