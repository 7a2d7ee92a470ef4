"""What annotations say about the inside of a value."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta, Struct

from framework.schema import build


class Open(Struct):
    a: int


class Closed(Struct, forbid_unknown_fields=True):
    a: int


class Ring(Struct, forbid_unknown_fields=True):
    next: Ring | None = None
    also: list[Ring] = []


class OpenRing(Struct, forbid_unknown_fields=True):
    next: OpenRing | None = None
    leak: dict[str, tuple[int, Open]] = {}


@pytest.mark.parametrize(
    ("type", "shape"),
    [
        (int, "leaf"),
        (Any, "leaf"),
        (Annotated[Closed, Meta(description="doc")], "object"),
        (dict[str, int], "object"),
        (list, "array"),
        (Annotated[tuple[int, ...], Meta(min_length=1)], "array"),
        (tuple[int, str], "array"),
        (frozenset[int], "array"),
        (Closed | None, "leaf"),
    ],
)
def test_shapes(type: Any, shape: str) -> None:
    assert build(type).shape == shape


@pytest.mark.parametrize(
    ("type", "open"),
    [
        (Open, True),
        (Closed, False),
        (Ring, False),
        (OpenRing, True),
        (list[Closed | None], False),
        (dict[str, list[Open]], True),
        (tuple[int, Open], True),
        (Annotated[list[Open], Meta(max_length=1)], True),
        (int | str, False),
    ],
)
def test_open_is_whatever_holds_something_open_however_deep(type: Any, open: bool) -> None:
    assert build(type).open is open


def test_a_recursive_struct_is_one_node() -> None:
    ring = build(Ring)
    (choice, rings) = ring.parts()
    assert list(choice.parts()) == [ring]
    assert list(rings.parts()) == [ring]


def test_has_unknown_follows_only_what_is_open() -> None:
    node = build(OpenRing)
    accepted = b'{"next":{"leak":{"k":[1,{"a":1}]}},"leak":{}}'
    leaking = b'{"next":{"leak":{"k":[1,{"a":1,"b":2}]}},"leak":{}}'
    for data, unknown in ((accepted, False), (leaking, True)):
        msgspec.json.decode(data, type=OpenRing)
        assert node.has_unknown(msgspec.json.decode(data)) is unknown
