"""The lifespan protocol of ASGI (version 2.0): an application is started before its calls, and stopped at the end."""

from __future__ import annotations

import asyncio
import logging
from types import TracebackType
from typing import Any, Final

from framework.asgi.types import ASGIApp, Message
from framework.errors import SetupError

__all__ = ["Lifespan"]

_LOG: Final = logging.getLogger("framework.asgi")
_VERSION: Final = {"version": "3.0", "spec_version": "2.0"}
_END_TIMEOUT: Final = 1.0


class Lifespan:
    """Runs the lifespan of an application, which may have none, as an async context manager.

    "If an exception is raised when calling the application callable with a lifespan.startup message or a scope of type
    lifespan, the server must continue but not send any lifespan events." So it does, and logs what was raised.

    Args:
        app: the application, called in a Task of its own.
        name: what errors call it.
        exit_timeout: seconds it may take to stop; then it is cancelled.

    Attributes:
        state: what the application put into ``scope["state"]``; its requests get copies.
    """

    def __init__(self, app: ASGIApp, name: str = "the application", *, exit_timeout: float = 10.0) -> None:
        self._app = app
        self._name = name
        self._exit_timeout = exit_timeout
        self.state: dict[str, Any] = {}
        self._task: asyncio.Task[None] | None = None
        self._events: asyncio.Queue[Message] = asyncio.Queue(2)
        self._started: asyncio.Future[str | None] | None = None
        self._stopped: asyncio.Future[str | None] | None = None
        self._supported = False

    async def __aenter__(self) -> Lifespan:
        """Starts the application. Raises SetupError when it says that its start failed."""
        loop = asyncio.get_running_loop()
        self.state.clear()
        self._events = asyncio.Queue(2)
        self._started, self._stopped = loop.create_future(), loop.create_future()
        self._supported = False
        self._events.put_nowait({"type": "lifespan.startup"})
        self._task = loop.create_task(self._run())
        try:
            await asyncio.wait((self._task, self._started), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await self._end(0.0)
            raise
        if not self._started.done():
            self._unsupported(self._task)
            return self
        failure = self._started.result()
        if failure is not None:
            await self._end(_END_TIMEOUT)
            self._retrieve()
            raise SetupError(self._describe(failure))
        self._supported = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops the application; what goes wrong with that is logged."""
        task, stopped = self._task, self._stopped
        if task is None or stopped is None or not self._supported:
            return
        if not task.done():
            self._events.put_nowait({"type": "lifespan.shutdown"})
            await asyncio.wait(
                (task, stopped), timeout=self._exit_timeout, return_when=asyncio.FIRST_COMPLETED
            )
        failure = stopped.result() if stopped.done() else None
        if failure is not None:
            _LOG.error("%s failed to stop: %s", self._name, failure)
        elif not stopped.done() and not task.done():
            _LOG.error("%s did not stop within %g s; it was cancelled", self._name, self._exit_timeout)
        await self._end(_END_TIMEOUT if stopped.done() else 0.0)
        raised = self._retrieve()
        if raised is not None and failure is None:
            _LOG.error("%s failed in its lifespan", self._name, exc_info=raised)

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": _VERSION.copy(), "state": self.state}
        await self._app(scope, self._events.get, self._send)

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        outcome, failed = {
            "lifespan.startup.complete": (self._started, False),
            "lifespan.startup.failed": (self._started, True),
            "lifespan.shutdown.complete": (self._stopped, False),
            "lifespan.shutdown.failed": (self._stopped, True),
        }.get(kind, (None, False))
        if outcome is None or outcome.done():
            raise RuntimeError(f"the application sent {kind!r} in its lifespan, which is not due")
        outcome.set_result(str(message.get("message", "")) if failed else None)

    def _unsupported(self, task: asyncio.Task[None]) -> None:
        """The call has ended without a word of its start."""
        raised = self._retrieve()
        if raised is None:
            _LOG.info("%s has no lifespan: it returned from that scope", self._name)
        else:
            what = type(raised).__name__, raised
            _LOG.warning("%s has no lifespan, or a broken one: %s: %s", self._name, *what, exc_info=raised)

    def _retrieve(self) -> BaseException | None:
        task = self._task
        return None if task is None or not task.done() or task.cancelled() else task.exception()

    async def _end(self, timeout: float) -> None:
        """Lets the call return, then cancels it, and waits for the end of that."""
        task = self._task
        if task is None or task.done():
            return
        if timeout:
            await asyncio.wait((task,), timeout=timeout)
        task.cancel()
        await asyncio.wait((task,), timeout=self._exit_timeout)

    def _describe(self, failure: str) -> str:
        """The message is often a traceback: its last line says what is wrong, and the log has all of it."""
        lines = failure.strip().splitlines()
        if len(lines) > 1:
            _LOG.error("%s failed to start:\n%s", self._name, failure.strip())
        return f"{self._name} failed to start{f': {lines[-1].strip()}' if lines else ''}"
