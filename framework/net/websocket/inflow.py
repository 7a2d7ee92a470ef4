"""A WebSocket's way in: bytes to messages, delivered as they come or kept until they are received."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol, cast

from framework.net.core import Core
from framework.net.websocket.outflow import Message, Outflow
from framework.net.websocket.settings import WebSocketSettings
from framework.wire.websocket.compression import Compression
from framework.wire.websocket.events import Close, Event, Ping, Pong, WebSocketError
from framework.wire.websocket.frames import Masks, encode_pong
from framework.wire.websocket.leaves import FrameParser

__all__ = ["SLICE", "Inflow", "Receiver"]

# Messages handed over in one go, before other connections have their turn.
TURN: Final = 128
# Pings of one turn that are answered one by one.
PONGS: Final = 16
# Bytes parsed in one go: what they become is larger, for tiny frames by an order of magnitude.
SLICE: Final = 65_536


class Receiver(Protocol):
    """Who a session belongs to. None of these raises."""

    def opened(self) -> None:
        """Messages may come from here on."""
        ...

    def awaited(self, result: object) -> None:
        """``deliver`` returned something, perhaps an awaitable; ``session.hold()`` keeps further messages back."""
        ...

    def failed(self, error: BaseException) -> None:
        """``deliver`` raised."""
        ...

    def arrived(self) -> bool:
        """``receive`` has something to return. False leaves it to its Task to find that out."""
        ...

    def lost(self) -> None:
        """The connection is gone, and what had come is delivered. ``session.leave()`` is due once all is done."""
        ...

    def overdue(self) -> None:
        """What is still under way has had its time: cancel it."""
        ...

    def cancel(self) -> None:
        """The server's patience is over: cancel what is under way."""
        ...


