"""A whole form at hand: its fields in memory, its files in memory while they are small and on the disk when not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Container, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from os import PathLike
from typing import IO, Final, NamedTuple

from framework.errors import HTTPError
from framework.http.forms import FormData
from framework.http.headers import Headers
from framework.http.multipart import MultipartLimits, Part, read_multipart
from framework.http.request import Request
from framework.http.uploads import BATCH, is_full, no_space, regardless, save_stream

__all__ = ["MultipartForm", "UploadedFile", "open_form"]

_URLENCODED: Final = "application/x-www-form-urlencoded"


class MultipartForm(NamedTuple):
    """``fields`` are the parts without a file name, decoded; ``files`` the others. Both in the order of the form."""

    fields: FormData
    files: Sequence[UploadedFile]

    def file(self, name: str) -> UploadedFile | None:
        """The first file that the form calls ``name``."""
        return next((file for file in self.files if file.name == name), None)


class UploadedFile:
    """A file of a form, there until the form is closed. Iterating gives its bytes from the beginning, each time.

    Attributes:
        name: the form's name for it.
        filename: what the client calls it: not to be used in a path.
        media_type: what the client takes it for: not to be trusted.
    """

    __slots__ = ("_spool", "filename", "headers", "media_type", "name")

    def __init__(self, part: Part, spool: _Spool) -> None:
        self._spool = spool
        self.name = part.name
        self.filename = part.filename or ""
        self.media_type = part.media_type
        self.headers: Headers = part.headers

    @property
    def size(self) -> int:
        """Bytes."""
        return self._spool.size

    async def __aiter__(self) -> AsyncIterator[bytes]:
        position = 0
        while data := await self._spool.read(position, BATCH):
            position += len(data)
            yield data

    async def read(self, max_size: int = 1_048_576) -> bytes:
        """All of it. Raises HTTPError 413 when that is more than ``max_size`` bytes."""
        if self.size > max_size:
            raise HTTPError(413, f"a file of the form is larger than {max_size} bytes")
        return b"".join([piece async for piece in self])

    async def save_to(self, path: str | PathLike[str], *, fsync: bool = False, mode: int = 0o644) -> int:
        """Saves a copy; returns its length. See ``framework.http.uploads.save_stream``."""
        return await save_stream(self, path, fsync=fsync, mode=mode)

    def __repr__(self) -> str:
        return f"<UploadedFile {self.name!r}, {self.size} bytes>"


@asynccontextmanager
async def open_form(
    request: Request,
    limits: MultipartLimits | None = None,
    *,
    max_size: int | None = None,
    spool_above: int = 262_144,
    directory: str | PathLike[str] | None = None,
    names: Container[str] | None = None,
) -> AsyncGenerator[MultipartForm, None]:
    """The form in ``request``, multipart/form-data or application/x-www-form-urlencoded: ``async with open_form(...)``.

    Files on the disk have no name there, and are gone with the block, whatever ends it. All disk work is done in worker
    threads. To take large files without a copy in between, use ``read_multipart``.

    Args:
        limits: hold for both formats.
        max_size: bytes of the whole body, the route's ``max_body`` unless given.
        spool_above: bytes of a file that are held in memory; a larger one goes to the disk.
        directory: where to, the system's place for temporary files unless given.
        names: of the files to keep; others are skipped, and cost neither memory nor disk. None keeps all.

    Raises:
        HTTPError: as ``read_multipart``; 507 where the disk is full.
    """
    limits = limits or MultipartLimits()
    media_type = (request.field("content-type") or "").partition(";")[0].strip(" \t").lower()
    if media_type == _URLENCODED:
        yield MultipartForm(await _read_urlencoded(request, limits, max_size), ())
        return
    fields: list[tuple[str, str]] = []
    files: list[UploadedFile] = []
    async with AsyncExitStack() as stack:
        parts = await stack.enter_async_context(aclosing(read_multipart(request, limits, max_size=max_size)))
        async for part in parts:
            if part.filename is None:
                fields.append((part.name, await part.text(limits.max_field_size)))
                continue
            if names is not None and part.name not in names:
                continue
            spool = _Spool(spool_above, directory)
            stack.push_async_callback(spool.close)
            async for piece in part:
                await spool.write(piece)
            await spool.finish()
            files.append(UploadedFile(part, spool))
        yield MultipartForm(FormData(fields), files)


async def _read_urlencoded(request: Request, limits: MultipartLimits, max_size: int | None) -> FormData:
    form = await request.form(max_size, limits.max_parts)
    if any(len(value) > limits.max_field_size for _, value in form.items()):
        raise HTTPError(413, f"a field of the form is larger than {limits.max_field_size} bytes")
    return form


class _Spool:
    """Bytes that move to a temporary file when they become many. The loop never waits for the disk."""

    __slots__ = ("_closed", "_directory", "_file", "_held", "_limit", "_lock", "_on_disk", "size")

    def __init__(self, limit: int, directory: str | PathLike[str] | None) -> None:
        self._held = bytearray()
        self._file: IO[bytes] | None = None
        self._limit = limit
        self._directory = directory
        # A cancelled caller may leave a thread at work; closing waits for it.
        self._lock = threading.Lock()
        self._on_disk = self._closed = False
        self.size = 0

    async def write(self, data: bytes) -> None:
        self._held += data
        self.size += len(data)
        if len(self._held) > self._limit:
            await self._spill()
            self._limit = BATCH

    async def finish(self) -> None:
        """What is on the disk is there to its end."""
        if self._on_disk and self._held:
            await self._spill()

    async def _spill(self) -> None:
        held, self._held = self._held, bytearray()
        self._on_disk = True
        try:
            await asyncio.to_thread(self._append, held)
        except OSError as error:
            if is_full(error):
                raise no_space() from error
            raise

    def _append(self, data: bytearray) -> None:
        from tempfile import TemporaryFile

        with self._lock:
            if self._closed:
                return
            if self._file is None:
                self._file = TemporaryFile(dir=self._directory)  # noqa: SIM115 - it lives as long as the form
            self._file.write(data)

    async def read(self, position: int, size: int) -> bytes:
        if not self._on_disk:
            return bytes(self._held[position : position + size])
        return await asyncio.to_thread(self._read, position, size)

    def _read(self, position: int, size: int) -> bytes:
        with self._lock:
            if self._file is None or self._closed:
                raise ValueError("read of a file whose form was closed")
            self._file.seek(position)
            return self._file.read(size)

    def _close(self) -> None:
        with self._lock:
            self._closed = True
            if self._file is not None:
                self._file.close()

    async def close(self) -> None:
        if self._on_disk:
            await regardless(self._close)
