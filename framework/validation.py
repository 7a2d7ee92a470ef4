"""Every error of a document at once. It knows types and values; it must not know HTTP.

msgspec stops at the first fault, which is right for the fast path. Only after a refusal a ``Schema`` walks
the document again, part by part, and lists each fault with its JSON Pointer (RFC 6901). Verdict and wording
are msgspec's own: a part is checked by decoding that part as its declared type, so the walk cannot be of
another opinion than the decoder whose refusal it explains.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar, cast

import msgspec

from framework.errors import FieldError
from framework.schema import Node, build

_T = TypeVar("_T")

__all__ = ["DECODE_ERRORS", "Schema", "collect_errors", "locate", "pointer_of"]

DECODE_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""All that a msgspec decoder raises on bad bytes: broken or invalid JSON, bad UTF-8, nesting without end."""

# Each level is decoded once more, so the depth bounds the work; deeper down, msgspec's first fault has to do.
_MAX_DEPTH = 16
# What the client sent comes back in pointers and texts: neither may grow with the document.
_MAX_KEY = 256
_MAX_DETAIL = 300

_MEMBER = re.compile(r"Object (?:missing required|contains unknown) field `(.*)`", re.DOTALL)
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]")


def locate(message: str) -> tuple[str, str]:
    """Splits msgspec's message into (detail, JSON Pointer of RFC 6901).

    A missing or unknown member is pointed at itself, not at the object around it. msgspec does not name a
    mapping's key (``[...]``): the pointer then ends at the mapping. A name with a dot or a bracket reads like
    a path; ``Schema`` does not go by the path and gives such names exactly.
    """
    detail, found, place = message.rpartition(" - at `")
    if not found:
        detail, place = message, ""
    path = place.removeprefix("key` in `").removesuffix("`").removeprefix("$")
    pointer = ""
    position = 0
    while step := _STEP.match(path, position):
        pointer = _join(pointer, step[1] or step[2])
        position = step.end()
    if member := _MEMBER.fullmatch(detail):
        pointer = _join(pointer, member[1])
    return detail, pointer


def pointer_of(message: str) -> str:
    """The JSON Pointer of the place that msgspec's message names: ``$.a[0].b`` becomes ``/a/0/b``."""
    return locate(message)[1]


def _join(pointer: str, name: str) -> str:
    """``pointer`` with one more token, escaped (RFC 6901 section 3); an immense name is left out."""
    if len(name) > _MAX_KEY:
        return pointer
    return f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"


class Schema:
    """A type that can explain why it refuses a document. Building one costs some 100 us: keep it.

    Args:
        type: any type that msgspec decodes.

    Attributes:
        open: a value of the type may hold members that no type names, because some Struct in it does not say
            ``forbid_unknown_fields`` (or a dataclass or TypedDict, which cannot).
    """

    __slots__ = ("_root",)

    def __init__(self, type: Any) -> None:
        self._root = build(type)

    @property
    def open(self) -> bool:
        return self._root.open

    def has_unknown(self, value: Any) -> bool:
        """Whether a document holds members that no type names.

        Args:
            value: the document decoded untyped, after msgspec accepted it as this type.
        """
        return self._root.open and self._root.has_unknown(value)

    def errors(
        self, data: bytes, *, source: str = "body", strict_unknown: bool = False, max_errors: int = 100
    ) -> list[FieldError]:
        """Every fault of a JSON document, in the order of the types; empty exactly when msgspec accepts it.

        Args:
            data: the document. One that is not JSON has one fault, at the root.
            source: ``FieldError.source`` of each.
            strict_unknown: unknown members are faults wherever they stand.
            max_errors: where the list ends, at least 1.
        """
        walk = _Walk(_JSONReader(), source, max_errors, strict_unknown=strict_unknown)
        walk.visit(self._root, data)
        return walk.errors

    def value_errors(
        self,
        value: Any,
        *,
        source: str,
        strict: bool = True,
        strict_unknown: bool = False,
        max_errors: int = 100,
    ) -> list[FieldError]:
        """The same for a tree of Python values; ``strict=False`` reads numbers from text, as in a form."""
        walk = _Walk(_ValueReader(strict=strict), source, max_errors, strict_unknown=strict_unknown)
        walk.visit(self._root, value)
        return walk.errors


def collect_errors(
    type: Any,
    data: bytes,
    *,
    source: str = "body",
    strict_unknown: bool = False,
    max_errors: int = 100,
) -> list[FieldError]:
    """``Schema(type).errors(data, ...)``, for where one is needed once."""
    return Schema(type).errors(data, source=source, strict_unknown=strict_unknown, max_errors=max_errors)