class Inflow(Outflow):
    """The receiving half of a session.

    Attributes:
        receiver: who is told; set it ahead of ``open``.
        deliver: takes each message as it comes. None keeps them for ``receive``.
        waiter: what ``receive`` waits for.

    Messages that cannot be delivered wait in ``_queue``, and bytes behind them in ``_rest``: while somebody is
    ``_busy`` with an earlier one, or, ``_holding``, until the peer has read or the next turn. ``_deaf``: this side has
    closed and wants no more. ``_ping`` is the data of a ping without an answer, ``_pong`` that of a pong to be sent.
    ``_turns`` and ``_pongs``: messages that may be received, and pings that may be answered, until others have their
    turn.
    """

    __slots__ = (
        "_busy",
        "_deaf",
        "_holding",
        "_parser",
        "_ping",
        "_pong",
        "_pongs",
        "_queue",
        "_rest",
        "_scheduled",
        "_turns",
        "deliver",
        "receiver",
        "waiter",
    )

    def __init__(
        self, core: Core, settings: WebSocketSettings, masks: Masks | None, compression: Compression | None
    ) -> None:
        super().__init__(core, settings, masks, compression)
        self._parser = FrameParser(
            "server" if masks is None else "client",
            max_frame=settings.max_frame,
            max_message=settings.max_message,
            max_fragments=settings.max_fragments,
            inflater=compression,
        )
        self.receiver: Receiver | None = None
        self.deliver: Callable[[Message], Any] | None = None
        self._busy = self._holding = self._deaf = False
        self._scheduled = False
        self._queue: deque[Message] | None = None
        self._rest: bytes = b""
        self.waiter: asyncio.Future[None] | None = None
        self._ping = b""
        self._pong: bytes | None = None
        self._turns = TURN
        self._pongs = PONGS

    def _feed_rest(self) -> None:
        """Parses what waits, as long as the messages find room."""
        while self._rest and not self._closing and not self._full():
            data = self._rest
            self._rest = data[SLICE:]
            self._feed(data[:SLICE])
        if self._rest and not self._closing:
            self._pause_reading()
        elif self._closing:
            self._rest = b""

    def _full(self) -> bool:
        queue = self._queue
        return queue is not None and len(queue) >= self._settings.max_queue

    def _feed(self, data: bytes) -> None:
        fault: WebSocketError | None = None
        try:
            events = self._parser.feed(data)
        except WebSocketError as error:
            fault = error
            events = error.events
        corked = self._corked
        self._corked = True
        self._turns = TURN
        self._pongs = PONGS
        try:
            self._dispatch(events)
            if self._queue is not None:
                if self.waiter is not None:
                    self._wake()
                if self._full():
                    self._pause_reading()
        finally:
            self._corked = corked
            if not corked and self._out is not None:
                self._flush()
        if self._pong is not None:
            self._answer_ping()
        if fault is not None:
            self._fail(fault)

    def _dispatch(self, events: list[Event]) -> None:
        deliver = self.deliver
        turns = TURN
        for event in events:
            kind = type(event)
            if kind is str or kind is bytes:
                if self._deaf:
                    continue
                if deliver is None or self._holding or self._busy:
                    self._keep(event)
                    continue
                try:
                    result = deliver(cast("Message", event))
                except (KeyboardInterrupt, SystemExit):
                    raise
                except BaseException as error:
                    if self.receiver is not None:
                        self.receiver.failed(error)
                    continue
                if result is not None and self.receiver is not None:
                    self.receiver.awaited(result)
                turns -= 1
                if turns == 0:
                    self._holding = True
                    self._go_on_later()
            else:
                self._control(event)

    def _control(self, event: Any) -> None:
        if self.waiter is not None and self._queue is not None:
            self._wake()  # what came before it is answered before it
        if isinstance(event, Ping):
            # A flood is not worth an answer to each: the latest alone needs one (RFC 6455 section 5.5.3).
            self._pong = event.data
            if self._pongs > 0:
                self._pongs -= 1
                self._answer_ping()
        elif isinstance(event, Pong):
            if self._ping and event.data == self._ping:
                self._ping = b""
                self._ponged()
        else:
            self._peer_closes(event)

    def _keep(self, message: Any) -> None:
        """A message that nobody can take right now."""
        queue = self._queue
        if queue is None:
            queue = self._queue = deque()
        queue.append(message)

    def _wake(self) -> None:
        """Somebody waits in ``receive``, and it has something to return."""
        waiter = self.waiter
        if waiter is None or waiter.done():
            return
        if self.receiver is None or not self.receiver.arrived():
            waiter.set_result(None)

    def next(self) -> Message | None:
        """The first message that waits; None when there is none, or enough were taken in one turn. Reading goes on once
        there is room."""
        queue = self._queue
        if queue is None or self._turns == 0:
            return None
        self._turns -= 1
        message = queue.popleft()
        if not queue:
            self._queue = None  # an empty one is as large as all the rest of an idle session
        if (not self._reading or self._rest) and len(queue) <= self._settings.max_queue // 2:
            self._go_on_later()
        return message

    async def receive(self) -> Message:
        """The next message. One that is cancelled loses none.

        Raises:
            WebSocketClosed: the WebSocket is closed, and every message that came before was received.
            RuntimeError: another Task waits here already.
        """
        message = self.next()
        while message is None:
            waiter = self.wait()
            try:
                await waiter
            finally:
                self.waiter = None
            message = self.next()
        return message

    def wait(self) -> asyncio.Future[None]:
        """What is done once ``next`` may have a message. Whoever waited sets ``waiter`` to None afterwards. Raises as
        ``receive`` does."""
        if self.waiter is not None:
            raise RuntimeError("two Tasks cannot receive from one WebSocket at once")
        if self._queue is None and self.over:
            raise self.closed()
        waiter: asyncio.Future[None] = self._core.loop.create_future()
        if self._queue is not None:
            # Others have their turn before more are taken.
            self._core.loop.call_soon(self._next_turn, waiter, context=self._core.runners.context)
        self.waiter = waiter
        return waiter

    def _next_turn(self, waiter: asyncio.Future[None]) -> None:
        self._turns = TURN
        if self.waiter is waiter:
            self._wake()

    def drop(self) -> None:
        """Messages that wait are lost, and those to come."""
        self._deaf = True
        self._queue = None
        self._rest = b""

    def hold(self) -> None:
        """Messages wait here from now on: the receiver is busy."""
        self._busy = True

    def release(self) -> None:
        """They are delivered again, soon; first those that wait, if nobody has taken them by ``next``."""
        self._busy = False
        self._go_on_later()

    def _go_on_later(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._core.loop.call_soon(self._go_on, context=self._core.runners.context)

    def _go_on(self) -> None:
        """Delivers what had to wait, a turn's worth of it, then reads on."""
        self._scheduled = False
        if self.deliver is not None and not self._busy:
            if self._writable is not None and not self.over:
                return  # resume_writing leads back here
            self._holding = False
            self._deliver_queue()
        if self.transport is None:
            if self.receiver is not None and not self._busy and not self._scheduled:
                self.receiver.lost()
        elif not self._closing:
            if self._rest:
                self._feed_rest()
            if not (self._rest or self._full() or self._holding or self._closing):
                self._resume_reading()

    def _deliver_queue(self) -> None:
        queue, self._queue = self._queue, None
        if queue is None:
            return
        corked, self._corked = self._corked, True
        try:
            # Those beyond this turn's, or behind one that suspends, are put back by it in their order.
            self._dispatch(list(queue))
        finally:
            self._corked = corked
            self._flush()

    def _answer_ping(self) -> None:
        if self._writable is None:  # else when it reads again, the latest alone
            data, self._pong = self._pong, None
            if data is not None and not self.over:
                self.write_frames(encode_pong(data, self._mask()))

    # -- for the session --------------------------------------------------------------------------------------------

    def _ponged(self) -> None:
        """The peer has answered the ping."""
        raise NotImplementedError

    def _peer_closes(self, close: Close) -> None:
        raise NotImplementedError

    def _fail(self, error: WebSocketError) -> None:
        """The peer broke the protocol."""
        raise NotImplementedError
