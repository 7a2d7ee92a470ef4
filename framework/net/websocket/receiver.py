"""Runs what belongs to one WebSocket: first steps inline, the rest in a parked Task, and none while nothing happens."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, Final, Protocol

from framework.errors import ResourceError, WebSocketClosed
from framework.net.core import Core
from framework.net.runner import Resumed, Runner
from framework.net.step import NOT_STARTED, UNCLEAN, Suspended
from framework.net.websocket.session import Session
from framework.net.websocket.socket import WebSocket

__all__ = ["Held", "Running"]

_FAILED: Final = 1011


class Held(Protocol):
    """Clean-ups that wait for the end of the WebSocket."""

    async def close(self, error: BaseException | None = None) -> None: ...


class Running:
    """At most one piece of async work at a time for a WebSocket, a callback or a whole handler.

    ``_runner``: where one goes on that was suspended; ``_held``: clean-ups for the end.
    """

    __slots__ = ("_cancelled", "_core", "_error", "_held", "_runner", "_session", "_socket")

    def __init__(self, core: Core, session: Session, socket: WebSocket[Any, Any], held: Held | None) -> None:
        self._core = core
        self._session = session
        self._socket = socket
        self._held = held
        self._runner: Runner | None = None
        self._cancelled = False
        self._error: BaseException | None = None

    @property
    def held(self) -> Held | None:
        """What is kept open until the end."""
        return self._held

    def hold(self, held: Held) -> None:
        """Keeps ``held`` until the end of it all."""
        self._held = held

    # -- what a session asks of its receiver ------------------------------------------------------------------------

    def failed(self, error: BaseException) -> None:
        """Closes with 1011, and logs the error; one that only says that the WebSocket is closed is none."""
        session, socket = self._session, self._socket
        self._error = error
        if session.over and isinstance(error, WebSocketClosed):
            return
        if isinstance(error, asyncio.CancelledError) and (self._cancelled or session.over):
            return
        request = socket.request
        self._core.log.error(
            "a WebSocket handler failed: %s %s (request %s)",
            request.method,
            request.endpoint.pattern or request.raw_path,
            request.id,
            exc_info=error,
            extra={"request": request},
        )
        session.start_closing(_FAILED)

    def overdue(self) -> None:
        if self._runner is None:
            return
        if self._cancelled:
            self._core.log.error("a WebSocket handler ignores its cancellation")
            return
        self._cancel(self._session.closed())
        self._session.expect_end(self._core.settings.cancel_timeout + 1.0)

    def cancel(self) -> None:
        self._cancel(ResourceError("the server is shutting down", retry_after=1.0))

    def _cancel(self, reason: BaseException) -> None:
        self._session.drop()
        if self._runner is not None:
            self._cancelled = True
            self._runner.task.cancel(str(reason))

    # -- work -------------------------------------------------------------------------------------------------------

    def _start(self, work: Awaitable[Any], then: Callable[[], Coroutine[Any, Any, None]]) -> bool:
        """Takes the first step of ``work``. When it ends there, True, and ``then`` is left to the caller; else both go
        on in a parked Task."""
        runners = self._core.runners
        try:
            step = runners.spare.step
            outcome = step((), _itself, work, True, None)
            if outcome is UNCLEAN:
                outcome = runners.renew().step((), _itself, work, True, None)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            self.failed(error)
            return True
        if outcome is NOT_STARTED:
            self._hand_over(runners.fresh(), partial(self._whole, work, then))
        elif isinstance(outcome, Suspended):
            self._hand_over(runners.take(), partial(self._rest, outcome, then))
        else:
            return True
        return False

    def _hand_over(
        self, runner: Runner, job: Callable[[asyncio.CancelledError | None], Coroutine[Any, Any, None]]
    ) -> None:
        self._core.runners.lend(runner)
        self._runner = runner
        runner.hand_over(job)

    async def _whole(
        self,
        work: Awaitable[Any],
        then: Callable[[], Coroutine[Any, Any, None]],
        interrupt: asyncio.CancelledError | None,
    ) -> None:
        """Work that was asked for while some other Task ran."""
        try:
            if interrupt is not None:
                close = getattr(work, "close", None)
                if close is not None:
                    close()
                raise interrupt
            await work
        except GeneratorExit:
            raise
        except BaseException as error:
            self._ended(error)
        await self._last(then)

    async def _rest(
        self,
        suspended: Suspended,
        then: Callable[[], Coroutine[Any, Any, None]],
        interrupt: asyncio.CancelledError | None,
    ) -> None:
        try:
            await self._resumed(suspended, interrupt)
        except GeneratorExit:
            raise
        except BaseException as error:
            self._ended(error)
        await self._last(then)

    def _resumed(self, suspended: Suspended, interrupt: asyncio.CancelledError | None) -> Awaitable[Any]:
        """What drives suspended work to its end."""
        return Resumed(suspended, interrupt)

    def arrived(self) -> bool:
        return False

    def _ended(self, error: BaseException) -> None:
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            self._session.abort()
            raise error
        self.failed(error)

    async def _last(self, then: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await then()
        finally:
            self._runner = None

    async def _close_held(self) -> None:
        held, self._held = self._held, None
        error, self._error = self._error, None
        if held is not None:
            try:
                await held.close(error)
            except Exception as failure:
                self._core.log.error("the clean-up of a WebSocket failed", exc_info=failure)


def _itself(work: Any) -> Any:
    return work
