"""What a walk costs, counted, not timed."""

from __future__ import annotations

from typing import Any

import pytest

from framework.routing import RouterBuilder
from framework.routing.converters import NARROW, WIDE
from framework.routing.pattern import parse
from framework.routing.tree import Leaf, Section, compile_tree, walk

CONVERTERS = {**NARROW, **WIDE}
RANKS = {kind: rank for rank, kind in enumerate(CONVERTERS)}


def section_of(*patterns: str) -> Section[str]:
    rows = [(parse(pattern, CONVERTERS).segments, Leaf[str]({}, (pattern, ()))) for pattern in patterns]
    return compile_tree(rows, RANKS)


class CountingNodes(dict[str, Any]):
    asked = 0

    def get(self, key: str, default: Any = None) -> Any:
        self.asked += 1
        return super().get(key, default)


@pytest.mark.parametrize("path", ["/users/42", "/users/bob", "/none/42", "/users/42/posts"])
def test_the_number_of_routes_does_not_count(path: str) -> None:
    asked: list[int] = []
    for size in (30, 600):
        section = section_of("/users/{id:int}", *(f"/thing{i:03}/{{id:int}}" for i in range(size)))
        nodes = section.nodes = CountingNodes(section.nodes)
        walk(section, path)
        asked.append(nodes.asked)
    assert asked[0] == asked[1] <= path.count("/")


def test_a_long_path_costs_no_more_than_a_short_one() -> None:
    section = section_of("/users/{id:int}")
    nodes = section.nodes = CountingNodes(section.nodes)
    assert walk(section, "/a" * 4000) is None
    assert nodes.asked <= 4


class Counting:
    """Accepts everything and counts how often it is asked."""

    name, type = "counting", str

    def __init__(self, regex: str) -> None:
        self.regex = regex
        self.asked = 0

    def to_python(self, text: str) -> str:
        self.asked += 1
        return text

    def to_text(self, value: str) -> str:
        return value


def test_backtracking_does_not_explode() -> None:
    kinds = {"one": Counting("a|b"), "two": Counting("b|a")}
    builder = RouterBuilder[str](kinds)
    depth = 6
    for number in range(2**depth):
        shape = "".join(f"/{{p{i}:{'one' if number >> i & 1 else 'two'}}}" for i in range(depth))
        builder.add(f"{shape}/end", ["GET"], shape)
    router = builder.build(lambda _: "405", lambda _: "", "404", head=lambda value: value)
    assert router.find("GET", "/a" * depth + "/other") == ("404", {})
    # A section is walked once, so no more questions than the tree has edges: 2 + 4 + ... + 2**depth.
    assert sum(kind.asked for kind in kinds.values()) <= 2 ** (depth + 1)


def test_a_section_knows_how_far_its_texts_reach() -> None:
    assert section_of("/a").reach == 0
    assert section_of("/{x}").reach == 1
    assert section_of("/users/{x}", "/a/{x}").reach == len("/users/")
