"""Typed messages: ``WebSocket[In, Out]`` says what is decoded from what comes, and how ``send`` encodes."""

from __future__ import annotations

import sys
import typing
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from framework.app.websocket_options import OnInvalid
from framework.codec import DECODE_ERRORS, Decoder, encode_json, encoder
from framework.errors import BindingError, ValidationError
from framework.net.websocket.listener import WebSocketListener
from framework.net.websocket.session import Message
from framework.net.websocket.socket import WebSocket

__all__ = ["Codec"]

_NO_JSON: Final = 1007
_NOT_ALLOWED: Final = 1008
_MAX_REASON: Final = 123
_PLAIN: Final[tuple[Any, ...]] = (str, bytes, str | bytes, bytes | str, Any)


class Codec:
    """The JSON of one kind of WebSocket; binary messages are JSON too.

    Attributes:
        decode: a message to a value of ``In``; raises CodecError or ValidationError.
        encode: a value of ``Out`` to a text message; raises CodecError.
    """

    def __init__(self, incoming: Any, outgoing: Any, *, strict_unknown: bool = False) -> None:
        self._decoder: Decoder | None = None
        self.decode: Callable[[Message], Any] | None = None
        if incoming not in _PLAIN:
            self._decoder = Decoder(incoming, strict_unknown=strict_unknown)
            self.decode = partial(_decode, self._decoder)
        self._encode = encoder(outgoing)
        self._outgoing = outgoing

    @classmethod
    def of(cls, annotation: Any, where: str, *, strict_unknown: bool = False) -> Codec | None:
        """Of an annotation; None where it says nothing of types.

        Raises:
            BindingError: types that msgspec cannot decode.
        """
        arguments = typing.get_args(annotation)
        if not arguments:
            return None
        try:
            return cls(*arguments, strict_unknown=strict_unknown)
        except TypeError as error:
            raise BindingError(f"{where}: the messages of {annotation} cannot be decoded: {error}") from error

    @classmethod
    def of_listener(
        cls, kind: type[WebSocketListener], where: str, *, strict_unknown: bool = False
    ) -> Codec | None:
        """Of the first parameter of a listener's ``on_message``."""
        function = kind.on_message
        space = vars(sys.modules[function.__module__])
        try:
            hints = typing.get_type_hints(function, globalns=dict(space))
        except NameError as error:
            raise BindingError(
                f"{where}: the annotations of {kind.__qualname__}.on_message cannot be evaluated: {error}"
            ) from error
        found = [hint for hint in hints.values() if typing.get_origin(hint) is WebSocket]
        return cls.of(found[0], where, strict_unknown=strict_unknown) if found else None

    def encode(self, value: Any) -> Message:
        if isinstance(value, (str, bytes)) and self._outgoing in _PLAIN:
            return value
        return self._encode(value).decode()

    def on_invalid(self, way: OnInvalid) -> Callable[[WebSocket[Any, Any], Exception], object]:
        """What is done with an error of ``decode``."""
        return _close if way == "close" else partial(_answer, way)


def _decode(decoder: Decoder, message: Message) -> Any:
    data = message.encode() if isinstance(message, str) else message
    try:
        return decoder.decode(data)
    except DECODE_ERRORS as error:
        raise decoder.explain(data, error, source="message") from None


def _close(socket: WebSocket[Any, Any], error: Exception) -> None:
    if not isinstance(error, ValidationError):
        socket.start_closing(_NO_JSON, _short(str(error)))
        return
    first = error.errors[0]
    socket.start_closing(_NOT_ALLOWED, _short(f"{first.pointer or '/'}: {first.detail}"))


def _short(reason: str) -> str:
    return reason.encode()[:_MAX_REASON].decode(errors="ignore")


def _answer(
    answer: Callable[[Any, Exception], object], socket: WebSocket[Any, Any], error: Exception
) -> None:
    result = answer(socket, error)
    if result is None:
        return
    if isinstance(result, bytes):
        socket.write_bytes(result)
    elif isinstance(result, str):
        socket.write_text(result)
    else:
        socket.write_text(encode_json(result).decode())
