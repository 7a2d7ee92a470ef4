"""``http.response.pathsend``: a file goes out as the server's own files do, read in threads, a part at a time."""

from __future__ import annotations

import asyncio
import os
from collections import deque

from framework.http.openfile import OpenFile, open_file
from framework.http.ranges import ByteRange

__all__ = ["FileBody", "open_body"]


class FileBody:
    """The content of a file in pieces. Closing it in mid-read closes the file after that read.

    Attributes:
        size: of the file, in bytes.
        ready: its first bytes, or all of them.
        whole: whether ``ready`` is all of it; the file is closed then.
    """

    __slots__ = ("_file", "_pieces", "_taken", "ready", "size", "whole")

    def __init__(self, file: OpenFile) -> None:
        """Reads the first piece: blocks."""
        self._file = file
        self.size = file.stat.st_size
        self._pieces: deque[bytes | ByteRange] = deque([ByteRange(0, self.size)] if self.size else [])
        self._taken = False
        try:
            self.ready = file.read(self._pieces) if self.size else b""
        except BaseException:
            file.close()
            raise
        self.whole = not self._pieces
        if self.whole:
            file.close()

    def __aiter__(self) -> FileBody:
        return self

    async def __anext__(self) -> bytes:
        if not self._taken:
            self._taken = True
            data, self.ready = self.ready, b""
            return data
        if not self._pieces:
            raise StopAsyncIteration
        return await asyncio.to_thread(self._file.read, self._pieces)

    async def aclose(self) -> None:
        self._file.close()


async def open_body(path: str | os.PathLike[str]) -> FileBody:
    """The file at ``path``. Raises HTTPError 404 and 403 as ``open_file`` does, FileChanged when it is written to."""
    return await asyncio.to_thread(lambda: FileBody(open_file(path)))
