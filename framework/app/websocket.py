"""Routes of WebSockets: their handlers are bound as any other's; what they return is an upgrade or a denial."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, Final, cast

from msgspec.structs import replace

from framework.app.binding import Bound, Signature, bind
from framework.app.binding.callee import Kind
from framework.app.binding.results import response_maker
from framework.app.websocket_options import OnInvalid, SocketOptions, merged
from framework.app.websocket_types import Codec
from framework.di import Container, LiveScope, Scope
from framework.errors import BindingError, HTTPError
from framework.http.request import Request, StateKey
from framework.http.response import Response
from framework.http.upgrade import Held, Taken, Upgrade
from framework.net.upgrade import TakenLink
from framework.net.websocket.conversation import Conversation
from framework.net.websocket.listener import Listening, WebSocketListener
from framework.net.websocket.receiver import Running
from framework.net.websocket.session import Session
from framework.net.websocket.settings import WebSocketSettings
from framework.net.websocket.socket import Scope as OpenScope
from framework.net.websocket.socket import WebSocket
from framework.wire.websocket.compression import Negotiator
from framework.wire.websocket.handshake import Accepted, Refusal, check_upgrade_request

__all__ = ["bind_websocket"]

_CONNECTION: Final[StateKey[LiveScope]] = StateKey("websocket.connection")
_Handler = Callable[[WebSocket[Any, Any]], Awaitable[Any]]


def bind_websocket(
    signature: Signature,
    options: SocketOptions,
    settings: WebSocketSettings,
    *,
    where: str,
    container: Container,
    strict_unknown: bool = False,
) -> Bound:
    """Compiles the handler of a route of WebSockets.

    Raises:
        BindingError: a handler that takes the WebSocket and is not async, or more than one of them.
        GraphError: dependencies that cannot be made.
    """
    endpoint = SocketEndpoint(signature, options, merged(settings, options), container, where, strict_unknown)
    bound = bind(
        endpoint.signature,
        where=where,
        container=container,
        strict_unknown=strict_unknown,
        respond=endpoint.respond,
        connection=endpoint.connection,
    )
    return Bound(partial(endpoint.open, bound), True, bound.source)


class SocketEndpoint:
    """One route of WebSockets."""

    def __init__(
        self,
        signature: Signature,
        options: SocketOptions,
        settings: WebSocketSettings,
        container: Container,
        where: str,
        strict_unknown: bool,
    ) -> None:
        sockets = [one for one in signature.parameters if one.source == "socket"]
        if len(sockets) > 1:
            raise BindingError(f"{where}: a handler has one WebSocket")
        self.settings = settings
        self.on_invalid: OnInvalid = options.get("on_invalid", "close")
        self.deflation = _deflation(where, options, settings)
        self._origins = None if settings.origins is None else frozenset(map(str.lower, settings.origins))
        self._container = container
        self._respond = response_maker(Any, 200, where)
        self._strict_unknown = strict_unknown
        self._where = where
        self._codecs: dict[type, Codec | None] = {}
        self.codec: Codec | None = None
        self.signature = signature
        if sockets:
            self.codec = Codec.of(sockets[0].type, where, strict_unknown=strict_unknown)
            self.signature = _before(signature, sockets[0].name, where)

    # -- the handshake ----------------------------------------------------------------------------------------------

    async def open(self, bound: Bound, request: Request) -> Response:
        """Judges the handshake, then asks the handler. Raises HTTPError for a handshake that is refused."""
        judged = check_upgrade_request(
            request,
            origins=self._origins,
            subprotocols=self.settings.subprotocols,
            deflation=self.deflation,
        )
        if isinstance(judged, Refusal):
            raise HTTPError(judged.status, judged.reason, headers=dict(judged.fields))
        try:
            result = bound.call(request)
            if bound.is_async:
                result = await result
            response: Response = result if bound.respond is None else bound.respond(result)
        except BaseException as error:
            await _close(request.get(_CONNECTION), error)
            raise
        if isinstance(response, SocketUpgrade):
            response.agree(request, judged)
        elif not isinstance(response, Upgrade):
            await _close(request.get(_CONNECTION), None)
        return response

    def respond(self, result: Any) -> Response:
        """What a handler has come to: a WebSocket, or a denial."""
        if isinstance(result, (Talk, WebSocketListener)):
            return SocketUpgrade(self, result)
        return self._respond(result)

    # -- dependencies -----------------------------------------------------------------------------------------------

    def connection(self, request: Request) -> LiveScope:
        """The connection scope of a WebSocket, made when it is first asked for."""
        live = request.get(_CONNECTION)
        if live is None:
            app = self._container.opened
            if app is None:
                raise RuntimeError("the app is not running")
            live = request[_CONNECTION] = app.enter(Scope.CONNECTION)
        return live

    def codec_of(self, listener: WebSocketListener) -> Codec | None:
        """How the messages of a listener are read, by the annotation of its ``on_message``."""
        kind = type(listener)
        if kind not in self._codecs:
            self._codecs[kind] = Codec.of_listener(kind, self._where, strict_unknown=self._strict_unknown)
        return self._codecs[kind]


class Talk:
    """A handler that waits for its WebSocket; all else it takes is there."""

    __slots__ = ("handler",)

    def __init__(self, handler: _Handler) -> None:
        self.handler = handler


class SocketUpgrade(Upgrade):
    """The 101 of a WebSocket."""

    __slots__ = ("_accepted", "_endpoint", "_request", "_what")

    def __init__(self, endpoint: SocketEndpoint, what: Talk | WebSocketListener) -> None:
        super().__init__("websocket", _nowhere)
        self._endpoint = endpoint
        self._what = what
        self._request: Request | None = None
        self._accepted: Accepted | None = None

    def agree(self, request: Request, accepted: Accepted) -> None:
        """Completes the answer to a good handshake."""
        self._request = request
        self._accepted = accepted
        headers = self.headers
        headers.set("sec-websocket-accept", accepted.accept)
        if accepted.subprotocol is not None:
            headers.set("sec-websocket-protocol", accepted.subprotocol)
        if accepted.extensions is not None:
            headers.set("sec-websocket-extensions", accepted.extensions)
        live = request.get(_CONNECTION)
        if live is not None:
            self.hold(_Scopes(self.held, live))

    def connect(self, link: Taken) -> None:
        request, accepted, endpoint, what = self._request, self._accepted, self._endpoint, self._what
        assert request is not None
        assert accepted is not None
        session = Session(link.core, endpoint.settings, compression=accepted.compression)
        request.exchange = session
        request.deadline = None  # it was for the handshake
        socket: WebSocket[Any, Any] = WebSocket(session, request, accepted.subprotocol)
        held, self.held = self.held, None
        running: Running
        if isinstance(what, Talk):
            running = Conversation(link.core, session, socket, what.handler, held)
            codec = endpoint.codec
        else:
            running = listening = Listening(link.core, session, socket, what, held)
            codec = endpoint.codec_of(what)
            if codec is not None:
                listening.decode()
        if codec is not None:
            socket.typed(codec.decode, codec.encode, codec.on_invalid(endpoint.on_invalid))
        socket.scoped(partial(_message_scope, endpoint, running))
        session.open(cast("TakenLink", link))


class _Scopes:
    """What a request has open, and the connection scope around it."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, inner: Held | None, outer: LiveScope) -> None:
        self._inner = inner
        self._outer = outer

    async def close(self, error: BaseException | None = None) -> None:
        try:
            if self._inner is not None:
                await self._inner.close(error)
        finally:
            await self._outer.close(error)


