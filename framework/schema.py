"""What can stand inside a value of a declared type: members of objects, items of arrays, choices of unions.

Annotations (Struct, dataclass, TypedDict, NamedTuple, tuple, list and its kin, mapping, union) become nodes,
which ``framework.validation`` walks to explain a refusal. Every other type is a leaf: only msgspec knows what
is inside.
It must not know how a document is read, nor HTTP.
"""

from __future__ import annotations

import collections.abc as abc
import dataclasses
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final, Literal, NewType, NotRequired, Protocol, Required, cast

import msgspec

__all__ = ["Node", "Walk", "build"]

_MAPPINGS: Final[frozenset[Any]] = frozenset({dict, abc.Mapping, abc.MutableMapping})
_ARRAYS: Final[frozenset[Any]] = frozenset(
    {list, set, frozenset, abc.Sequence, abc.MutableSequence, abc.Set, abc.MutableSet, abc.Collection}
)


class Walk(Protocol):
    """What a node may ask of the walk that visits it. A *part* is a piece of the document."""

    strict_unknown: bool

    @property
    def full(self) -> bool: ...
    def members(self, part: Any) -> Mapping[str, Any] | None: ...
    def items(self, part: Any) -> Sequence[Any] | None: ...
    def plain(self, part: Any) -> Any: ...
    def visit(self, node: Node, part: Any, step: str | None = None) -> None: ...
    def visit_key(self, node: Node, key: str) -> None: ...
    def missing(self, name: str) -> None: ...
    def unknown(self, name: str) -> None: ...


class Node:
    """A type. ``open``: a value of it may hold members that no type names, and msgspec lets them pass."""

    shape: ClassVar[str] = "leaf"
    # In a union, where the tag stands (member or index) and what it says.
    label: tuple[str | int, Any] | None = None

    def __init__(self, type: Any, *, open: bool = False) -> None:
        self.type = type
        self.open = open

    def parts(self) -> Iterable[Node]:
        return ()

    def descend(self, walk: Walk, part: Any) -> None:
        """Has the walk visit what is inside ``part``, and tells it what is missing or unknown there."""

    def has_unknown(self, value: Any) -> bool:
        """Whether ``value``, decoded untyped from what msgspec accepted, holds members that no type names."""
        return False


class _Object(Node):
    """A Struct, dataclass or TypedDict. ``fields``: node, and whether required; ``inner``: the open ones."""

    shape = "object"

    def __init__(self, type: Any, *, open: bool) -> None:
        super().__init__(type, open=open)
        self.forbids = not open
        self.fields: dict[str, tuple[Node, bool]] = {}
        self.inner: list[tuple[str, Node]] = []

    def parts(self) -> Iterable[Node]:
        return [node for node, _ in self.fields.values()]

    def descend(self, walk: Walk, part: Any) -> None:
        members = walk.members(part)
        if members is None:
            return
        for name, (node, required) in self.fields.items():
            if name in members:
                walk.visit(node, members[name], name)
            elif required:
                walk.missing(name)
        if self.forbids or walk.strict_unknown:
            for name in members:
                if walk.full:
                    return
                if name not in self.fields:
                    walk.unknown(name)

    def has_unknown(self, value: Any) -> bool:
        if not value.keys() <= self.fields.keys():
            return True
        return any(name in value and node.has_unknown(value[name]) for name, node in self.inner)


class _Map(Node):
    shape = "object"

    def __init__(self, type: Any, shell: Node | None, key: Node | None, value: Node) -> None:
        super().__init__(type)
        self.shell = shell
        self.key = key
        self.value = value

    def parts(self) -> Iterable[Node]:
        return (self.value,)

    def descend(self, walk: Walk, part: Any) -> None:
        members = walk.members(part)
        if members is None:
            return
        if self.shell is not None:
            walk.visit(self.shell, part)
        for name, member in members.items():
            if walk.full:
                return
            if self.key is not None:
                walk.visit_key(self.key, name)
            walk.visit(self.value, member, name)

    def has_unknown(self, value: Any) -> bool:
        return any(self.value.has_unknown(member) for member in value.values())


