"""What a first step did not finish: handlers that go on in a parked Task, streams, and changes of the protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from framework.errors import LocalProtocolError
from framework.http.request import Request
from framework.http.response import Response, StreamingResponse
from framework.http.upgrade import Upgrade
from framework.net.core import Core, not_a_response
from framework.net.handling import Handling
from framework.net.runner import Job, Resumed, Runner
from framework.net.step import Suspended
from framework.net.stream import send_stream
from framework.net.upgrade import TakenLink
from framework.net.wheel import NEVER

__all__ = ["Finishing"]


class Finishing(Handling):
    """A link whose handlers may suspend.

    ``_pending``: bytes that wait; ``_upgrade``: what ends HTTP here, once what came before it has been written.
    """

    __slots__ = ("_pending", "_upgrade")

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        self._pending = b""
        self._upgrade: Upgrade | None = None

    def _hand_over(self, request: Request, runner: Runner, job: Job) -> None:
        self._busy = True
        self._runner = runner
        if not self._receiving:
            self._read_by = NEVER
        timeout = request.endpoint.timeout
        if timeout is not None:
            self._handle_within(timeout)
            if request.deadline is None or self._handle_by < request.deadline:
                request.deadline = self._handle_by
        runner.hand_over(job)

    async def _drive(
        self,
        request: Request,
        suspended: Suspended,
        respond: Callable[[Any], Any] | None,
        interrupt: asyncio.CancelledError | None,
    ) -> None:
        """Finishes a handler that suspended; runs in a parked Task."""
        try:
            response = await Resumed(suspended, interrupt)
            if respond is not None:
                response = respond(response)
            if not isinstance(response, Response):
                raise not_a_response(response)
        except GeneratorExit:
            raise
        except (KeyboardInterrupt, SystemExit):
            self.abort()
            self._end()
            raise
        except BaseException as error:
            response = self.failure(request, error)
        if isinstance(response, StreamingResponse):
            await self._stream(request, response, False, None)
        elif isinstance(response, Upgrade):
            await self._change(request, response)
        else:
            stream = self._answer(request, response)
            if stream is not None:
                await self._stream(request, stream, True, None)

    def _answer(self, request: Request, response: Response) -> StreamingResponse | None:
        """Writes a plain response, unless the after hooks put a stream in its place."""
        try:
            if request.endpoint.after:
                response = self.apply_hooks(request, response)
                if isinstance(response, StreamingResponse):
                    return response
        except BaseException:
            self.abort()
            self._end()
            raise
        self._write_answer(request, response)
        return None

    def _write_answer(self, request: Request, response: Response) -> None:
        try:
            self.write(self.encode(request, response))
        except BaseException:
            self.abort()
            self._end()
            raise
        self._end()

    async def _stream(
        self,
        request: Request,
        response: StreamingResponse,
        hooked: bool,
        interrupt: asyncio.CancelledError | None,
    ) -> None:
        try:
            await send_stream(self, self._core, request, response, interrupt, hooked=hooked)
        except BaseException:
            self.abort()
            raise
        finally:
            self._end()

    # -- upgrades ---------------------------------------------------------------------------------------------------

    def _begin_upgrade(self, request: Request, upgrade: Upgrade) -> Response | None:
        """None when the connection is about to change its protocol, or a stream goes out in place of that."""
        runners = self._core.runners
        response = runners.spare.context.run(self._hooked, request, upgrade)
        if isinstance(response, StreamingResponse):
            self._hand_over(request, runners.take(), partial(self._stream, request, response, True))
            return None
        if isinstance(response, Upgrade):
            self._busy = True
            self._upgrade = response
            return None
        return response

    async def _change(self, request: Request, upgrade: Upgrade) -> None:
        """Changes the protocol from a parked Task."""
        response = self._hooked(request, upgrade)
        if isinstance(response, Upgrade):
            self._upgrade = response
            self._switch(request)
        elif isinstance(response, StreamingResponse):
            await self._stream(request, response, True, None)
        else:
            self._write_answer(request, response)

    def _hooked(self, request: Request, upgrade: Upgrade) -> Response:
        """The upgrade once the after hooks have seen it, or what takes its place."""
        response = self.apply_hooks(request, upgrade)
        if response is upgrade and self._receiving:
            response = self._core.failed(
                request, LocalProtocolError("an upgrade ahead of the request's body")
            )
        if response is not upgrade:
            upgrade.dropped()
        return response

    def _switch(self, request: Request) -> None:
        """Writes the 101 and gives the connection away; an error where that cannot be."""
        upgrade, self._upgrade = self._upgrade, None
        assert upgrade is not None
        try:
            head = self._core.encoder.switching(upgrade)
        except Exception as error:
            upgrade.dropped()
            self._busy = False
            self.write(self._encode_failure(request, self._core.failed(request, error)))
            self._end()
            return
        self._ended()
        self.write(head)
        if self._after is not None:
            self._run_after()
        transport = self.transport
        if transport is None or transport.is_closing():
            upgrade.dropped()
            if transport is None:
                self._leave()
            return
        self._give_away(upgrade, transport)

    def _give_away(self, upgrade: Upgrade, transport: asyncio.Transport) -> None:
        core = self._core
        self._resume_reading()
        received, self._pending = self._pending, b""
        self._let_go()
        self._closing = True
        self._read_by = NEVER
        self._leave()
        link = TakenLink(core, transport, received, peer=self.peer, scheme=self.scheme, leaving=self._leaving)
        try:
            upgrade.connect(link)
        except Exception as error:
            core.log.error("a connection could not change its protocol", exc_info=error)
            upgrade.dropped()
            transport.abort()

    def _end(self) -> None:
        """The response is written."""
        raise NotImplementedError
