"""The router against a naive oracle, and the way back against the way there."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from hypothesis import assume, given
from hypothesis import strategies as st

from framework.errors import CodecError, RouteConflict
from framework.http.path import canonical_path, unescape_segment
from framework.routing import Router, RouterBuilder
from framework.routing.converters import NARROW, WIDE


class Hex:
    name, regex, type = "hex", "[0-9a-f]+", int

    def to_python(self, text: str) -> int:
        if text == "bad":
            raise ValueError(text)
        return int(text, 16)

    def to_text(self, value: int) -> str:
        return f"{value:x}"


CONVERTERS = {"hex": Hex()}
KINDS = {**NARROW, **CONVERTERS, **WIDE}
RANK = {kind: rank for rank, kind in enumerate(("", "int", "uuid", "float", "hex", "str", "path", "escaped"))}
RESTS = ("{path}", "{escaped}")
ID = "12345678-1234-5678-9abc-def012345678"

# A small alphabet, so that patterns and paths meet often.
TEXTS = ("a", "b", "5", "x%2Fy")
pattern_segments = st.one_of(
    st.sampled_from(TEXTS), st.sampled_from([f"{{{kind}}}" for kind in RANK if kind])
)
path_segments = st.sampled_from([*TEXTS, "05", "1.5", "ff", "bad", ID, "%25", "é", "..%2Fa"])


@st.composite
def shapes(draw: st.DrawFn) -> tuple[str, ...]:
    """Segments of a pattern, parameters as ``{kind}``; the last one may be empty."""
    segments = draw(st.lists(pattern_segments, max_size=4))
    ends_open: bool = draw(st.booleans())
    for at, segment in enumerate(segments):
        if segment in RESTS:
            return tuple(segments[: at + 1])
    return tuple(segments) if segments and not ends_open else (*segments, "")


@st.composite
def paths(draw: st.DrawFn) -> str:
    segments = draw(st.lists(path_segments, max_size=5))
    ends_open: bool = draw(st.booleans())
    return "/" + "/".join(segments) + ("/" if segments and ends_open else "")


def kind_of(segment: str) -> str:
    return segment[1:-1] if segment.startswith("{") else ""


def pattern_of(shape: Sequence[str]) -> str:
    return "".join(f"/{{p{i}:{kind_of(s)}}}" if kind_of(s) else f"/{s}" for i, s in enumerate(shape))


def read_slowly(kind: str, segment: str) -> Any:
    """The value of one segment for a kind, by the plainest means; None for no match."""
    text = unescape_segment(segment)
    if kind == "path":
        return None if "%2F" in segment else text
    if kind == "escaped":
        return segment
    if not text:
        return None
    if kind == "str":
        return text
    if not re.fullmatch(KINDS[kind].regex, text) or text == "bad":
        return None
    readers: dict[str, Callable[[str], Any]] = {
        "int": int,
        "uuid": UUID,
        "float": float,
        "hex": lambda digits: int(digits, 16),
    }
    value = readers[kind](text)
    return None if kind == "int" and value >= 2**63 else value


def match_slowly(shape: Sequence[str], path: str) -> dict[str, object] | None:
    segments = path[1:].split("/")
    if shape[-1] in RESTS:
        if len(segments) < len(shape):
            return None
        segments = [*segments[: len(shape) - 1], "/".join(segments[len(shape) - 1 :])]
    if len(segments) != len(shape):
        return None
    params: dict[str, object] = {}
    for i, (wanted, segment) in enumerate(zip(shape, segments, strict=True)):
        if kind_of(wanted):
            value = read_slowly(kind_of(wanted), segment)
            if value is None:
                return None
            params[f"p{i}"] = value
        elif wanted != segment:
            return None
    return params


def find_slowly(wanted: Sequence[Sequence[str]], path: str) -> tuple[str, dict[str, object]]:
    """Try every pattern; the one whose kinds, from the left, are the most specific wins."""
    found = [(shape, params) for shape in wanted if (params := match_slowly(shape, path)) is not None]
    if not found:
        return "404", {}
    shape, params = min(found, key=lambda match: [RANK[kind_of(segment)] for segment in match[0]])
    return pattern_of(shape), params


def build(wanted: Sequence[Sequence[str]]) -> Router[str]:
    builder = RouterBuilder[str](CONVERTERS)
    for shape in wanted:
        builder.add(pattern_of(shape), ["GET"], pattern_of(shape))
    return builder.build(lambda _: "405", lambda _: "options", "404", head=lambda value: value)


def problems_of(wanted: Sequence[Sequence[str]]) -> tuple[str, ...]:
    try:
        build(wanted)
    except RouteConflict as conflict:
        return conflict.problems
    return ()


@given(st.lists(shapes(), max_size=12, unique=True), st.lists(paths(), min_size=1, max_size=8))
def test_the_router_is_the_oracle(wanted: list[tuple[str, ...]], asked: list[str]) -> None:
    assume(not problems_of(wanted))
    router = build(wanted)
    for path in asked:
        assert router.find("GET", path) == find_slowly(wanted, path)


@given(
    st.lists(
        st.sampled_from(
            [
                *(("",), ("{str}",), ("{str}", ""), ("{str}", "{path}"), ("{str}", "{escaped}")),
                *(("{str}", "{str}"), ("a",)),
            ]
        )
    ),
    st.lists(paths(), min_size=1, max_size=8),
    st.sampled_from(RESTS),
)
def test_a_route_said_to_be_unreachable_is_never_found(
    others: list[tuple[str, ...]], asked: list[str], rest: str
) -> None:
    wanted = [(rest,), *dict.fromkeys(others)]
    if any(pattern_of((rest,)) in problem.partition(" can never")[0] for problem in problems_of(wanted)):
        for path in asked:
            assert find_slowly(wanted, path)[0] != pattern_of((rest,))


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
VALUES: dict[str, st.SearchStrategy[object]] = {
    "int": st.integers(0, 2**63 - 1),
    "uuid": st.uuids(),
    "float": st.one_of(st.floats(0, 1e15), st.integers(0, 2**53)),
    "hex": st.integers(0),
    "str": st.one_of(texts, st.text("./%2F", max_size=4)),
    "path": st.one_of(texts, st.text("./%2Fa", max_size=6)),
    "escaped": st.one_of(texts, st.text("./%2Fa", max_size=6), st.just("a%2Fb/%25")),
}


def has_text(kind: str, value: object) -> bool:
    """Whether a value can be written into a path at all."""
    if not isinstance(value, str):
        return kind != "hex" or f"{value:x}" != "bad"
    parts = value.split("/") if f"{{{kind}}}" in RESTS else [value]
    is_clean = not re.search(r"[\x00-\x1f\x7f-\x9f]", value)
    may_be_empty = parts[:-1] if f"{{{kind}}}" in RESTS else parts
    if kind == "escaped" and re.search("%(?!2F|25)", value):
        return False
    return is_clean and not {".", ".."} & set(parts) and "" not in may_be_empty


@given(shapes(), st.data())
def test_the_way_back_leads_there_again(shape: tuple[str, ...], data: st.DataObject) -> None:
    kinds = {f"p{i}": kind_of(segment) for i, segment in enumerate(shape) if kind_of(segment)}
    params = {name: data.draw(VALUES[kind]) for name, kind in kinds.items()}
    router = build([shape])
    try:
        path = router.reverse(pattern_of(shape), params)
    except CodecError:
        is_inexact = any(isinstance(value, float) and value < 1e-2 for value in params.values())
        assert is_inexact or not all(has_text(kinds[name], value) for name, value in params.items())
        return
    assert re.fullmatch(r"[!-~]+", path)
    assert router.find("GET", canonical_path(path)) == (pattern_of(shape), params)


@given(shapes(), paths())
def test_the_way_there_and_back_and_there_is_the_way_there(shape: tuple[str, ...], path: str) -> None:
    router = build([shape])
    value, params = router.find("GET", path)
    if value != "404":
        again = router.reverse(value, params)
        assert router.find("GET", canonical_path(again)) == (value, params)


@given(st.lists(shapes(), max_size=8, unique=True), paths(), st.data())
def test_finding_does_not_depend_on_the_encoding_of_unreserved_characters(
    wanted: list[tuple[str, ...]], path: str, data: st.DataObject
) -> None:
    assume(not problems_of(wanted))
    router = build(wanted)
    escape: Callable[[str], str] = lambda char: "".join(f"%{byte:02x}" for byte in char.encode())  # noqa: E731
    raw = "".join(
        escape(char) if not char.isascii() or (char not in "/%" and data.draw(st.booleans())) else char
        for char in re.sub("%(2F|25)", lambda kept: {"%2F": "\x01", "%25": "\x02"}[kept[0]], path)
    )
    raw = raw.replace("%01", "\x01").replace("%02", "\x02").replace("\x01", "%2f").replace("\x02", "%25")
    assert canonical_path(raw) == path
    assert router.find("GET", canonical_path(raw)) == router.find("GET", path)


@given(st.text(max_size=12), st.text(max_size=12), st.text(max_size=12))
def test_finding_never_raises(method: str, path: str, host: str) -> None:
    builder = RouterBuilder[str](CONVERTERS)
    for i, kind in enumerate(KINDS):
        builder.add(f"/{{x:{kind}}}", ["GET"], kind, host=f"{{h}}.x{i % 2}.com" if i % 2 else None)
    router = builder.build(lambda _: "405", lambda _: "options", "404", head=lambda value: value)
    for each in (path, "/" + path):
        assert router.find(method, each, host)[0] in {*KINDS, "404", "405", "options"}