class _List(Node):
    shape = "array"

    def __init__(self, type: Any, shell: Node | None, item: Node) -> None:
        super().__init__(type)
        self.shell = shell
        self.item = item

    def parts(self) -> Iterable[Node]:
        return (self.item,)

    def descend(self, walk: Walk, part: Any) -> None:
        items = walk.items(part)
        if items is None:
            return
        if self.shell is not None:
            walk.visit(self.shell, part)
        for index, item in enumerate(items):
            if walk.full:
                return
            walk.visit(self.item, item, str(index))

    def has_unknown(self, value: Any) -> bool:
        return any(map(self.item.has_unknown, value))


class _Row(Node):
    """An array whose places have types of their own: a tuple, a NamedTuple, a Struct with ``array_like``."""

    shape = "array"

    def __init__(self, type: Any, shell: Node | None = None) -> None:
        super().__init__(type)
        self.shell = shell
        self.places: list[Node] = []

    def parts(self) -> Iterable[Node]:
        return self.places

    def descend(self, walk: Walk, part: Any) -> None:
        items = walk.items(part)
        if items is None:
            return
        if self.shell is not None:
            walk.visit(self.shell, part)
        for index, (node, item) in enumerate(zip(self.places, items, strict=False)):
            walk.visit(node, item, str(index))

    def has_unknown(self, value: Any) -> bool:
        return any(node.has_unknown(item) for node, item in zip(self.places, value, strict=False))


class _Choice(Node):
    """A union. msgspec tells its members apart by JSON type, and several objects (or rows) by their tag."""

    def __init__(self, type: Any, options: list[Node]) -> None:
        super().__init__(type)
        self.objects = [node for node in options if node.shape == "object"]
        self.arrays = [node for node in options if node.shape == "array"]

    def parts(self) -> Iterable[Node]:
        return [*self.objects, *self.arrays]

    def descend(self, walk: Walk, part: Any) -> None:
        members = walk.members(part)
        if members is not None:
            chosen = _choose(
                self.objects, lambda name: walk.plain(members[name]) if name in members else None
            )
        else:
            items = walk.items(part) or ()
            chosen = _choose(self.arrays, lambda _: walk.plain(items[0]) if items else None)
        if chosen is not None:
            chosen.descend(walk, part)

    def has_unknown(self, value: Any) -> bool:
        chosen: Node | None = None
        if isinstance(value, dict):
            members = cast("dict[str, Any]", value)
            chosen = _choose(self.objects, members.get)
        elif isinstance(value, list):
            items = cast("Sequence[Any]", value)
            chosen = _choose(self.arrays, lambda _: items[0] if items else None)
        return chosen is not None and chosen.has_unknown(value)


def _choose(options: list[Node], tag_at: Callable[[Any], Any]) -> Node | None:
    """The only option, else the one whose tag the value carries."""
    if len(options) == 1:
        return options[0]
    for node in options:
        if node.label is not None and tag_at(node.label[0]) == node.label[1]:
            return node
    return None


# -- from annotations to nodes ----------------------------------------------------------------------------


def build(hint: Any) -> Node:
    """The node of a type that msgspec decodes; recursive Structs make a graph with cycles."""
    builder = _Builder()
    root = builder.node(hint)
    builder.spread_open()
    return root


