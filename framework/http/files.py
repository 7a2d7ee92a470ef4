"""Files as responses: ranges, validators and preconditions, read off the loop at the pace of the client.

One hop to a worker thread opens the file, asks it for its size and times, settles the preconditions, and reads: all of
a small file, the first piece of a large one. Everything about a response comes from the one descriptor, so a file that
is replaced meanwhile is sent as it was; one that is rewritten in place is noticed, and the response is cut rather than
completed with bytes of another version.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from framework.errors import HTTPError
from framework.http.conditions import Conditions
from framework.http.dates import http_date
from framework.http.etags import quote_etag
from framework.http.extensions import media_type_of
from framework.http.openfile import FileChanged, OpenFile, open_file
from framework.http.ranges import MAX_RANGES, ByteRange, lay_out_byteranges, select_ranges
from framework.http.request import Request
from framework.http.response import Response, StreamingResponse

__all__ = ["Delivery", "FileResponse", "content_disposition", "deliver", "fingerprint", "retrying"]

# A change within the clock's grain of the last one leaves no trace (FAT has 2 s): until then the tag is weak, which
# If-Range and If-Match do not take (RFC 9110 section 8.8.1).
_SETTLING_NS: Final = 2_000_000_000
_ATTEMPTS: Final = 3


def fingerprint(stat: os.stat_result) -> str:
    """The entity tag of a file, not quoted: from inode, size, and the times of the last change of content and inode.

    The inode's time cannot be set back, so a file put in place with an old date gets a new tag all the same. Other
    machines give copies of the file other tags; where they share clients, use what the copies have in common.
    """
    from hashlib import blake2b  # loads OpenSSL, which importing the framework should not

    facts = f"{stat.st_ino}-{stat.st_size}-{stat.st_mtime_ns}-{stat.st_ctime_ns}"
    return blake2b(facts.encode(), digest_size=12).hexdigest()


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a file is sent, apart from what it holds.

    Attributes:
        etag: the entity tag, quoted, instead of the one that ``fingerprint`` makes.
        encoding: the coding the file's bytes are in.
        varies: whether Accept-Encoding may select another file.
    """

    media_type: str
    conditions: Conditions
    etag: str | None = None
    fingerprint: Callable[[os.stat_result], str] = fingerprint
    cache_control: str | None = None
    disposition: str | None = None
    encoding: str | None = None
    varies: bool = False
    max_ranges: int = MAX_RANGES


class FileResponse(StreamingResponse):
    """A part of a file, or all of it, too large to be held at once. ``FileResponse.open`` makes one."""

    __slots__ = ()

    @classmethod
    async def open(
        cls,
        request: Request,
        path: str | os.PathLike[str],
        *,
        media_type: str | None = None,
        filename: str | None = None,
        inline: bool = False,
        etag: str | None = None,
        cache_control: str | None = None,
        max_ranges: int = MAX_RANGES,
    ) -> Response:
        """The answer to ``request`` for the file at ``path``, which the application has chosen: it is not checked.

        200, 206 for ranges (several as multipart/byteranges), 304 and 412 by the preconditions, 416; HEAD too. What
        is small, or has no body, comes as a plain ``Response``.

        Args:
            media_type: by the extension of ``path`` unless given.
            filename: offers the file for saving under this name (RFC 6266).
            inline: with ``filename``: to be shown, the name is for a later "save as".
            etag: an entity tag, quoted, such as a hash of the content; else made by ``fingerprint``.
            cache_control: the Cache-Control field.

        Raises:
            HTTPError: 404 where there is no regular file, 403 where it may not be read, 412, 416, and 400 for
                preconditions that cannot be read.
            ResourceError: the file is being written to without a pause.
        """
        delivery = Delivery(
            media_type or media_type_of(os.path.basename(path)),
            Conditions.of(request),
            etag=etag,
            cache_control=cache_control,
            disposition=None if filename is None else content_disposition(filename, inline=inline),
            max_ranges=max_ranges,
        )
        return await asyncio.to_thread(retrying, lambda: deliver(open_file(path), delivery))


