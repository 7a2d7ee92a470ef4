"""A worker's part in the counting: it tells its supervisor its numbers, and asks it for those of all.

Numbers are long and channels narrow: they are written into files without a name that both processes hold. Each file
has one writer, who writes only when the reader waits for it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Final

from framework.errors import ResourceError
from framework.net.control import Channel, Counted, Gather, Gathered, Order
from framework.net.tally import Tally, pack, unpack

__all__ = ["Numbers", "WorkerNumbers", "new_file", "read_file", "write_file"]

_PATIENCE: Final = 5.0


class Numbers:
    """Where an app's numbers are had.

    Attributes:
        count: takes those of this process; None while nothing counts.
        gather: asks for those of all workers together; None when there is but this process.
    """

    __slots__ = ("count", "gather")

    def __init__(self) -> None:
        self.count: Callable[[], Tally] | None = None
        self.gather: Callable[[], Awaitable[Tally]] | None = None


class WorkerNumbers:
    """The numbers of one worker.

    Args:
        own: descriptor of the file for its own numbers.
        total: descriptor of the file in which it finds those of all.
    """

    def __init__(self, numbers: Numbers, channel: Channel[Order], own: int, total: int) -> None:
        self._numbers = numbers
        self._channel = channel
        self._own = own
        self._total = total
        self._ticket = 0
        self._answer: asyncio.Future[int] | None = None
        self._one = asyncio.Lock()
        self._counting: asyncio.Task[None] | None = None
        numbers.gather = self.gather

    def count(self) -> None:
        """Told to count. That takes a while, off the loop."""
        self._counting = asyncio.get_running_loop().create_task(self._count())

    async def _count(self) -> None:
        self._tell(await asyncio.to_thread(self._packed))

    def last(self) -> None:
        """Tells the numbers a last time."""
        if self._counting is not None:
            self._counting.cancel()
        self._tell(self._packed())

    def _packed(self) -> bytes:
        count = self._numbers.count
        return pack(Tally() if count is None else count())

    def _tell(self, data: bytes) -> None:
        write_file(self._own, data)
        self._channel.send(Counted(len(data)))

    async def gather(self) -> Tally:
        """The numbers of all workers, and of those that have ended.

        Raises:
            ResourceError: the supervisor does not answer, or is gone.
        """
        async with self._one:
            self._ticket += 1
            self._answer = asyncio.get_running_loop().create_future()
            if self._channel.send(Gather(self._ticket)):
                try:
                    async with asyncio.timeout(_PATIENCE):
                        size = await self._answer
                    return unpack(read_file(self._total, size))
                except TimeoutError:
                    pass
            raise ResourceError(
                "the supervisor does not tell the numbers of the workers", retry_after=_PATIENCE
            )

    def gathered(self, order: Gathered) -> None:
        """The answer has come; one that was given up is passed over."""
        if order.ticket == self._ticket and self._answer is not None and not self._answer.done():
            self._answer.set_result(order.size)


def new_file(name: str) -> int:
    """Descriptor of a file without a name, for two processes to share. Raises OSError."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name)
    import tempfile  # dear to import, and needed only where the system has no such files

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def write_file(descriptor: int, data: bytes) -> None:
    """Makes ``data`` the content of the file."""
    os.ftruncate(descriptor, 0)
    written = 0
    while written < len(data):
        written += os.pwrite(descriptor, data[written:], written)


def read_file(descriptor: int, size: int) -> bytes:
    """The first ``size`` bytes of the file; fewer when there are no more."""
    parts: list[bytes] = []
    position = 0
    while position < size and (part := os.pread(descriptor, size - position, position)):
        parts.append(part)
        position += len(part)
    return b"".join(parts)
