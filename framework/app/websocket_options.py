"""What a route of WebSockets says of itself, checked when it is declared."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeAlias, TypedDict, cast

import msgspec

from framework.errors import SetupError
from framework.net.websocket.listener import WebSocketListener
from framework.net.websocket.settings import WebSocketSettings
from framework.wire.websocket.compression import Negotiator

__all__ = ["OnInvalid", "SocketOptions", "make_listener", "merged", "split_options"]

OnInvalid: TypeAlias = "Literal['close'] | Callable[[Any, Exception], object]"


class SocketOptions(TypedDict, total=False):
    """Overrides of the section ``[websocket]`` for one route, see ``framework.net.websocket.settings``, and:

    ``compression``: also a ``framework.wire.websocket.deflate.ServerDeflation``, for parameters of its own.
    ``on_invalid``: what becomes of a message that is not of the type ``WebSocket[In, Out]`` says: ``"close"``, with
    1007 where it is no JSON and else 1008, or a function of the WebSocket and the error (CodecError or
    ValidationError), whose result is sent as the answer unless it is None.
    """

    subprotocols: Iterable[str]
    origins: Iterable[str] | None
    compression: bool | Negotiator
    max_message: int
    max_frame: int
    max_fragments: int
    ping_interval: float | None
    ping_timeout: float
    close_timeout: float
    max_queue: int
    write_limit: int
    max_unsent: int
    on_invalid: OnInvalid


def split_options(where: str, options: Mapping[str, Any]) -> tuple[dict[str, Any], SocketOptions]:
    """The options of any route, and those of WebSockets.

    Raises:
        SetupError: one of the latter is out of its range.
    """
    own: dict[str, Any] = {
        name: value for name, value in options.items() if name in SocketOptions.__optional_keys__
    }
    for name in ("subprotocols", "origins"):
        if isinstance(own.get(name), str):
            raise SetupError(f"{where}: {name} is a list of names, not one text")
        if own.get(name) is not None:
            own[name] = tuple(own[name])
    rest = {name: value for name, value in options.items() if name not in own}
    rest.setdefault("include_in_schema", False)
    on_invalid = own.get("on_invalid", "close")
    if on_invalid != "close" and not callable(on_invalid):
        raise SetupError(f'{where}: on_invalid is "close" or a function, not {on_invalid!r}')
    checked = cast("SocketOptions", own)
    try:
        merged(WebSocketSettings(), checked)
    except msgspec.ValidationError as error:
        raise SetupError(f"{where}: {error}") from error
    return rest, checked


def merged(settings: WebSocketSettings, options: SocketOptions) -> WebSocketSettings:
    """The settings of one route. Raises ValidationError for a value out of its range."""
    own: dict[str, Any] = {name: value for name, value in options.items() if name != "on_invalid"}
    if "compression" in own:
        own["compression"] = own["compression"] is not False
    return msgspec.convert({**msgspec.structs.asdict(settings), **own}, WebSocketSettings)


def make_listener(
    where: str, listener: type[WebSocketListener] | WebSocketListener
) -> Callable[..., WebSocketListener]:
    """A handler that returns the listener, or a new one whose parameters are its own.

    Raises:
        SetupError: it is no WebSocketListener.
    """
    if isinstance(listener, WebSocketListener):

        def shared() -> WebSocketListener:
            return listener

        shared.__qualname__ = type(listener).__qualname__
        shared.__module__ = type(listener).__module__
        return shared
    kind: Any = listener
    if not (inspect.isclass(kind) and issubclass(kind, WebSocketListener)):
        raise SetupError(f"{where}: {listener!r} is no WebSocketListener")

    def make(*args: Any, **kwargs: Any) -> WebSocketListener:
        made: WebSocketListener = kind(*args, **kwargs)
        return made

    if inspect.isfunction(kind.__init__):
        functools.update_wrapper(make, kind.__init__)
        own = inspect.signature(kind.__init__)
        taken = own.replace(
            parameters=list(own.parameters.values())[1:], return_annotation=inspect.Signature.empty
        )
    else:
        taken = inspect.Signature()
    make.__dict__["__signature__"] = taken
    make.__qualname__ = kind.__qualname__
    make.__module__ = kind.__module__
    return make