class _Walk:
    """One pass over a document. Parts are what its reader makes of the document."""

    def __init__(self, reader: _Reader, source: str, max_errors: int, *, strict_unknown: bool) -> None:
        self.strict_unknown = strict_unknown
        self.errors: list[FieldError] = []
        self.members = reader.members
        self.items = reader.items
        self.plain = reader.plain
        self._reader = reader
        self._source = source
        self._max_errors = max_errors
        self._pointer = ""
        self._depth = 0

    @property
    def full(self) -> bool:
        return len(self.errors) >= self._max_errors

    def visit(self, node: Node, part: Any, step: str | None = None) -> None:
        """Lists the faults of ``part``: those inside it, or its own where nothing inside is to blame."""
        if self.full:
            return
        message = self._reader.complaint(node, part)
        if message is None and not (self.strict_unknown and node.open):
            return
        outer, count = self._pointer, len(self.errors)
        if step is not None:
            self._pointer = _join(outer, step)
        if self._depth < _MAX_DEPTH:
            self._depth += 1
            node.descend(self, part)
            self._depth -= 1
        if message is not None and len(self.errors) == count:
            self._report(message)
        self._pointer = outer

    def visit_key(self, node: Node, key: str) -> None:
        if not self.full and (message := self._reader.complaint(node, self._reader.single(key))) is not None:
            outer = self._pointer
            self._pointer = _join(outer, key)
            self._report(message)
            self._pointer = outer

    def missing(self, name: str) -> None:
        self._report(f"Object missing required field `{name}`")

    def unknown(self, name: str) -> None:
        self._report(f"Object contains unknown field `{name}`")

    def _report(self, message: str) -> None:
        if self.full:
            return
        detail, inner = locate(message)
        if len(detail) > _MAX_DETAIL:
            detail = detail[: _MAX_DETAIL - 1] + "…"
        self.errors.append(FieldError(self._source, self._pointer + inner, detail))


class _Reader(Protocol):
    def complaint(self, node: Node, part: Any) -> str | None: ...
    def members(self, part: Any) -> Mapping[str, Any] | None: ...
    def items(self, part: Any) -> Sequence[Any] | None: ...
    def plain(self, part: Any) -> Any: ...
    def single(self, key: str) -> Any: ...


class _JSONReader:
    """Parts are slices of the document's bytes, so that each is judged as the JSON it is."""

    def __init__(self) -> None:
        self._decoders: dict[Node, msgspec.json.Decoder[Any]] = {}
        self._members = msgspec.json.Decoder(dict[str, msgspec.Raw])
        self._items = msgspec.json.Decoder(list[msgspec.Raw])

    def complaint(self, node: Node, part: Any) -> str | None:
        decoder = self._decoders.get(node)
        if decoder is None:
            decoder = self._decoders[node] = msgspec.json.Decoder(node.type)
        return _complaint(lambda: decoder.decode(part))

    def members(self, part: Any) -> Mapping[str, Any] | None:
        return _attempt(lambda: self._members.decode(part))

    def items(self, part: Any) -> Sequence[Any] | None:
        return _attempt(lambda: self._items.decode(part))

    def plain(self, part: Any) -> Any:
        return _attempt(lambda: msgspec.json.decode(part))

    def single(self, key: str) -> Any:
        return msgspec.json.encode({key: None})


class _ValueReader:
    """Parts are Python values: a TOML table, the fields of a form."""

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict

    def complaint(self, node: Node, part: Any) -> str | None:
        return _complaint(lambda: msgspec.convert(part, node.type, strict=self._strict, str_keys=True))

    def members(self, part: Any) -> Mapping[str, Any] | None:
        if not isinstance(part, dict):
            return None
        members = cast("Mapping[Any, Any]", part)
        return members if all(isinstance(key, str) for key in members) else None

    def items(self, part: Any) -> Sequence[Any] | None:
        return cast("Sequence[Any]", part) if isinstance(part, list | tuple) else None

    def plain(self, part: Any) -> Any:
        return part

    def single(self, key: str) -> Any:
        return {key: None}


def _attempt(decode: Callable[[], _T]) -> _T | None:
    try:
        return decode()
    except DECODE_ERRORS:
        return None


def _complaint(decode: Callable[[], object]) -> str | None:
    """What msgspec says against a part, None when it accepts it."""
    try:
        decode()
    except msgspec.DecodeError as error:
        return str(error)
    except UnicodeDecodeError:
        return "Invalid UTF-8"
    except RecursionError:
        return "Nested too deeply"
    return None