def _message_scope(
    endpoint: SocketEndpoint, running: Running, socket: WebSocket[Any, Any]
) -> AbstractAsyncContextManager[OpenScope]:
    """A scope for one message, in that of the connection, which is closed at its end."""
    request = socket.request
    is_new = request.get(_CONNECTION) is None
    live = endpoint.connection(request)
    if is_new:
        running.hold(_Scopes(running.held, live))
    return cast("AbstractAsyncContextManager[OpenScope]", live.enter(Scope.REQUEST, {Request: request}))


async def _close(scope: LiveScope | None, error: BaseException | None) -> None:
    if scope is not None:
        await scope.close(error)


def _nowhere(link: Taken) -> None:
    raise RuntimeError("a WebSocket's upgrade connects by itself")


def _before(signature: Signature, name: str, where: str) -> Signature:
    """The signature of what runs ahead of the handler's WebSocket: it takes all else, by name."""
    callee = signature.callee
    if callee.kind not in (Kind.COROUTINE, Kind.UNSURE):
        raise BindingError(f"{where}: a handler that takes the WebSocket is async (async def)")
    if any(one.kind is inspect.Parameter.POSITIONAL_ONLY for one in callee.parameters):
        raise BindingError(f"{where}: the handler of a WebSocket has no positional-only parameters")
    handler: Callable[..., Any] = callee.handler

    def prepare(**arguments: Any) -> Talk:
        return Talk(lambda socket: handler(**{name: socket}, **arguments))

    others = tuple(replace(one, keyword=True) for one in signature.parameters if one.name != name)
    return replace(
        signature,
        callee=replace(callee, handler=prepare, kind=Kind.PLAIN),
        parameters=others,
        returns=inspect.Signature.empty,
    )


def _deflation(where: str, options: SocketOptions, settings: WebSocketSettings) -> Negotiator | None:
    if not settings.compression:
        return None
    own = options.get("compression")
    if own is not None and not isinstance(own, bool):
        return own
    try:
        from framework.wire.websocket.deflate import ServerDeflation
    except ImportError as error:
        raise BindingError(f"{where}: compression needs the extra: pip install framework[deflate]") from error
    return cast("Negotiator", ServerDeflation())
