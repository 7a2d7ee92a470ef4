"""The handler style: a coroutine that has the WebSocket for as long as it runs, and receives when it likes.

It runs in a parked Task of its own. While it waits for a message, and only then, it is stepped from where the message
comes in, with its Task entered (as ``framework.net.step`` does for first steps), and the Task itself goes on waiting:
a message then costs no turn of the loop, and what the handler writes goes out with all else of that turn. Whatever else
the handler waits for is handed to the Task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, Final

from framework.net.core import Core
from framework.net.runner import cancel_awaited
from framework.net.step import NOT_STARTED, UNCLEAN, Stepper, Suspended
from framework.net.websocket.receiver import Held, Running
from framework.net.websocket.session import Session
from framework.net.websocket.socket import WebSocket

__all__ = ["Conversation"]

_NOTHING: Final = object()


class Conversation(Running):
    """A handler's part of a session, whose receiver it makes itself. When the handler ends the WebSocket is closed:
    with 1000, or 1011 where it raised. When the WebSocket is closed first, it has ``close_timeout`` to end, and is then
    cancelled."""

    __slots__ = ("_handler", "_waiting")

    def __init__(
        self,
        core: Core,
        session: Session,
        socket: WebSocket[Any, Any],
        handler: Callable[[WebSocket[Any, Any]], Awaitable[Any]],
        held: Held | None = None,
    ) -> None:
        super().__init__(core, session, socket, held)
        self._handler: Callable[[WebSocket[Any, Any]], Awaitable[Any]] | None = handler
        self._waiting: Waiting | None = None
        session.receiver = self

    def opened(self) -> None:
        handler, self._handler = self._handler, None
        assert handler is not None
        if self._start(handler(self._socket), self._over):
            self._session.start_closing()
            if self._held is not None:
                self._start(self._close_held(), self._over)

    def _resumed(self, suspended: Suspended, interrupt: asyncio.CancelledError | None) -> Awaitable[Any]:
        runner = self._runner
        assert runner is not None
        # The handler may have set context variables: its Context is compared with itself.
        step = Stepper(self._core.loop, runner.task, runner.context, runner.context).step
        self._waiting = Waiting(self._core.loop, self._session, suspended, interrupt, step)
        return self._waiting

    def arrived(self) -> bool:
        return self._waiting is not None and self._waiting.step()

    async def _over(self) -> None:
        """The handler has ended; the clean-ups learn of what it raised."""
        self._waiting = None
        self._session.start_closing()
        await self._close_held()
        self._runner = None
        self._session.leave()

    def awaited(self, result: object) -> None:
        """Nothing is delivered here: the handler receives."""

    def lost(self) -> None:
        if self._runner is None:
            self._session.leave()


class Waiting:
    """Awaits a handler that was suspended, and steps it while it waits for a message.

    ``_park``: what the Task waits for meanwhile; ``_yielded``: what a step has come to that is the Task's to wait for;
    ``_error``: what it raised, StopIteration where it ended.
    """

    __slots__ = ("_coro", "_error", "_interrupt", "_loop", "_park", "_session", "_step", "_yielded")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        session: Session,
        suspended: Suspended,
        interrupt: asyncio.CancelledError | None,
        step: Callable[..., Any],
    ) -> None:
        self._loop = loop
        self._session = session
        self._coro: Coroutine[Any, Any, Any] = suspended.coro
        self._yielded: Any = suspended.yielded
        self._interrupt = interrupt
        self._step = step
        self._park: asyncio.Future[None] | None = None
        self._error: BaseException | None = None

    def step(self) -> bool:
        """The handler waits for a message, and one is there: it is resumed. False where only its Task can do that."""
        park, session = self._park, self._session
        waiter = session.waiter
        if park is None or park.done() or waiter is None:
            return False
        waiter.set_result(None)  # nobody is called back: no Task waits for it
        try:
            yielded = self._step((), self._coro.send, None, False, None)
            if yielded is NOT_STARTED or yielded is UNCLEAN:
                yielded = _NOTHING
            self._yielded = yielded
            if yielded is not None and yielded is session.waiter:
                return True
        except BaseException as error:
            self._error = error
            park.set_result(None)
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise
            return True
        park.set_result(None)
        return True

    def __await__(self) -> Generator[Any, Any, Any]:
        coro = self._coro
        interrupt, self._interrupt = self._interrupt, None
        torn_down = False
        try:
            while True:
                if self._error is not None:
                    raise self._error
                yielded = self._yielded
                waiter = self._session.waiter
                try:
                    if interrupt is not None:
                        error, interrupt = interrupt, None
                        if not cancel_awaited(yielded, error):
                            raise error
                    if yielded is _NOTHING or (waiter is not None and yielded is waiter and waiter.done()):
                        value = None
                    elif waiter is not None and yielded is waiter:
                        interrupt = yield from self._parked()
                        continue
                    else:
                        value = yield yielded
                except GeneratorExit:  # the Task is being torn down: nothing may be awaited any more
                    torn_down = True
                    coro.close()
                    raise
                except BaseException as error:
                    self._yielded = coro.throw(error)
                else:
                    self._yielded = coro.send(value)
        except StopIteration as stop:
            return stop.value
        except GeneratorExit as error:
            if torn_down:
                raise
            raise RuntimeError("the handler raised GeneratorExit") from error

    def _parked(self) -> Generator[Any, Any, asyncio.CancelledError | None]:
        """Waits, from the Task's side, until a step needs the Task; returns a cancellation that came instead."""
        park = self._park = self._loop.create_future()
        try:
            yield from park
        except asyncio.CancelledError as error:
            return error
        finally:
            self._park = None
        return None
