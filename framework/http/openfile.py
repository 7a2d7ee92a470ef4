"""A regular file that is being sent: opened once, read from worker threads, and known to be what it was when opened."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from framework.errors import HTTPError, ResourceError
from framework.http.ranges import ByteRange

__all__ = ["CHUNK", "FileChanged", "LinkMet", "OpenFile", "open_file", "refusal"]

CHUNK: Final = 131_072
"""Bytes read at once; a client that reads slowly holds one piece on its way, and the next."""

# A FIFO would block the thread in open() until somebody writes to it; a terminal would become ours.
_FLAGS: Final = (
    os.O_RDONLY
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
)
_ABSENT: Final = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ENXIO, errno.EINVAL}
)


def _seek_and_read(descriptor: int, size: int, position: int) -> bytes:
    os.lseek(descriptor, position, os.SEEK_SET)
    return os.read(descriptor, size)


# One call less is one fight less for the interpreter's lock, which every system call gives away.
_read_at: Final[Callable[[int, int, int], bytes]] = getattr(os, "pread", _seek_and_read)


class FileChanged(ResourceError):
    """The file was written to while it was being read: what was read may be half old, half new."""

    def __init__(self) -> None:
        super().__init__("the file changed while it was being read", retry_after=1.0)


class LinkMet(HTTPError):
    """404, because of a symbolic link where none is to be followed: another way to the file may be allowed."""

    def __init__(self) -> None:
        super().__init__(404)


class OpenFile:
    """Takes over a descriptor; ``close`` may be called at any time, and is called when nobody holds the object.

    Args:
        descriptor: of a regular file, open for reading.

    Raises:
        HTTPError: 404, when it is none; the descriptor is closed then.
    """

    __slots__ = ("_descriptor", "_lock", "_wanted", "stat")

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._wanted = True
        self.stat = os.fstat(descriptor)
        if not stat.S_ISREG(self.stat.st_mode):
            self.close()
            raise HTTPError(404)

    def read(self, pieces: deque[bytes | ByteRange], limit: int = CHUNK) -> bytes:
        """Takes the next ``limit`` bytes off ``pieces``, literal bytes and ranges of the file. Blocks.

        Raises:
            FileChanged: size or time of change are no longer those of the opening.
            ValueError: the file was closed.
        """
        try:
            with self._lock:
                return self._gather(pieces, limit)
        finally:
            if not self._wanted:
                self.close()

    def _gather(self, pieces: deque[bytes | ByteRange], limit: int) -> bytes:
        if self._descriptor < 0:
            raise ValueError("read of a closed file")
        gathered: list[bytes] = []
        while pieces and limit > 0:
            piece = pieces.popleft()
            if isinstance(piece, bytes):
                gathered.append(piece)
                limit -= len(piece)
                continue
            stop = min(piece.stop, piece.start + limit)
            data = _read_at(self._descriptor, stop - piece.start, piece.start)
            if not data:
                raise FileChanged
            gathered.append(data)
            limit -= len(data)
            if piece.start + len(data) < piece.stop:
                pieces.appendleft(ByteRange(piece.start + len(data), piece.stop))
        # After the read: a write sets the time before it touches the bytes.
        now = os.fstat(self._descriptor)
        if now.st_mtime_ns != self.stat.st_mtime_ns or now.st_size != self.stat.st_size:
            raise FileChanged
        return gathered[0] if len(gathered) == 1 else b"".join(gathered)

    def close(self) -> None:
        """Closes now, or as soon as the read that is under way in another thread is over."""
        self._wanted = False
        if self._lock.acquire(blocking=False):
            try:
                descriptor, self._descriptor = self._descriptor, -1
                if descriptor >= 0:
                    os.close(descriptor)
            finally:
                self._lock.release()

    def __del__(self) -> None:
        self.close()


def open_file(path: str | os.PathLike[str], *, directory: int | None = None, follow: bool = True) -> OpenFile:
    """Opens a regular file for reading. Blocks, if only for the disk.

    Args:
        directory: descriptor of the directory that a relative ``path`` starts from.
        follow: whether the last component may be a symbolic link.

    Raises:
        HTTPError: as ``refusal``; 404 for what is no regular file, too.
    """
    flags = _FLAGS if follow else _FLAGS | getattr(os, "O_NOFOLLOW", 0)
    try:
        return OpenFile(os.open(path, flags, dir_fd=directory))
    except (OSError, ValueError) as error:
        raise refusal(error) from None


def refusal(error: OSError | ValueError) -> Exception:
    """What to raise for the file system's ``error``: HTTPError 404 for what is not there and for names that no file can
    have, 403 for what this process may not read, and the error itself where the fault is the server's."""
    if isinstance(error, PermissionError):
        return HTTPError(403)
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return LinkMet()
    if isinstance(error, ValueError) or error.errno in _ABSENT:
        return HTTPError(404)
    return error
