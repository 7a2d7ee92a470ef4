"""The listener style: callbacks, and nothing that waits for a WebSocket on which nothing happens."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from functools import partial
from typing import Any, Final, cast

from framework.errors import CodecError, HTTPError
from framework.net.core import Core
from framework.net.websocket.receiver import Held, Running
from framework.net.websocket.session import Message, Session
from framework.net.websocket.socket import WebSocket

__all__ = ["Listening", "WebSocketListener"]

_IN_A_ROW: Final = 64


class WebSocketListener:
    """Override what you want to hear of. Each callback may be a plain function or a coroutine function.

    The callbacks of one WebSocket run one after the other: while one waits for something, what comes meanwhile waits
    too, and from ``max_queue`` messages on its peer. The same listener may serve any number of WebSockets.

    Plain callbacks run on the loop, outside of any Task; coroutine functions run in one from their first step on. What
    they raise closes the WebSocket with 1011, and is logged.
    """

    __slots__ = ()

    def on_open(self, ws: WebSocket[Any, Any]) -> Awaitable[None] | None:
        """The WebSocket is open; messages come afterwards."""
        return None

    def on_message(self, ws: WebSocket[Any, Any], message: Any) -> Awaitable[None] | None:
        """A message came: str or bytes."""
        return None

    def on_close(self, ws: WebSocket[Any, Any], code: int, reason: str) -> Awaitable[None] | None:
        """The connection is gone; ``code`` and ``reason`` are those of the close (``WebSocket.close_code``)."""
        return None


class Listening(Running):
    """A listener's part of a session, whose receiver it makes itself."""

    __slots__ = ("_left", "_listener")

    def __init__(
        self,
        core: Core,
        session: Session,
        socket: WebSocket[Any, Any],
        listener: WebSocketListener,
        held: Held | None = None,
    ) -> None:
        super().__init__(core, session, socket, held)
        self._listener = listener
        self._left = False
        session.receiver = self
        session.deliver = partial(listener.on_message, socket)

    def decode(self) -> None:
        """Hands over values in place of messages."""
        self._session.deliver = self._deliver_value

    def _deliver_value(self, message: Message) -> Any:
        socket = self._socket
        try:
            value = socket.decoded(message)
        except (CodecError, HTTPError) as error:
            socket.invalid(error)
            return None
        return self._listener.on_message(socket, value)

    def opened(self) -> None:
        try:
            result = self._listener.on_open(self._socket)
        except Exception as error:
            self.failed(error)
            return
        if result is not None:
            self.awaited(result)

    def awaited(self, result: object) -> None:
        """Takes the first step of an async callback; further messages wait when it suspends."""
        if hasattr(result, "__await__") and not self._start(cast("Awaitable[Any]", result), self._work_off):
            self._session.hold()

    async def _work_off(self) -> None:
        """A callback that was suspended has ended: on with the messages that came meanwhile, in the same Task."""
        session = self._session
        deliver = session.deliver
        done = 0
        try:
            while deliver is not None and not self._cancelled:
                if session.congested:
                    await session.drained()
                message: Message | None = session.next()
                if message is None:
                    break
                try:
                    result: Any = deliver(message)
                    if hasattr(result, "__await__"):
                        await result
                except GeneratorExit:
                    raise
                except BaseException as error:
                    self._ended(error)
                done += 1
                if done % _IN_A_ROW == 0:
                    await asyncio.sleep(0)
        finally:
            self._runner = None
            session.release()

    def lost(self) -> None:
        if self._runner is not None or self._left:
            return
        self._left = True
        self._cancelled = False
        session = self._session
        result: Awaitable[None] | None = None
        try:
            result = self._listener.on_close(self._socket, session.code, session.reason)
        except Exception as error:
            self.failed(error)
        waits = hasattr(result, "__await__")
        if not (waits or self._held is not None) or self._start(
            self._say_goodbye(result if waits else None), self._leave
        ):
            session.leave()
        else:
            session.expect_end()

    async def _say_goodbye(self, result: Awaitable[None] | None) -> None:
        try:
            if result is not None:
                await result
        finally:
            await self._close_held()

    async def _leave(self) -> None:
        self._session.leave()
