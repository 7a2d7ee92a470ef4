"""Streams to files: whole or not at all, and never on the loop."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from framework.errors import HTTPError
from framework.http.uploads import BATCH, save_body, save_stream
from framework.testing import fake_request

pytestmark = pytest.mark.anyio


async def of(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


@pytest.mark.parametrize("chunks", [[], [b"a", b"", b"bc"], [b"x" * BATCH] * 3 + [b"y"], [b"z" * 1000] * 500])
async def test_saves_what_comes(tmp_path: Path, chunks: list[bytes]) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    assert await save_stream(of(*chunks), path) == sum(map(len, chunks))
    assert path.read_bytes() == b"".join(chunks)
    assert os.listdir(tmp_path) == ["file"]


async def test_nothing_is_seen_until_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    seen: list[bytes] = []

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * BATCH
            seen.append(path.read_bytes())

    await save_stream(chunks(), path)
    assert seen == [b"old"] * 3
    assert path.read_bytes() == b"x" * 3 * BATCH


async def test_a_stream_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    async def chunks() -> AsyncIterator[bytes]:
        yield b"x" * BATCH
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await save_stream(chunks(), path)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


async def test_a_cancelled_upload_leaves_nothing(tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        yield b"x" * BATCH
        begun.set()
        await asyncio.Event().wait()

    saving = asyncio.ensure_future(save_stream(chunks(), tmp_path / "file"))
    await begun.wait()
    saving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await saving
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("held", ["open", "write", "replace"])
async def test_cancelled_while_a_thread_is_at_it(
    tmp_path: Path, held: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the cancellation finds the thread, the part is gone when the wait is over."""
    loop = asyncio.get_running_loop()
    reached, go_on = asyncio.Event(), threading.Event()
    real: Callable[..., Any] = getattr(os, held)

    def holding(*args: Any, **kwargs: Any) -> Any:
        loop.call_soon_threadsafe(reached.set)
        go_on.wait(10)
        return real(*args, **kwargs)

    monkeypatch.setattr(os, held, holding)
    saving = asyncio.ensure_future(save_stream(of(b"x" * BATCH), tmp_path / "file"))
    await reached.wait()
    saving.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await saving
    assert os.listdir(tmp_path) == (["file"] if held == "replace" else [])


async def test_the_loop_waits_for_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: set[int] = set()
    for name in ("open", "write", "fsync", "replace", "close"):
        real: Callable[..., Any] = getattr(os, name)

        def watched(*args: Any, real: Callable[..., Any] = real, **kwargs: Any) -> Any:
            threads.add(threading.get_ident())
            return real(*args, **kwargs)

        monkeypatch.setattr(os, name, watched)
    await save_stream(of(b"x" * BATCH, b"y"), tmp_path / "file", fsync=True)
    assert threads
    assert threading.get_ident() not in threads


async def test_fsync_covers_the_bytes_and_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}")))
    await save_stream(of(b"x"), tmp_path / "file", fsync=True)
    assert len(synced) == 2
    assert synced[0].endswith(".part")
    assert synced[1] == str(tmp_path)


async def test_a_full_disk_is_507(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(HTTPError) as caught:
        await save_stream(of(b"x"), tmp_path / "file")
    assert caught.value.status == 507
    assert os.listdir(tmp_path) == []


async def test_a_missing_directory_is_the_applications_fault(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await save_stream(of(b"x"), tmp_path / "none" / "file")


async def test_the_mode_is_the_callers(tmp_path: Path) -> None:
    await save_stream(of(b"x"), tmp_path / "file", mode=0o600)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600


async def test_saves_the_body_of_a_request(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert await save_body(fake_request("PUT", body=[b"ab", b"c"]), path) == 3
    assert path.read_bytes() == b"abc"
    assert await save_body(fake_request("PUT"), path) == 0


async def test_a_body_past_the_limit_is_413_and_leaves_nothing(tmp_path: Path) -> None:
    for max_body, max_size in ((10, None), (1000, 10)):
        request = fake_request("PUT", body=[b"abcdef"] * 2, max_body=max_body)
        with pytest.raises(HTTPError) as caught:
            await save_body(request, tmp_path / "file", max_size=max_size)
        assert caught.value.status == 413
    assert os.listdir(tmp_path) == []
