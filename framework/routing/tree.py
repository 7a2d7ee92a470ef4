"""The compiled tree: patterns in, one immutable structure out, and the walk that finds a path's leaf in it.

A ``Section`` answers for a whole path, or for what remains of one behind a parameter. It knows its all-static
paths, each as one key, and its parameters by the static text before them, again as one key. So a walk costs a
dictionary lookup for each segment, however many routes there are, and it is exact:

- an all-static path comes before any parameter, and a longer static text before a shorter one: static wins
  where two patterns part;
- the parameters behind one text come in their order of precedence, a catch-all last;
- where the section behind a parameter has no answer, the walk goes on with the next candidate. A section has
  one parent and one place where it can start in a path, so it is walked once at most: no walk explodes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

from framework.routing.converters import REFUSED, matcher, takes_rest
from framework.routing.pattern import Param, Segment

__all__ = ["Entry", "Leaf", "Row", "Section", "compile_tree", "walk"]

T = TypeVar("T")

Entry = tuple[T, tuple[str, ...]]
"""A value, and the names of the parameters in the order of the path."""


class Leaf(dict[str, Entry[T]]):
    """What a pattern leads to: the entry of each method, and ``other`` for all other methods."""

    __slots__ = ("other",)

    def __init__(self, by_method: Mapping[str, Entry[T]], other: Entry[T]) -> None:
        super().__init__(by_method)
        self.other = other

    def __missing__(self, method: str) -> Entry[T]:
        return self.other


Match = Callable[[str], object]
Node = tuple[
    tuple[tuple[Match, Leaf[T]], ...], tuple[tuple[Match, "Section[T]"], ...], tuple[Match, Leaf[T]] | None
]
"""Behind one static text: the parameters that end the path, those that do not, and the catch-all."""

Row = tuple[tuple[Segment, ...], Leaf[T]]
_Branch = tuple[Param, tuple[Segment, ...], Leaf[T]]


class Section(Generic[T]):
    """See the module. ``reach`` is the length of the longest text before a parameter, and its slash."""

    __slots__ = ("nodes", "reach", "static")

    def __init__(self, static: dict[str, Leaf[T]], nodes: dict[str, Node[T]]) -> None:
        self.static = static
        self.nodes = nodes
        self.reach = max(map(len, nodes), default=-1) + 1


def walk(section: Section[T], path: str) -> tuple[Leaf[T], tuple[object, ...]] | None:
    """Find the leaf for ``path`` among the parameters of ``section``; its ``static`` was asked before.

    Returns the leaf and the values of its parameters in the order of the path, or None.
    """
    nodes = section.nodes
    head = path
    if len(path) > section.reach:
        # Whatever lies further right cannot decide, so a long path costs no more than a short one.
        cut = path.find("/", section.reach)
        if cut >= 0:
            head = path[:cut]
    while head:
        text, slash, segment = head.rpartition("/")
        node = nodes.get(text)
        if node is not None and slash:
            last, inner, rest = node
            if len(head) == len(path):
                for match, leaf in last:
                    value = match(segment)
                    if value is not REFUSED:
                        return leaf, (value,)
            else:
                for match, child in inner:
                    value = match(segment)
                    if value is not REFUSED:
                        behind = path[len(head) :]
                        found = child.static.get(behind)
                        if found is not None:
                            return found, (value,)
                        below = walk(child, behind)
                        if below is not None:
                            return below[0], (value, *below[1])
            if rest is not None:
                value = rest[0](path[len(text) + 1 :])
                if value is not REFUSED:
                    return rest[1], (value,)
        head = text
    return None


def compile_tree(rows: Iterable[Row[T]], ranks: Mapping[str, int]) -> Section[T]:
    """Compile leaves, each with its segments, one row for each shape; a kind of lower rank is tried first."""
    static: dict[str, Leaf[T]] = {}
    by_text: dict[str, list[_Branch[T]]] = {}
    for segments, leaf in rows:
        text = ""
        for at, segment in enumerate(segments):
            if isinstance(segment, Param):
                by_text.setdefault(text, []).append((segment, segments[at + 1 :], leaf))
                break
            text += f"/{segment}"
        else:
            static[text] = leaf
    return Section(static, {text: _compile_node(branches, ranks) for text, branches in by_text.items()})


def _compile_node(branches: Iterable[_Branch[T]], ranks: Mapping[str, int]) -> Node[T]:
    by_kind: dict[str, list[_Branch[T]]] = {}
    for branch in sorted(branches, key=lambda branch: ranks[branch[0].kind]):
        by_kind.setdefault(branch[0].kind, []).append(branch)
    last: list[tuple[Match, Leaf[T]]] = []
    inner: list[tuple[Match, Section[T]]] = []
    rest: tuple[Match, Leaf[T]] | None = None
    for same in by_kind.values():
        converter = same[0][0].converter
        ends = [leaf for _, behind, leaf in same if not behind]
        match = matcher(converter)
        if takes_rest(converter):
            rest = match, ends[0]
            continue
        last += [(match, leaf) for leaf in ends]
        longer = [(behind, leaf) for _, behind, leaf in same if behind]
        if longer:
            inner.append((match, compile_tree(longer, ranks)))
    return tuple(last), tuple(inner), rest
