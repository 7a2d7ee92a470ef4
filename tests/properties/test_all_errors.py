"""The walk that explains a refusal agrees with the decoder that refused, for any type and any document."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct

from framework.codec import DECODE_ERRORS, Decoder
from framework.errors import CodecError
from framework.validation import Schema


class Leaf(Struct, forbid_unknown_fields=True):
    n: Annotated[int, Meta(ge=0, le=9)]
    s: Annotated[str, Meta(max_length=2)] = ""


class A(Struct, tag="a", rename="upper"):
    leaf: Leaf
    many: Annotated[list[Leaf | None], Meta(max_length=2)] = []


class B(Struct, tag="b"):
    tree: dict[str, Tree] = {}


class Tree(Struct):
    kids: list[A | B] = []
    value: int | str | None = None
    row: tuple[int, Leaf] | None = None


TYPES: list[Any] = [Leaf, A, B, Tree, A | B, list[Tree], dict[int, Leaf | int], tuple[A, ...], Tree | None]
NAMES = st.sampled_from(
    ["n", "s", "type", "LEAF", "MANY", "leaf", "tree", "kids", "value", "row", "1", "~/", "a"]
)
SCALARS = (
    st.none() | st.booleans() | st.integers(-1, 10) | st.sampled_from(["a", "b", "abc", "é"]) | st.just(0.5)
)
DOCUMENTS: st.SearchStrategy[Any] = st.recursive(
    SCALARS | st.builds(dict, n=st.integers(-1, 10)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(NAMES, inner, max_size=4)
        | st.fixed_dictionaries({"type": st.sampled_from(["a", "b"]), "LEAF": inner, "tree": inner})
        | st.fixed_dictionaries(
            {"kids": st.lists(inner, max_size=2)}, optional={"row": inner, "value": inner}
        )
    ),
    max_leaves=12,
)


def resolve(document: Any, pointer: str) -> None:
    """Follows a pointer; only its last token may name what is not there."""
    tokens = [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]
    for place, token in enumerate(tokens):
        if isinstance(document, list):
            document = document[int(token)]
        elif token in document:
            document = document[token]
        else:
            assert place == len(tokens) - 1


@given(st.sampled_from(TYPES), DOCUMENTS, st.booleans())
def test_errors_are_listed_exactly_when_msgspec_refuses(
    type: Any, document: Any, strict_unknown: bool
) -> None:
    data = msgspec.json.encode(document)
    decoder = Decoder(type, strict_unknown=strict_unknown)
    errors = Schema(type).errors(data, strict_unknown=strict_unknown)
    try:
        decoder.decode(data)
    except DECODE_ERRORS:
        assert errors
    else:
        assert not errors
    for error in errors:
        resolve(document, error.pointer)


@given(st.sampled_from(TYPES), DOCUMENTS)
def test_values_and_documents_are_judged_alike(type: Any, document: Any) -> None:
    data = msgspec.json.encode(document)
    schema = Schema(type)
    from_bytes = [error.pointer for error in schema.errors(data)]
    assert [error.pointer for error in schema.value_errors(document, source="config")] == from_bytes


@given(
    st.sampled_from(TYPES), st.binary(max_size=30) | DOCUMENTS.map(msgspec.json.encode), st.integers(0, 30)
)
def test_any_bytes_are_explained(type: Any, data: bytes, cut: int) -> None:
    broken = data[: len(data) - cut] if cut < len(data) else data
    decoder = Decoder(type)
    try:
        decoder.decode(broken)
    except DECODE_ERRORS as error:
        explained = decoder.explain(broken, error)
        if isinstance(explained, CodecError):
            assert str(explained)
        else:
            assert explained.errors
    else:
        assert Schema(type).errors(broken) == []


FAULTS = {"n": -1, "s": "long"}


@given(st.lists(st.sets(st.sampled_from(["n", "s", "z"])), min_size=1, max_size=8))
def test_every_planted_fault_is_found_and_no_other(plan: list[set[str]]) -> None:
    items: list[dict[str, Any]] = []
    for faults in plan:
        item: dict[str, Any] = {"n": 1, "s": "ok"}
        item.update({name: FAULTS.get(name, 0) for name in faults})
        items.append(item)
    errors = Schema(list[Leaf]).errors(msgspec.json.encode(items))
    assert sorted(error.pointer for error in errors) == sorted(
        f"/{index}/{name}" for index, faults in enumerate(plan) for name in faults
    )
