"""A channel for a coroutine: an async iterator over its messages, with a bounded queue."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Literal, Protocol

from framework.channels.backlog import Backlog
from framework.channels.entry import Batch
from framework.channels.stats import Counters
from framework.errors import ResourceError

__all__ = ["EventsLost", "Heard", "Listener", "Overflow", "SlowConsumer"]

Overflow = Literal["resync", "close", "drop_oldest", "coalesce"]


class EventsLost(ResourceError):
    """``missed`` messages are lost between the last one and the next; the iteration may go on."""

    def __init__(self, missed: int) -> None:
        self.missed = missed
        super().__init__(f"{missed} messages were lost: the listener was too slow")
        self.args = (missed,)


class SlowConsumer(ResourceError):
    """The listener was too slow, and its subscription has ended."""

    def __init__(self) -> None:
        super().__init__("the listener was too slow, and was taken out of the channel")
        self.args = ()


class Heard(Protocol):
    """A channel, as its listeners know it."""

    @property
    def counters(self) -> Counters:
        """What it counts."""
        ...

    @property
    def sequence(self) -> int:
        """The number of its next message."""
        ...

    def let_in(self, listener: Listener, /) -> None:
        """Takes a listener in. Raises ResourceError where there are too many."""
        ...

    def let_out(self, listener: Listener, /) -> None:
        """Takes a listener out."""
        ...

    def settle(self) -> None:
        """Something has become of what waited."""
        ...


class Listener:
    """``async with channel.listen() as messages: async for message in messages``; one task reads it at a time.

    It hears what is published between entering and leaving. A message is a str or bytes.

    Args:
        channel: what it listens to.
        max_queue: messages that wait for it.
        max_bytes: of their frames.
        overflow: what happens when one more comes. "resync": what waits is still read, then ``EventsLost`` is raised,
            and what is published from then on is heard again. "close": what waits is still read, then
            ``SlowConsumer`` is raised. "drop_oldest": just that. "coalesce": at all times only the newest message with
            each key waits, and past the limit the oldest is dropped.
    """

    __slots__ = ("_backlog", "_channel", "_missed", "_overflow", "_since", "_state", "_waiter")

    def __init__(
        self, channel: Heard, max_queue: int = 256, max_bytes: int = 1_048_576, overflow: Overflow = "resync"
    ) -> None:
        if max_queue < 1 or max_bytes < 1:
            raise ValueError("a listener needs room for a message at least")
        self._channel = channel
        self._overflow = overflow
        self._backlog = Backlog(max_queue, max_bytes, overflow == "coalesce", channel.counters)
        self._since = 0
        self._missed = 0
        self._state: Literal["new", "open", "full", "ended"] = "new"
        self._waiter: asyncio.Future[None] | None = None

    @property
    def waiting(self) -> int:
        """How many messages wait for it."""
        return len(self._backlog)

    async def __aenter__(self) -> Listener:
        if self._state != "new":
            raise RuntimeError("a listener is entered once; channel.listen() makes another")
        self._channel.let_in(self)
        self._since = self._channel.sequence
        self._state = "open"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
        self._backlog.drop()

    def __aiter__(self) -> Listener:
        return self

    async def __anext__(self) -> str | bytes:
        if self._state == "new":
            raise RuntimeError(
                "a listener is entered before it is read: async with channel.listen() as messages"
            )
        while not self._backlog:
            if self._missed:
                self._raise_lost()
            if self._state == "ended":
                raise StopAsyncIteration
            await self._wait()
        entry = self._backlog.take_one()
        self._channel.counters.delivered += 1
        if not self._backlog:
            self._channel.settle()
        return entry.prepared.message

    async def _wait(self) -> None:
        if self._waiter is not None:
            raise RuntimeError("two tasks read one listener")
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _raise_lost(self) -> None:
        missed, self._missed = self._missed, 0
        if self._overflow == "close":
            raise SlowConsumer
        if self._state == "full":
            self._state = "open"
            self._since = self._channel.sequence
        raise EventsLost(missed)

    def take_in(self, batch: Batch) -> None:
        """For the channel: queues what a flush brings."""
        may_fill = self._overflow in ("resync", "close")
        for entry in batch.kept(self._since, None):
            if may_fill and (self._state != "open" or self._backlog.is_full(entry.size)):
                self._fill()
            else:
                self._backlog.add(entry)
        self._wake()

    def _fill(self) -> None:
        counters = self._channel.counters
        self._missed += 1
        counters.dropped += 1
        if self._state != "open":
            return
        self._state = "full"
        if self._overflow == "close":
            counters.closed += 1
            self.end()
        else:
            counters.resyncs += 1

    def end(self) -> None:
        """Hears no more. What waits can still be read, then the iteration is over."""
        if self._state in ("open", "full"):
            self._state = "ended"
            self._channel.let_out(self)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
