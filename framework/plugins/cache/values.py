"""Values as they are kept: as they are where nobody can change them, else encoded. msgspec alone, never pickle."""

from __future__ import annotations

import datetime
import decimal
import enum
import types
import typing
import uuid
from collections.abc import Callable
from typing import Any, Final, cast

import msgspec

from framework.errors import CodecError
from framework.plugins.cache.entry import Encoded

__all__ = ["DECODE_ERRORS", "Codec", "is_immutable"]

DECODE_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

# What comes out of MessagePack as it went in, without a type to say so.
_PLAIN: Final = frozenset({type(None), bool, int, float, str, bytes})
_IMMUTABLE: Final = _PLAIN | {
    datetime.datetime,
    datetime.date,
    datetime.time,
    datetime.timedelta,
    decimal.Decimal,
    uuid.UUID,
}
_ENCODER: Final = msgspec.msgpack.Encoder()


class Codec:
    """Values of one type to bytes (MessagePack) and back.

    Args:
        type: as msgspec takes it. ``Any``: values of JSON's types; what is no such is refused, since it would come back
            as something else.
    """

    __slots__ = ("decode", "immutable", "type")

    def __init__(self, type: Any = Any) -> None:
        self.type = type
        self.immutable = is_immutable(type)
        self.decode: Callable[[bytes], Any] = msgspec.msgpack.Decoder(type).decode

    def encode(self, value: Any) -> bytes:
        """The bytes. Raises CodecError for what has none, or would come back as something else."""
        if self.type is Any:
            _check_plain(value)
        try:
            return _ENCODER.encode(value)
        except (TypeError, ValueError, RecursionError, OverflowError, msgspec.EncodeError) as error:
            raise CodecError(f"not cacheable: {error}") from error

    def kept(self, value: Any, data: bytes) -> Any:
        """What the first level keeps of the value: itself, or an ``Encoded``."""
        return value if self.immutable or type(value) in _PLAIN else Encoded(data, self.decode)

    def keep(self, data: bytes) -> Any:
        """The same of the value's bytes. Raises one of DECODE_ERRORS."""
        value = self.decode(data)
        return self.kept(value, data)


def _check_plain(value: Any) -> None:
    kind = cast("Any", type(value))
    if kind in _PLAIN:
        return
    if kind is list:
        for item in value:
            _check_plain(item)
    elif kind is dict:
        for key, item in value.items():
            _check_plain(key)
            _check_plain(item)
    else:
        raise CodecError(
            f"not cacheable without its type: {kind.__qualname__} would come back as something else"
        )


def is_immutable(kind: Any) -> bool:
    """Whether no value of the type can be changed, nor what it holds."""
    return _is_immutable(kind, set())


def _is_immutable(kind: Any, seen: set[Any]) -> bool:
    origin = typing.get_origin(kind)
    arguments = typing.get_args(kind)
    if origin is typing.Annotated:
        return _is_immutable(arguments[0], seen)
    if origin is typing.Literal:
        return True
    if origin is typing.Union or origin is types.UnionType:
        return all(_is_immutable(one, seen) for one in arguments)
    if origin in (tuple, frozenset):
        return all(one is Ellipsis or _is_immutable(one, seen) for one in arguments)
    if kind is None or kind in _IMMUTABLE or (isinstance(kind, type) and issubclass(kind, enum.Enum)):
        return True
    struct = cast("Any", origin or kind)
    if not (isinstance(struct, type) and issubclass(struct, msgspec.Struct)):
        return False
    if kind in seen:
        return True  # it holds itself: what else it holds decides
    seen.add(kind)
    return struct.__struct_config__.frozen and all(
        _is_immutable(field.type, seen) for field in msgspec.structs.fields(cast("Any", kind))
    )
