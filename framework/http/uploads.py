"""Streams to files: written off the loop in flat memory, and seen under their name only when they are whole."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import AsyncIterable, Callable
from contextlib import aclosing
from typing import Any, Final

from framework.errors import HTTPError
from framework.http.bodies import limited_stream
from framework.http.request import Request

__all__ = ["BATCH", "is_full", "no_space", "regardless", "save_body", "save_stream"]

BATCH: Final = 131_072
"""Bytes gathered before a worker thread is asked to write them."""

_FLAGS: Final = (
    os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
)
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


async def save_body(
    request: Request,
    path: str | os.PathLike[str],
    *,
    max_size: int | None = None,
    fsync: bool = False,
    mode: int = 0o644,
) -> int:
    """Saves the body of ``request`` as it arrives; returns its length in bytes. See ``save_stream``.

    Args:
        max_size: bytes, the route's ``max_body`` unless given.

    Raises:
        HTTPError: 413 for a longer body, 507 where the disk is full.
    """
    async with aclosing(limited_stream(request, max_size)) as stream:
        return await save_stream(stream, path, fsync=fsync, mode=mode)


async def save_stream(
    chunks: AsyncIterable[bytes], path: str | os.PathLike[str], *, fsync: bool = False, mode: int = 0o644
) -> int:
    """Writes ``chunks`` to a file that replaces what is at ``path`` in one step; returns the number of bytes.

    Until then the bytes are in a hidden file beside it (``.<random>.part``), which goes away when anything fails; a
    crash of the machine may leave it behind, but never a torn file at ``path``.

    Args:
        fsync: the bytes, and then the name, are on the disk when this returns.
        mode: the file's permissions, less the process's umask.

    Raises:
        HTTPError: 507 where the disk is full.
        OSError: what else the file system refuses.
    """
    target = _Target(os.fspath(path), mode)
    size = 0
    try:
        await asyncio.to_thread(target.open)
        held = bytearray()
        async for chunk in chunks:
            size += len(chunk)
            held += chunk
            if len(held) >= BATCH:
                await asyncio.to_thread(target.write, held)
                held = bytearray()
        await asyncio.to_thread(target.commit, held, fsync=fsync)
    except BaseException as error:
        await regardless(target.discard)
        if is_full(error):
            raise no_space() from error
        raise
    return size


def is_full(error: BaseException) -> bool:
    """Whether ``error`` says that there is no room on the disk."""
    return isinstance(error, OSError) and error.errno in _FULL


def no_space() -> HTTPError:
    """The answer to a full disk: not the client's fault, and no secret."""
    return HTTPError(507, "there is no room for this on the server")


async def regardless(function: Callable[[], Any]) -> None:
    """Runs ``function`` in a worker thread; it runs to its end even when the wait for it is cancelled."""
    await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, function))


class _Target:
    """The file being written. Its methods block, and wait for each other: a cancelled caller may leave one running."""

    def __init__(self, path: str, mode: int) -> None:
        self._path = path
        self._mode = mode
        self._directory = os.path.dirname(path) or "."
        self._part: str | None = None
        self._descriptor = -1
        self._given_up = False
        self._lock = threading.Lock()

    def open(self) -> None:
        part = os.path.join(self._directory, f".{os.urandom(8).hex()}.part")
        with self._lock:
            if not self._given_up:
                self._descriptor = os.open(part, _FLAGS, self._mode)
                self._part = part

    def write(self, data: bytes | bytearray) -> None:
        with self._lock:
            self._write(data)

    def _write(self, data: bytes | bytearray) -> None:
        left = memoryview(data)
        while left:
            left = left[os.write(self._descriptor, left) :]

    def commit(self, data: bytes | bytearray, *, fsync: bool) -> None:
        with self._lock:
            part = self._part
            if part is None:
                return
            self._write(data)
            if fsync:
                os.fsync(self._descriptor)
            self._close()
            os.replace(part, self._path)
            self._part = None
            if fsync:
                _sync_directory(self._directory)

    def discard(self) -> None:
        with self._lock:
            self._given_up = True
            self._close()
            part, self._part = self._part, None
            if part is not None:
                os.unlink(part)

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def _sync_directory(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
