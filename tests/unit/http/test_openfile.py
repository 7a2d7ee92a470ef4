"""Open files: what they notice, and that none is left open."""

from __future__ import annotations

import errno
import os
import threading
from collections import deque
from pathlib import Path

import pytest

from framework.errors import HTTPError
from framework.http import openfile
from framework.http.openfile import FileChanged, OpenFile, open_file, refusal
from framework.http.ranges import ByteRange

CONTENT = bytes(range(256)) * 4


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def descriptor_of(file: OpenFile) -> int:
    return file._descriptor


@pytest.mark.parametrize("limit", [1, 7, 100, 10_000])
def test_reads_pieces_in_order_and_in_portions(path: Path, limit: int) -> None:
    file = open_file(path)
    pieces: deque[bytes | ByteRange] = deque([b"<<", ByteRange(10, 200), b"--", ByteRange(0, 3), b">>"])
    read: list[bytes] = []
    while pieces:
        read.append(file.read(pieces, limit))
    assert b"".join(read) == b"<<" + CONTENT[10:200] + b"--" + CONTENT[:3] + b">>"
    assert all(len(piece) <= max(limit, 2) + 1 for piece in read)
    file.close()


def test_the_way_of_platforms_without_pread(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openfile, "_read_at", openfile._seek_and_read)
    file = open_file(path)
    assert file.read(deque([ByteRange(500, 600), ByteRange(0, 3)])) == CONTENT[500:600] + CONTENT[:3]
    file.close()


def test_a_file_that_is_written_to_is_noticed(path: Path) -> None:
    file = open_file(path)
    pieces: deque[bytes | ByteRange] = deque([ByteRange(0, 1024)])
    file.read(pieces, 100)
    with path.open("r+b") as other:
        other.write(b"x")
    with pytest.raises(FileChanged):
        file.read(pieces, 100)
    file.close()


@pytest.mark.parametrize("size", [0, 50, 2000])
def test_a_file_that_gets_another_size_is_noticed_even_with_its_old_date(path: Path, size: int) -> None:
    file = open_file(path)
    os.truncate(path, size)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    with pytest.raises(FileChanged):
        file.read(deque([ByteRange(0, 100)]))
    file.close()


def test_a_file_that_is_only_renamed_or_unlinked_is_the_same(path: Path) -> None:
    file = open_file(path)
    path.chmod(0o600)
    path.rename(path.with_name("other"))
    path.with_name("other").unlink()
    assert file.read(deque([ByteRange(0, 1024)])) == CONTENT
    file.close()


def test_closing_twice_and_reading_afterwards(path: Path) -> None:
    file = open_file(path)
    descriptor = descriptor_of(file)
    file.close()
    assert not is_open(descriptor)
    file.close()
    with pytest.raises(ValueError, match="closed"):
        file.read(deque([ByteRange(0, 1)]))


def test_closing_during_a_read_closes_after_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = open_file(path)
    descriptor = descriptor_of(file)
    reading, go_on = threading.Event(), threading.Event()
    real = openfile._read_at

    def slow(fd: int, size: int, position: int) -> bytes:
        reading.set()
        go_on.wait(10)
        return real(fd, size, position)

    monkeypatch.setattr(openfile, "_read_at", slow)
    read: list[bytes] = []
    thread = threading.Thread(target=lambda: read.append(file.read(deque([ByteRange(0, 1024)]))))
    thread.start()
    reading.wait(10)
    file.close()
    assert is_open(descriptor)
    go_on.set()
    thread.join(10)
    assert read == [CONTENT]
    assert not is_open(descriptor)


def test_a_file_nobody_holds_is_closed(path: Path) -> None:
    file = open_file(path)
    descriptor = descriptor_of(file)
    del file
    assert not is_open(descriptor)


@pytest.mark.parametrize(
    "name", ["none", "file/below", "directory", "pipe", "loop", "a" * 300, "nul\0", "\ud800"]
)
def test_what_is_no_file_is_404(path: Path, name: str) -> None:
    (path.parent / "directory").mkdir()
    (path.parent / "loop").symlink_to("loop")
    os.mkfifo(path.parent / "pipe")
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(HTTPError) as caught:
        open_file(os.path.join(path.parent, name))
    assert caught.value.status == 404
    assert len(os.listdir("/proc/self/fd")) == before


def test_links_are_followed_only_if_wanted(path: Path) -> None:
    link = path.with_name("link")
    link.symlink_to(path)
    open_file(link).close()
    with pytest.raises(HTTPError):
        open_file(link, follow=False)


def test_what_the_file_system_says() -> None:
    denied = refusal(PermissionError(errno.EACCES, "denied"))
    assert isinstance(denied, HTTPError)
    assert denied.status == 403
    broken = OSError(errno.EIO, "broken disk")
    assert refusal(broken) is broken
