"""The JSON door: one look for a value whichever library writes it, and refusals that name byte or pointer."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import uuid
from typing import Annotated, Any, NamedTuple

import msgspec
import pytest

from framework.codec import DECODE_ERRORS, Decoder, decode_json, encode_json, encoder, pointer_of
from framework.errors import CodecError, ValidationError


class Point(msgspec.Struct):
    x: int
    y: int = 0


class Note(msgspec.Struct):
    text: str


class Closed(msgspec.Struct, forbid_unknown_fields=True):
    at: int


@dataclasses.dataclass
class Plain:
    a: int
    _b: int = 2


class Colour(enum.Enum):
    RED = "red"


class Loud(str):
    pass


class Pair(NamedTuple):
    left: int
    right: int


UTC_NOON = dt.datetime(2026, 8, 5, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, b"null"),
        ({"a": [1, "é", 2.5, None, True]}, '{"a":[1,"é",2.5,null,true]}'.encode()),
        (Point(1), b'{"x":1,"y":0}'),
        ([Point(1), {"p": Point(2, 3)}], b'[{"x":1,"y":0},{"p":{"x":2,"y":3}}]'),
        ({1: "a"}, b'{"1":"a"}'),
        ({uuid.UUID(int=1): 1}, b'{"00000000-0000-0000-0000-000000000001":1}'),
        ([2**64, -(2**70)], b"[18446744073709551616,-1180591620717411303424]"),
        ([float("nan"), float("inf")], b"[null,null]"),
        ({"b": b"ab"}, b'{"b":"YWI="}'),
        ({"d": decimal.Decimal("1.10")}, b'{"d":"1.10"}'),
        ({"s": {3}}, b'{"s":[3]}'),
        ((1, Pair(1, 2)), b"[1,[1,2]]"),
        ({"c": Colour.RED}, b'{"c":"red"}'),
        ({"p": Plain(1)}, b'{"p":{"a":1,"_b":2}}'),
        (UTC_NOON, b'"2026-08-05T12:00:00Z"'),
        ([Loud("x"), Point(1)], b'["x",{"x":1,"y":0}]'),
    ],
)
def test_encodes(value: Any, text: bytes) -> None:
    assert encode_json(value) == text
    assert encoder(type(value))(value) == text


@pytest.mark.parametrize(
    "value", [UTC_NOON, UTC_NOON.replace(tzinfo=None), Colour.RED, Plain(1), uuid.UUID(int=7), Loud("x")]
)
def test_a_struct_elsewhere_in_the_tree_does_not_change_how_a_value_looks(value: Any) -> None:
    alone = encode_json({"v": value})
    beside = encode_json({"v": value, "s": Point(1)})
    assert beside == alone[:-1] + b',"s":{"x":1,"y":0}}'


def _circle() -> list[Any]:
    circle: list[Any] = []
    circle.append(circle)
    return circle


@pytest.mark.parametrize("value", [object(), {"a": object()}, "\ud800", Note("\ud800"), _circle(), {None: 1}])
def test_what_has_no_json_form_is_a_codec_error(value: Any) -> None:
    with pytest.raises(CodecError, match="not encodable as JSON"):
        encode_json(value)


@pytest.mark.parametrize("untyped", [Any, dict, dict[str, Any], list[dict[str, int]]])
def test_untyped_declarations_are_orjsons(untyped: Any) -> None:
    assert encoder(untyped) is encode_json


@pytest.mark.parametrize(
    "typed", [Point, list[Point], dict[str, Point], Point | None, Annotated[Point, "doc"]]
)
def test_typed_declarations_are_msgspecs(typed: Any) -> None:
    assert encoder(typed) is not encode_json
    assert encoder(typed)({"any": [1]}) == b'{"any":[1]}'


def test_decodes() -> None:
    assert decode_json('{"a":[1,-2.5,"é",null,true]}'.encode()) == {"a": [1, -2.5, "é", None, True]}


@pytest.mark.parametrize(
    ("data", "position"),
    [
        (b"", 0),
        (b'{"a":}', 5),
        (b"[1,2", 4),
        (b"[1] x", 4),
        (b"NaN", 0),
        ('["é", x]'.encode(), 7),
        (b'["\xff"]', 2),
        (b'"\\ud800"', 1),
        (b"\xef\xbb\xbf1", 0),
        (b"[" * 2000, 1025),
    ],
)
def test_malformed_json_names_the_byte(data: bytes, position: int) -> None:
    with pytest.raises(CodecError) as caught:
        decode_json(data)
    assert caught.value.position == position
    assert str(caught.value).endswith(f" at byte {position}")


def _refusal(decoder: Decoder, data: bytes) -> CodecError | ValidationError:
    with pytest.raises(DECODE_ERRORS) as caught:
        decoder.decode(data)
    return decoder.explain(data, caught.value)


def test_decoder_decodes_with_msgspecs_own_method() -> None:
    assert Decoder(Point).decode(b'{"x":1,"z":2}') == Point(1)
    assert Decoder(list[Point]).decode(b'[{"x":1}]') == [Point(1)]


@pytest.mark.parametrize(
    "data", [b'{"x":', b"[" * 100_000, b'{"x":"\xff"}', b'{"x":"bad","y":}', b'{"x":1,"q":' + b"[" * 5000]
)
def test_bytes_that_are_no_json_are_explained_as_such_even_after_a_wrong_member(data: bytes) -> None:
    error = _refusal(Decoder(Point), data)
    assert isinstance(error, CodecError)
    assert error.position is not None


def test_a_refused_document_lists_every_fault() -> None:
    error = _refusal(Decoder(Point), b'{"x":"a","y":"b"}')
    assert isinstance(error, ValidationError)
    assert error.status == 422
    assert [fault.pointer for fault in error.errors] == ["/x", "/y"]
    assert {fault.source for fault in error.errors} == {"body"}


def test_strict_unknown_refuses_members_at_any_depth() -> None:
    decoder = Decoder(dict[str, list[Point]], strict_unknown=True)
    assert decoder.decode(b'{"k":[{"x":1}]}') == {"k": [Point(1)]}
    error = _refusal(decoder, b'{"k":[{"x":1,"z":1},{"x":2,"w":{}}]}')
    assert isinstance(error, ValidationError)
    assert [fault.pointer for fault in error.errors] == ["/k/0/z", "/k/1/w"]


def test_strict_unknown_costs_no_pass_where_the_types_forbid_by_themselves() -> None:
    decode: Any = Decoder(Closed, strict_unknown=True).decode
    assert isinstance(decode.__self__, msgspec.json.Decoder)
    with pytest.raises(msgspec.ValidationError, match="unknown field `z`"):
        Decoder(Closed, strict_unknown=True).decode(b'{"at":1,"z":2}')


class Chain(msgspec.Struct):
    next: Chain | None = None


def test_a_fault_deeper_than_the_walk_is_still_told() -> None:
    depth = 40
    data = b'{"next":' * depth + b"5" + b"}" * depth
    error = _refusal(Decoder(Chain), data)
    assert isinstance(error, ValidationError)
    assert [fault.pointer for fault in error.errors] == ["/next" * depth]
    unknown = b'{"next":' * depth + b'{"z":1}' + b"}" * depth
    refused = _refusal(Decoder(Chain, strict_unknown=True), unknown)
    assert isinstance(refused, ValidationError)
    assert len(refused.errors) == 1


def test_pointer_of_reads_msgspecs_path() -> None:
    assert pointer_of("Expected `int`, got `str` - at `$.a[0].b`") == "/a/0/b"
