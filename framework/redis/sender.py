"""Commands on a connection that may come and go: what can be sent now, what waits for room, what is refused."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Iterable, Sequence
from typing import Any, Final

from framework.redis.errors import RedisBusy, RedisUnavailable
from framework.redis.link import Link
from framework.redis.script import Script

__all__ = ["Sender", "looked_at"]

# These would hold up everybody's replies, change how they come, or belong to a state that tasks cannot share.
_UNSHARED: Final = {
    "BLPOP", "BRPOP", "BLMOVE", "BLMPOP", "BRPOPLPUSH", "BZPOPMIN", "BZPOPMAX", "BZMPOP", "WAIT", "WAITAOF",
    "SUBSCRIBE", "UNSUBSCRIBE", "PSUBSCRIBE", "PUNSUBSCRIBE", "SSUBSCRIBE", "SUNSUBSCRIBE",
    "MULTI", "EXEC", "DISCARD", "WATCH", "UNWATCH", "MONITOR", "HELLO", "QUIT", "RESET", "SELECT", "PSYNC", "SYNC",
}  # fmt: skip
_REFUSED: Final = frozenset(_UNSHARED | {name.lower() for name in _UNSHARED})


class Sender:
    """Sends on the link that its subclass keeps. See ``Redis`` for the arguments."""

    def __init__(self, *, timeout: float, max_commands: int, max_bytes: int) -> None:
        self._timeout = timeout
        self._max_commands = max_commands
        self._max_bytes = max_bytes
        self._link: Link | None = None
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def pending(self) -> int:
        """Replies that are awaited."""
        return 0 if self._link is None else self._link.pending

    def _gone(self) -> RedisUnavailable:
        """Why there is no connection."""
        raise NotImplementedError

    def execute(self, *args: str | bytes | float, timeout: float | None = None) -> Awaitable[Any]:
        """Sends a command at the end of this loop turn; await what it returns for the reply.

        A command that is cancelled, or whose time is over, may still be run.

        Raises:
            RedisUnavailable: there is no connection (at once), or it was lost (when awaited).
            RedisReplyError: the server refuses it.
            RedisBusy: the queue had no room within the timeout.
            DeadlineExceeded: no reply within the timeout.
            ValueError: the command cannot be used on a connection that is shared.
        """
        if args[0] in _REFUSED:
            raise ValueError(f"{args[0]!r} cannot be used on a shared connection")
        return self._send(args, self._timeout if timeout is None else timeout, None)

    def call(
        self,
        script: Script,
        keys: Sequence[str | bytes],
        args: Sequence[str | bytes | float] = (),
        *,
        timeout: float | None = None,
    ) -> Awaitable[Any]:
        """Runs a script, by its digest; the text follows by itself when the server does not know it. Errors: as
        ``execute``."""
        words = (script.digest, len(keys), *keys, *args)
        return self._send(
            ("EVALSHA", *words),
            self._timeout if timeout is None else timeout,
            ("EVAL", script.text, *words[1:]),
        )

    def _send(self, args: tuple[Any, ...], timeout: float, again: tuple[Any, ...] | None) -> Awaitable[Any]:
        link = self._link
        if link is None:
            raise self._gone()
        if link.pending < self._max_commands and link.pending_bytes < self._max_bytes and not self._waiting:
            return link.send(args, timeout, again)
        return self._send_later(args, timeout, again)

    async def _send_later(self, args: tuple[Any, ...], timeout: float, again: tuple[Any, ...] | None) -> Any:
        """Waits for room, first come first served."""
        loop = asyncio.get_running_loop()
        due = loop.time() + timeout
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append(turn)
        deadline = asyncio.timeout_at(due)
        try:
            async with deadline:
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._room()  # it was this one's turn, and it does not take it
            elif turn in self._waiting:
                self._waiting.remove(turn)
            if isinstance(error, TimeoutError) and deadline.expired():
                raise RedisBusy(f"the queue to Redis was full for {timeout:g} s") from None
            raise
        link = self._link
        if link is None:
            raise self._gone()
        reply = link.send(args, max(0.0, due - loop.time()), again)
        self._room()
        return await reply

    def _room(self) -> None:
        """Lets go of the first in line if there is room, or no connection any more."""
        while self._waiting:
            link = self._link
            if link is not None and (
                link.pending >= self._max_commands or link.pending_bytes >= self._max_bytes
            ):
                return
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                if link is not None:
                    return  # it makes room for the next one itself, once it has sent

    def transaction(
        self, commands: Iterable[tuple[str | bytes | float, ...]], *, timeout: float | None = None
    ) -> Awaitable[list[Any]]:
        """Runs commands between MULTI and EXEC, with nobody's in between; the replies are a list, in which an error
        may stand.

        Raises:
            RedisReplyError: a command was refused, and none was run (EXECABORT).
            RedisBusy: there is no room for them now.
        """
        link = self._link
        if link is None:
            raise self._gone()
        words = list(commands)
        if link.pending + len(words) + 2 > self._max_commands or link.pending_bytes >= self._max_bytes:
            raise RedisBusy("the queue to Redis is full")
        limit = self._timeout if timeout is None else timeout
        for one in (("MULTI",), *words):
            link.send(one, limit).add_done_callback(looked_at)
        return link.send(("EXEC",), limit)


def looked_at(future: asyncio.Future[Any]) -> None:
    """Nobody waits for this reply; an error in it is no error of the program."""
    if not future.cancelled():
        future.exception()