class _Builder:
    def __init__(self) -> None:
        self._named: dict[Any, Node] = {}
        self._all: list[Node] = []

    def node(self, hint: Any) -> Node:
        bare, constraints = _unwrap(hint)
        node = self._named.get(bare) or self._make(hint, bare, constraints)
        self._all.append(node)
        return node

    def spread_open(self) -> None:
        """A node is open when any of its parts is: repeated until nothing changes, for the sake of cycles."""
        changed = True
        while changed:
            changed = False
            for node in self._all:
                if not node.open and any(part.open for part in node.parts()):
                    node.open = changed = True
        for node in self._all:
            if isinstance(node, _Object):
                node.inner = [(name, part) for name, (part, _) in node.fields.items() if part.open]

    def _make(self, hint: Any, bare: Any, constraints: tuple[Any, ...]) -> Node:
        origin = typing.get_origin(bare) or bare
        arguments = typing.get_args(bare)
        if origin is typing.Union or origin is types.UnionType:
            return _Choice(hint, [self.node(option) for option in arguments])
        if origin in _MAPPINGS:
            return self._map(hint, arguments or (Any, Any), constraints)
        if origin in _ARRAYS or (origin is tuple and (not arguments or arguments[-1] is ...)):
            return _List(hint, _shell(list[Any], constraints), self.node(arguments[0] if arguments else Any))
        if origin is tuple:
            row = _Row(hint, Node(types.GenericAlias(tuple, (Any,) * len(arguments))))
            row.places = [self.node(argument) for argument in arguments]
            return row
        if isinstance(origin, type):
            return self._class(hint, bare, origin)
        return Node(hint)

    def _map(self, hint: Any, arguments: tuple[Any, ...], constraints: tuple[Any, ...]) -> Node:
        key, value = arguments
        judged = None if key is str or key is Any else Node(types.GenericAlias(dict, (key, Any)))
        return _Map(hint, _shell(dict[str, Any], constraints), judged, self.node(value))

    def _class(self, hint: Any, bare: Any, origin: Any) -> Node:
        is_struct = msgspec.Struct in origin.__mro__
        is_row = tuple in origin.__mro__ and hasattr(origin, "_fields")
        is_plain_class = dataclasses.is_dataclass(origin)
        if is_struct:
            return self._struct(hint, bare, origin.__struct_config__)
        if is_row:
            row = self._named[bare] = _Row(hint)
            row.places = [self.node(place) for place in _hints(origin).values()]
            return row
        if typing.is_typeddict(origin):
            optional: frozenset[str] = origin.__optional_keys__
        elif is_plain_class:
            optional = _defaulted(origin)
        else:
            return Node(hint)
        thing = self._named[bare] = _Object(hint, open=True)
        for name, member in _hints(origin).items():
            # Only the resolved hint tells: of annotations that are strings, the class has not read these two.
            wrapper = typing.get_origin(member)
            required = wrapper is Required or (name not in optional and wrapper is not NotRequired)
            inner = typing.get_args(member)[0] if wrapper in {Required, NotRequired} else member
            thing.fields[name] = (self.node(inner), required)
        return thing

    def _struct(self, hint: Any, bare: Any, config: msgspec.structs.StructConfig) -> Node:
        tag = Node(Literal[config.tag]) if config.tag is not None else None
        if config.array_like:
            row = self._named[bare] = _Row(hint)
            fields = [self.node(field.type) for field in msgspec.structs.fields(bare)]
            row.places = fields if tag is None else [tag, *fields]
            row.label = (0, config.tag)
            return row
        thing = self._named[bare] = _Object(hint, open=not config.forbid_unknown_fields)
        if tag is not None and config.tag_field is not None:
            thing.fields[config.tag_field] = (tag, False)
            thing.label = (config.tag_field, config.tag)
        for field in msgspec.structs.fields(bare):
            thing.fields[field.encode_name] = (self.node(field.type), field.required)
        return thing


def _shell(hint: Any, constraints: tuple[Any, ...]) -> Node | None:
    """What judges a container's own constraints (its length) without its parts."""
    return Node(Annotated[(hint, *constraints)]) if constraints else None


def _unwrap(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """The type inside Annotated, NewType and ``type`` statements, and the constraints met on the way."""
    constraints: tuple[Any, ...] = ()
    while True:
        if typing.get_origin(hint) is Annotated:
            constraints = (*hint.__metadata__, *constraints)
            hint = hint.__origin__
        elif isinstance(hint, NewType):
            hint = hint.__supertype__
        elif hasattr(hint, "__value__") and not isinstance(hint, type):
            hint = hint.__value__
        else:
            return hint, constraints


def _hints(origin: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(origin, include_extras=True)
    return {name: hint for name, hint in hints.items() if typing.get_origin(hint) is not ClassVar}


def _defaulted(origin: Any) -> frozenset[str]:
    """The fields of a dataclass that have a default."""
    absent = dataclasses.MISSING
    fields = dataclasses.fields(origin)
    return frozenset(f.name for f in fields if f.default is not absent or f.default_factory is not absent)
