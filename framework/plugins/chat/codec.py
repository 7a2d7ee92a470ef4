"""The protocol's two encodings: JSON in text messages, MessagePack in binary ones."""

from __future__ import annotations

from typing import Any, Final, TypeAlias, cast, get_args

import msgspec

from framework.plugins.chat.errors import ChatError
from framework.plugins.chat.protocol import SUBPROTOCOLS, ClientFrame, ServerFrame

__all__ = ["CODECS", "Codec", "Faulty", "JSON", "MSGPACK", "codec_of"]

MAX_ID: Final = 2**53 - 1
_TYPES: Final = {cast("str", kind.__struct_config__.tag): kind for kind in get_args(ClientFrame)}


class Faulty(msgspec.Struct, frozen=True):
    """A request that is none: what it is answered."""

    id: int | None
    code: str
    text: str


Read: TypeAlias = ClientFrame | Faulty


class Codec:
    """One of the encodings. Frames are read whole: one that is broken is told apart, and its neighbours are good."""

    def __init__(self, index: int, name: str, binary: bool, encoder: Any, decoder: Any, loose: Any) -> None:
        self.index = index
        self.name = name
        self.binary = binary
        self._encode = encoder.encode
        self._decode = decoder.decode
        self._loose = loose.decode

    def encode(self, frame: ServerFrame) -> str | bytes:
        """A WebSocket message with one frame."""
        data: bytes = self._encode(frame)
        return data if self.binary else data.decode()

    def decode(self, message: str | bytes, max_batch: int) -> list[Read]:
        """The requests in a message, in order.

        Raises:
            ChatError: ``malformed``: it is not of this encoding at all; ``too_large``: a batch of too many.
        """
        if isinstance(message, bytes) != self.binary:
            wanted = "binary" if self.binary else "text"
            raise ChatError("malformed", f"{self.name} goes in {wanted} messages")
        try:
            found: ClientFrame | list[Read] = self._decode(message)
        except (msgspec.DecodeError, RecursionError, ValueError):
            return self._with_faults(message, max_batch)
        if not isinstance(found, list):
            return [found]
        if len(found) > max_batch:
            raise ChatError("too_large", f"at most {max_batch} requests in a batch")
        return found

    def _with_faults(self, message: str | bytes, max_batch: int) -> list[Read]:
        try:
            found: Any = self._loose(message)
        except (msgspec.DecodeError, RecursionError, ValueError) as error:
            raise ChatError("malformed", f"this is no {self.name}: {error}") from None
        items = cast("list[Any]", found) if isinstance(found, list) else [found]  # type: ignore[redundant-cast]
        if len(items) > max_batch:
            raise ChatError("too_large", f"at most {max_batch} requests in a batch")
        return [_read(item) for item in items]


def _read(item: Any) -> Read:
    if not isinstance(item, dict):
        return Faulty(None, "malformed", "a request is an object")
    members = cast("dict[Any, Any]", item)  # type: ignore[redundant-cast]
    given = members.get("id")
    number = given if type(given) is int and 0 <= given <= MAX_ID else None
    name = members.get("t")
    kind = _TYPES.get(name) if isinstance(name, str) else None
    if kind is None:
        if isinstance(name, str):
            return Faulty(number, "unknown_type", f"there is no request of type {name[:64]!r}")
        return Faulty(number, "malformed", "a request names its type in t")
    try:
        return cast("ClientFrame", msgspec.convert(members, kind))
    except (msgspec.ValidationError, RecursionError, ValueError) as error:
        return Faulty(number, "malformed", str(error))


JSON: Final = Codec(
    0,
    SUBPROTOCOLS[1],
    False,
    msgspec.json.Encoder(),
    msgspec.json.Decoder(ClientFrame | list[ClientFrame]),
    msgspec.json.Decoder(),
)
MSGPACK: Final = Codec(
    1,
    SUBPROTOCOLS[0],
    True,
    msgspec.msgpack.Encoder(),
    msgspec.msgpack.Decoder(ClientFrame | list[ClientFrame]),
    msgspec.msgpack.Decoder(),
)
CODECS: Final = (JSON, MSGPACK)


def codec_of(subprotocol: str | None) -> Codec:
    """The encoding of a subprotocol; a client that asked for none talks JSON."""
    return MSGPACK if subprotocol == MSGPACK.name else JSON
