"""One connection: commands out, replies in, in step. It knows nothing of connecting again, scripts or channels.

Replies come in the order of the commands, so what keeps them together is one queue. An exchange whose caller has gone,
by cancellation or deadline, stays in it until its reply is read, which is then dropped: no reply can reach another's
caller. Where that reply does not come either, the connection is given up.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final, TypeAlias, cast

import hiredis

from framework.errors import DeadlineExceeded
from framework.redis.errors import RedisReplyError, RedisUnavailable

__all__ = ["CONFIRMATIONS", "Link", "Pushed"]

Pushed: TypeAlias = list[Any]
NEVER: Final = float("inf")
_MORE: Final = object()

# In RESP3 the reply to these is a push; see Link.subscribe.
CONFIRMATIONS: Final = frozenset(
    {b"subscribe", b"unsubscribe", b"psubscribe", b"punsubscribe", b"ssubscribe", b"sunsubscribe"}
)


class _Exchange:
    """A command under way.

    ``again``: what to send when the server does not know the script; ``pushed``: its reply comes as a push.
    """

    __slots__ = ("again", "due", "future", "pushed", "size", "timeout")

    def __init__(
        self,
        future: asyncio.Future[Any],
        due: float,
        timeout: float,
        size: int,
        again: tuple[Any, ...] | None,
        pushed: bool,
    ) -> None:
        self.future = future
        self.due = due
        self.timeout = timeout
        self.size = size
        self.again = again
        self.pushed = pushed


class Link(asyncio.Protocol):
    """One connection's protocol.

    Args:
        on_push: told of every push that is no reply.
        on_room: called after replies were read.
        on_lost: told once that the connection is gone, and why.
        stall_timeout: seconds past its deadline after which a missing reply ends the connection.

    Attributes:
        pending_bytes: how long the commands were whose replies are awaited.
        heard: whether anything came since somebody set this to False.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        on_push: Callable[[Pushed], None],
        on_room: Callable[[], None],
        on_lost: Callable[[Exception], None],
        stall_timeout: float,
    ) -> None:
        self.pending_bytes = 0
        self.heard = False
        self.lost = False
        self._loop = loop
        self._on_push = on_push
        self._on_room = on_room
        self._on_lost = on_lost
        self._stall_timeout = stall_timeout
        self._reader = hiredis.Reader(replyError=RedisReplyError, notEnoughData=_MORE)
        self._pack: Callable[[tuple[Any, ...]], bytes] = hiredis.pack_command  # pyright: ignore[reportUnknownMemberType]
        self._queue: deque[_Exchange] = deque()
        self._outbox: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self._writable = True
        self._now = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = NEVER
        self._why: Exception | None = None

    @property
    def pending(self) -> int:
        """How many replies are awaited, those included that nobody wants any more."""
        return len(self._queue)

    # -- sending ----------------------------------------------------------------------------------------------------

    def send(
        self,
        args: tuple[Any, ...],
        timeout: float,
        again: tuple[Any, ...] | None = None,
        *,
        pushed: bool = False,
    ) -> asyncio.Future[Any]:
        """Queues a command for the end of this loop turn; the future gets its reply.

        Args:
            args: the command's words: bytes, str (sent as UTF-8), int or float.
            timeout: seconds, as of the beginning of the turn.
            again: the command that is sent instead when the answer is NOSCRIPT.
            pushed: the reply comes as a push, as those to SUBSCRIBE do.
        """
        future: asyncio.Future[Any] = self._loop.create_future()
        self._put(future, args, timeout, again, pushed)
        return future

    def _put(
        self,
        future: asyncio.Future[Any],
        args: tuple[Any, ...],
        timeout: float,
        again: tuple[Any, ...] | None,
        pushed: bool,
    ) -> None:
        data = self._pack(args)
        if not self._outbox:
            self._now = self._loop.time()
            self._loop.call_soon(self._flush)
        elif not self._writable:
            self._now = self._loop.time()
        due = self._now + timeout
        self._outbox.append(data)
        self._queue.append(_Exchange(future, due, timeout, len(data), again, pushed))
        self.pending_bytes += len(data)
        if due < self._timer_due:
            self._set_timer(due)

    def _flush(self) -> None:
        if self._outbox and self._writable and self._transport is not None:
            data = self._outbox[0] if len(self._outbox) == 1 else b"".join(self._outbox)
            self._outbox.clear()
            self._transport.write(data)

    # -- deadlines --------------------------------------------------------------------------------------------------

    def _set_timer(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if due == NEVER else self._loop.call_at(due, self._look)
        self._timer_due = due

    def _look(self) -> None:
        """Ends the exchanges whose time is over; gives the connection up if the oldest has been silent for too long.

        One timer for all: it rings at the earliest deadline that was set, and then looks at everything.
        """
        now = self._loop.time()
        first = self._queue[0] if self._queue else None
        if first is not None and now >= first.due + self._stall_timeout:
            self.abort(DeadlineExceeded("a reply of Redis", self._stall_timeout))
            return
        earliest = NEVER if first is None else first.due + self._stall_timeout
        for exchange in self._queue:
            if exchange.due > now:
                if exchange.due < earliest and not exchange.future.done():
                    earliest = exchange.due
            elif not exchange.future.done():
                exchange.future.set_exception(DeadlineExceeded("Redis", exchange.timeout))
        self._timer = None
        self._set_timer(earliest)

    # -- receiving --------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Hands each reply to whoever waits for it."""
        self.heard = True
        reader, queue = self._reader, self._queue
        try:
            reader.feed(data)
            while (reply := reader.gets()) is not _MORE:
                if isinstance(reply, hiredis.PushNotification) and not self._confirms(reply):
                    self._on_push(reply)
                    continue
                if not queue:
                    raise hiredis.ProtocolError("a reply to nothing")
                exchange = queue.popleft()
                self.pending_bytes -= exchange.size
                future = exchange.future
                if future.done():
                    continue
                if not isinstance(reply, RedisReplyError):
                    future.set_result(reply)
                elif exchange.again is not None and reply.code == "NOSCRIPT":
                    left = max(0.0, exchange.due - self._loop.time())
                    self._put(future, exchange.again, left, None, False)
                else:
                    future.set_exception(reply)
        except hiredis.ProtocolError as error:
            self.abort(error)
            return
        self._on_room()

    def _confirms(self, push: Pushed) -> bool:
        """Whether a push is the reply that the oldest exchange waits for. (An error would come as a common reply.)"""
        return bool(self._queue) and self._queue[0].pushed and push[0] in CONFIRMATIONS

    # -- the connection's life --------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is connected."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one by behaviour, not by class
        self._flush()

    def pause_writing(self) -> None:
        """The socket's buffer is full: what is queued waits here, where it counts as pending."""
        self._writable = False

    def resume_writing(self) -> None:
        """There is room again."""
        self._writable = True
        self._flush()

    def abort(self, why: Exception) -> None:
        """Gives the connection up."""
        self._why = self._why or why
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Closes it once what was written is sent; who still waits is told that it is gone."""
        self._why = self._why or RedisUnavailable("the connection to Redis was closed")
        self._flush()
        if self._transport is not None:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone: nobody is left waiting."""
        self.lost = True
        self._set_timer(NEVER)
        why = self._why or exc or EOFError("the server closed the connection")
        exchanges, self._queue = list(self._queue), deque()
        self._outbox.clear()
        self.pending_bytes = 0
        for exchange in exchanges:
            if not exchange.future.done():
                exchange.future.set_exception(
                    RedisUnavailable(f"the connection to Redis was lost: {why}", sent=True)
                )
        self._on_lost(why)