def retrying(attempt: Callable[[], Response]) -> Response:
    """Calls ``attempt`` again when the file changed under it; a change takes no longer than a write."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return attempt()
        except FileChanged:
            pass
    return attempt()


def deliver(file: OpenFile, delivery: Delivery) -> Response:
    """The response that sends ``file``, which it closes when no more is to be read. Blocks.

    Raises:
        HTTPError: 412, 416, 400.
        FileChanged: by a write while it was read.
    """
    try:
        response = _answer(file, delivery)
    except BaseException:
        file.close()
        raise
    if not isinstance(response, FileResponse):
        file.close()
    return response


def _answer(file: OpenFile, delivery: Delivery) -> Response:
    etag, modified = _validators(file.stat, delivery)
    verdict = delivery.conditions.verdict(etag, modified)
    if verdict == 412:
        raise HTTPError(412, "the file is not in the state that the request expects")
    if verdict == 304:
        return _described(Response(status=304), delivery, etag, modified)
    status, size = 200, file.stat.st_size
    media_type: str | None = delivery.media_type
    pieces: list[bytes | ByteRange] = [ByteRange(0, size)] if size else []
    fields: list[tuple[str, str]] = [("accept-ranges", "bytes")]
    length = size
    field = delivery.conditions.wanted_range(etag, modified)
    ranges = None if field is None else select_ranges(field, size, delivery.max_ranges)
    if ranges is not None:
        status = 206
        if len(ranges) == 1:
            pieces[:], length = ranges, ranges[0].stop - ranges[0].start
            fields.append(("content-range", ranges[0].content_range(size)))
        else:
            boundary = os.urandom(16).hex()
            pieces, length = lay_out_byteranges(ranges, size, delivery.media_type, boundary)
            # As a field, not as the media type, by which the server keeps prefixes of heads: it never comes again.
            media_type = None
            fields.append(("content-type", f"multipart/byteranges; boundary={boundary}"))
    response: Response
    if delivery.conditions.method == "HEAD":
        response = StreamingResponse(_FileStream(file, (), b""), status, media_type=media_type, length=length)
    else:
        left = deque(pieces)
        data = file.read(left)
        if left:
            content = _FileStream(file, left, data)
            response = FileResponse(content, status, media_type=media_type, length=length)
        else:
            response = Response(data, status, media_type=media_type)
    response.headers.extend(fields)
    return _described(response, delivery, etag, modified)


def _described(response: Response, delivery: Delivery, etag: str, modified: int) -> Response:
    """Adds the fields about the representation; a 304 has those that a cache keeps (RFC 9110 section 15.4.5)."""
    headers = response.headers
    headers.add("etag", etag)
    headers.add("last-modified", http_date(modified))
    if delivery.cache_control is not None:
        headers.add("cache-control", delivery.cache_control)
    if delivery.varies:
        headers.add("vary", "accept-encoding")
    if response.status != 304:
        if delivery.encoding is not None:
            headers.add("content-encoding", delivery.encoding)
        if delivery.disposition is not None:
            headers.add("content-disposition", delivery.disposition)
    return response


def _validators(stat: os.stat_result, delivery: Delivery) -> tuple[str, int]:
    """Entity tag, and the time of the last change in whole seconds, never one of the future (section 8.8.2.1)."""
    now = time.time_ns()
    etag = delivery.etag
    if etag is None:
        changed = max(stat.st_mtime_ns, stat.st_ctime_ns)
        etag = quote_etag(delivery.fingerprint(stat), weak=now - changed < _SETTLING_NS)
    return etag, min(stat.st_mtime_ns, now) // 1_000_000_000


class _FileStream:
    """The pieces of a file as the client takes them. Closing it in mid-read closes the file after that read."""

    __slots__ = ("_file", "_pieces", "_ready")

    def __init__(self, file: OpenFile, pieces: Iterable[bytes | ByteRange], ready: bytes) -> None:
        self._file = file
        self._pieces = deque(pieces)
        self._ready = ready

    def __aiter__(self) -> _FileStream:
        return self

    async def __anext__(self) -> bytes:
        data, self._ready = self._ready, b""
        if data:
            return data
        if not self._pieces:
            raise StopAsyncIteration
        return await asyncio.to_thread(self._file.read, self._pieces)

    async def aclose(self) -> None:
        self._file.close()


def content_disposition(filename: str, *, inline: bool = False) -> str:
    """The value of Content-Disposition that names a file (RFC 6266), in ASCII and, where that is not enough, UTF-8."""
    kind = "inline" if inline else "attachment"
    plain = "".join(letter if " " <= letter <= "~" and letter not in '"\\%' else "_" for letter in filename)
    if plain == filename:
        return f'{kind}; filename="{plain}"'
    encoded = quote(filename.encode(errors="replace"), safe="!#$&+^`|")
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{encoded}"
