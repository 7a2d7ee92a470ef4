"""The one door for JSON (RFC 8259): orjson for untyped trees, msgspec for what is typed. It knows no HTTP.

Both libraries raise what they like; what leaves here is a ``CodecError`` with the byte where known, or, for a
document that is JSON but not of its type, a ``ValidationError`` that lists every fault. The exception is
``Decoder.decode``, msgspec's own bound method so that the fast path pays for no wrapper: it raises one of
``DECODE_ERRORS``, which ``Decoder.explain`` turns into the two above.
"""

from __future__ import annotations

import typing
from collections.abc import Callable
from typing import Any, Final, cast

import msgspec
import orjson

from framework.errors import CodecError, FieldError, ValidationError
from framework.validation import DECODE_ERRORS, Schema, locate, pointer_of

__all__ = ["DECODE_ERRORS", "Decoder", "decode_json", "encode_json", "encoder", "pointer_of"]

# As msgspec writes them, so that a value looks the same whichever library meets it first.
_AS_MSGSPEC: Final = orjson.OPT_UTC_Z | orjson.OPT_PASSTHROUGH_DATACLASS
_UNTYPED: Final[frozenset[Any]] = frozenset({Any, dict, list, str, int, float, bool, type(None)})


def encode_json(value: Any) -> bytes:
    """Encodes any value: dicts and lists by orjson; Structs, and trees with what orjson refuses, by msgspec.

    NaN and the infinities become null (RFC 8259 section 6 has no spelling for them); keys that are numbers,
    UUIDs or the like become text.

    Raises:
        CodecError: a type without a JSON form, a lone surrogate, or nesting without end.
    """
    if isinstance(value, msgspec.Struct):
        return _encode_typed(value)
    try:
        return orjson.dumps(value, option=_AS_MSGSPEC)
    except TypeError:
        return _encode_typed(value)


def encoder(type: Any) -> Callable[[Any], bytes]:
    """The faster way for values of a declared type: ``encode_json`` or msgspec alone. Both take any value."""
    return encode_json if _is_untyped(type) else _encode_typed


def decode_json(data: bytes) -> Any:
    """Decodes to dict, list, str, int, float, bool and None. An integer beyond 64 bits becomes a float.

    Raises:
        CodecError: not JSON, with the byte where that shows: bad syntax, NaN, a byte order mark, bad UTF-8, a
            lone surrogate, or more than 1024 levels.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise _malformed(data, error) from None


class Decoder:
    """Bytes to values of one type, made once per route.

    Args:
        type: what msgspec is to decode.
        strict_unknown: members that no type names are refused wherever they stand. Free when every Struct in
            ``type`` forbids them by itself (``forbid_unknown_fields=True``), else a second, untyped pass.

    Attributes:
        decode: ``(bytes) -> value``; raises one of ``DECODE_ERRORS``.
    """

    __slots__ = ("_decoder", "_schema", "_strict_unknown", "_type", "decode")

    def __init__(self, type: Any, *, strict_unknown: bool = False) -> None:
        self._type = type
        self._decoder = msgspec.json.Decoder(type)
        self._schema = Schema(type) if strict_unknown else None
        self._strict_unknown = strict_unknown
        self.decode: Callable[[bytes], Any] = self._decoder.decode
        if self._schema is not None and self._schema.open:
            self.decode = self._decode_closed

    def explain(self, data: bytes, error: Exception, *, source: str = "body") -> CodecError | ValidationError:
        """What to raise in place of ``error``, one of ``DECODE_ERRORS`` that ``decode(data)`` raised.

        Returns:
            CodecError where the bytes are no JSON, else ValidationError with every fault and its pointer.
        """
        try:
            msgspec.json.decode(data)
        except DECODE_ERRORS as malformed:
            return _refusal(data) or CodecError(str(malformed))
        if self._schema is None:
            self._schema = Schema(self._type)
        faults = self._schema.errors(data, source=source, strict_unknown=self._strict_unknown)
        if not faults:
            detail, pointer = locate(str(error))
            faults = [FieldError(source, pointer, detail)]
        return ValidationError(faults)

    def _decode_closed(self, data: bytes) -> Any:
        value = self._decoder.decode(data)
        if cast("Schema", self._schema).has_unknown(msgspec.json.decode(data)):
            raise msgspec.ValidationError("Object contains unknown fields")
        return value


def _encode_typed(value: Any) -> bytes:
    try:
        return _ENCODER.encode(value)
    except (TypeError, ValueError, RecursionError, msgspec.EncodeError) as error:
        raise CodecError(f"not encodable as JSON: {error}") from error


def _plain(value: Any) -> Any:
    """msgspec refuses subclasses of the plain types, which orjson takes."""
    for plain in (str, int, float):
        if isinstance(value, plain):
            return plain(value)
    raise TypeError(f"{type(value).__qualname__} is not a type of data")


_ENCODER: Final = msgspec.json.Encoder(enc_hook=_plain)


def _is_untyped(type: Any) -> bool:
    parts = typing.get_args(type)
    return (typing.get_origin(type) or type) in _UNTYPED and all(map(_is_untyped, parts))


def _refusal(data: bytes) -> CodecError | None:
    try:
        decode_json(data)
    except CodecError as error:
        return error
    return None


def _malformed(data: bytes, error: orjson.JSONDecodeError) -> CodecError:
    """orjson counts characters and does not say where bad UTF-8 stands; a client needs the byte."""
    try:
        text = data.decode()
    except UnicodeDecodeError as invalid:
        return CodecError("invalid UTF-8", invalid.start)
    return CodecError(error.msg, len(text[: error.pos].encode()))
