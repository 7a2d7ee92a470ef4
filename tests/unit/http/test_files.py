"""Files as responses, apart from the server."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from framework.errors import HTTPError
from framework.http import openfile
from framework.http.conditions import Conditions
from framework.http.files import (
    Delivery,
    FileResponse,
    content_disposition,
    deliver,
    fingerprint,
    retrying,
)
from framework.http.openfile import CHUNK, FileChanged, open_file
from framework.http.response import Response, StreamingResponse
from framework.testing import fake_request


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file.txt"
    path.write_bytes(b"x" * 1000)
    return path


@pytest.mark.parametrize(
    ("filename", "value"),
    [
        ("report.pdf", 'attachment; filename="report.pdf"'),
        ("two words.txt", 'attachment; filename="two words.txt"'),
        ("naïve.txt", "attachment; filename=\"na_ve.txt\"; filename*=UTF-8''na%C3%AFve.txt"),
        ('a"b\\c', "attachment; filename=\"a_b_c\"; filename*=UTF-8''a%22b%5Cc"),
        ("100%.txt", "attachment; filename=\"100_.txt\"; filename*=UTF-8''100%25.txt"),
        (
            "a\r\nset-cookie: x",
            "attachment; filename=\"a__set-cookie: x\"; filename*=UTF-8''a%0D%0Aset-cookie%3A%20x",
        ),
        ("\ud800", "attachment; filename=\"_\"; filename*=UTF-8''%3F"),
    ],
)
def test_the_name_of_a_download(filename: str, value: str) -> None:
    assert content_disposition(filename) == value
    assert content_disposition(filename, inline=True) == value.replace("attachment", "inline")


def test_the_fingerprint_knows_content_place_and_time(path: Path) -> None:
    seen = {fingerprint(path.stat())}
    os.utime(path, (1, 1))
    seen.add(fingerprint(path.stat()))
    path.write_bytes(b"y" * 1001)
    os.utime(path, (1, 1))
    seen.add(fingerprint(path.stat()))
    assert len(seen) == 3
    assert fingerprint(path.stat()) == fingerprint(path.stat())


def test_ones_own_tag_is_kept(path: Path) -> None:
    response = deliver(open_file(path), Delivery("text/plain", Conditions(), etag='"v7"'))
    assert response.headers["etag"] == '"v7"'
    same = Delivery("text/plain", Conditions(if_none_match='"v7"'), etag='"v7"')
    assert deliver(open_file(path), same).status == 304


def test_a_date_of_the_future_is_not_told(path: Path) -> None:
    os.utime(path, (4_000_000_000, 4_000_000_000))
    response = deliver(open_file(path), Delivery("text/plain", Conditions()))
    assert "2096" not in response.headers["last-modified"]
    assert response.headers["etag"].startswith("W/")


@pytest.mark.parametrize(
    ("conditions", "kind"),
    [
        (Conditions(), Response),
        (Conditions("HEAD"), StreamingResponse),
        (Conditions(if_none_match="*"), Response),
        (Conditions(range="bytes=0-1,500-"), Response),
    ],
)
def test_what_needs_no_more_reading_holds_no_file(
    path: Path, conditions: Conditions, kind: type[Response]
) -> None:
    before = len(os.listdir("/proc/self/fd"))
    response = deliver(open_file(path), Delivery("text/plain", conditions))
    assert type(response) is kind
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    "conditions", [Conditions(if_match='"x"'), Conditions(range="bytes=5000-"), Conditions(if_match="x")]
)
def test_what_is_refused_holds_no_file(path: Path, conditions: Conditions) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(HTTPError):
        deliver(open_file(path), Delivery("text/plain", conditions))
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_large_response_that_is_dropped_holds_no_file(path: Path) -> None:
    os.truncate(path, CHUNK + 1)
    before = len(os.listdir("/proc/self/fd"))
    response = deliver(open_file(path), Delivery("text/plain", Conditions()))
    assert isinstance(response, FileResponse)
    assert response.length == CHUNK + 1
    assert len(os.listdir("/proc/self/fd")) == before + 1
    del response
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_file_that_changes_under_the_reader_is_read_again() -> None:
    calls: list[int] = []

    def attempt() -> Response:
        calls.append(1)
        if len(calls) < 3:
            raise FileChanged
        return Response(b"stable")

    assert retrying(attempt).body == b"stable"
    with pytest.raises(FileChanged):
        retrying(_always_changed)


def _always_changed() -> Response:
    raise FileChanged


@pytest.mark.anyio
async def test_the_loop_waits_for_no_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.truncate(path, 3 * CHUNK)
    threads: set[int] = set()
    for module, name in ((os, "open"), (os, "fstat"), (os, "stat"), (openfile, "_read_at")):
        real: Callable[..., Any] = getattr(module, name)

        def watched(*args: Any, real: Callable[..., Any] = real, **kwargs: Any) -> Any:
            threads.add(threading.get_ident())
            return real(*args, **kwargs)

        monkeypatch.setattr(module, name, watched)
    response = await FileResponse.open(fake_request(), path)
    assert isinstance(response, FileResponse)
    pieces = [piece async for piece in response.content]
    assert sum(map(len, pieces)) == 3 * CHUNK
    assert threading.get_ident() not in threads


@pytest.mark.anyio
async def test_a_read_that_is_cancelled_closes_the_file_when_it_is_over(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.truncate(path, 3 * CHUNK)
    response: Any = await FileResponse.open(fake_request(), path)
    pieces = aiter(response.content)
    await anext(pieces)
    loop = asyncio.get_running_loop()
    reading, go_on, over = asyncio.Event(), threading.Event(), asyncio.Event()
    real_read, real_close = openfile._read_at, os.close

    def slow(fd: int, size: int, position: int) -> bytes:
        loop.call_soon_threadsafe(reading.set)
        go_on.wait(10)
        return real_read(fd, size, position)

    def close(fd: int) -> None:
        real_close(fd)
        loop.call_soon_threadsafe(over.set)

    monkeypatch.setattr(openfile, "_read_at", slow)
    waiting = asyncio.ensure_future(anext(pieces))
    await reading.wait()
    monkeypatch.setattr(os, "close", close)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await response.content.aclose()
    assert not over.is_set()
    go_on.set()
    await over.wait()


@pytest.mark.anyio
@pytest.mark.parametrize(("name", "status"), [("none", 404), ("", 404)])
async def test_what_is_no_file_is_404(path: Path, name: str, status: int) -> None:
    with pytest.raises(HTTPError) as caught:
        await FileResponse.open(fake_request(), path.parent / name)
    assert caught.value.status == status
