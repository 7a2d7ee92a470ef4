"""Whole forms: fields in memory, large files on the disk, and the loop never waits for it."""

from __future__ import annotations

import errno
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import pytest

from framework.errors import HTTPError
from framework.http.multipart import MultipartLimits
from framework.http.multipart_form import open_form
from framework.http.request import Request
from framework.testing import fake_request

pytestmark = pytest.mark.anyio

LARGE = bytes(range(256)) * 2000


def part(name: str, content: bytes, filename: str | None = None) -> bytes:
    file = "" if filename is None else f'; filename="{filename}"'
    head = f'--B\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
    return head.encode() + content + b"\r\n"


def form(*parts: bytes, end: bytes = b"--B--\r\n", cut: int = 10_000) -> Request:
    body = b"".join(parts) + end
    pieces = (body[at : at + cut] for at in range(0, len(body), cut))
    return fake_request("POST", headers={"content-type": "multipart/form-data; boundary=B"}, body=pieces)


def urlencoded(body: Iterable[bytes]) -> Request:
    return fake_request(
        "POST", headers={"content-type": "application/x-www-form-urlencoded; charset=utf-8"}, body=body
    )


@pytest.fixture
def spooled(monkeypatch: pytest.MonkeyPatch) -> list[IO[bytes]]:
    """The temporary files that were made."""
    made: list[IO[bytes]] = []
    real: Any = tempfile.TemporaryFile

    def make(*args: Any, **kwargs: Any) -> IO[bytes]:
        file: IO[bytes] = real(*args, **kwargs)
        made.append(file)
        return file

    monkeypatch.setattr(tempfile, "TemporaryFile", make)
    return made


async def test_fields_and_files(spooled: list[IO[bytes]]) -> None:
    request = form(
        part("a", b"1"), part("f", b"small", "s.txt"), part("a", "é".encode()), part("g", LARGE, "l.bin")
    )
    async with open_form(request) as found:
        assert found.fields.get_all("a") == ["1", "é"]
        assert [(file.name, file.filename, file.size) for file in found.files] == [
            ("f", "s.txt", 5),
            ("g", "l.bin", len(LARGE)),
        ]
        small, large = found.files
        assert found.file("g") is large
        assert found.file("x") is None
        assert await small.read() == b"small"
        assert await large.read() == LARGE
        assert b"".join([piece async for piece in large]) == LARGE
        assert len(spooled) == 1
    assert spooled[0].closed
    with pytest.raises(ValueError, match="closed"):
        await large.read()


async def test_the_threshold_is_exact(spooled: list[IO[bytes]]) -> None:
    async with open_form(form(part("f", b"x" * 100, "f")), spool_above=100):
        assert spooled == []
    async with open_form(form(part("f", b"x" * 101, "f")), spool_above=100) as found:
        assert len(spooled) == 1
        assert await found.files[0].read() == b"x" * 101


async def test_cve_2025_54121_the_rollover_to_disk_does_not_block_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads: dict[str, set[int]] = {}
    real: Any = tempfile.TemporaryFile

    class Watched:
        def __init__(self, **options: Any) -> None:
            self.note("open")
            self._file = real(**options)

        def note(self, name: str) -> None:
            threads.setdefault(name, set()).add(threading.get_ident())

        def __getattr__(self, name: str) -> Any:
            self.note(name)
            return getattr(self._file, name)

    monkeypatch.setattr(tempfile, "TemporaryFile", Watched)
    async with open_form(form(part("f", LARGE, "f"))) as found:
        assert await found.files[0].read() == LARGE
    assert {"open", "write", "read", "close"} <= threads.keys()
    assert all(threading.get_ident() not in idents for idents in threads.values())


@pytest.mark.parametrize("end", [b"", b"--C--\r\n"])
async def test_a_form_that_ends_early_leaves_nothing_open(spooled: list[IO[bytes]], end: bytes) -> None:
    with pytest.raises(HTTPError) as caught:
        async with open_form(form(part("f", LARGE, "f"), end=end)):
            raise AssertionError("there is no whole form")
    assert caught.value.status == 400
    assert [file.closed for file in spooled] == [True]


async def test_a_block_that_fails_leaves_nothing_open(spooled: list[IO[bytes]]) -> None:
    with pytest.raises(LookupError):
        async with open_form(form(part("f", LARGE, "f"))):
            raise LookupError
    assert [file.closed for file in spooled] == [True]


async def test_a_full_disk_is_507(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**options: Any) -> IO[bytes]:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(HTTPError) as caught:
        async with open_form(form(part("f", LARGE, "f"))):
            raise AssertionError("nothing was stored")
    assert caught.value.status == 507


async def test_a_file_is_saved_from_memory_and_from_the_disk(tmp_path: Path) -> None:
    async with open_form(form(part("s", b"small", "s"), part("l", LARGE, "l"))) as found:
        for file in found.files:
            assert await file.save_to(tmp_path / file.name) == file.size
    assert (tmp_path / "s").read_bytes() == b"small"
    assert (tmp_path / "l").read_bytes() == LARGE


async def test_a_file_larger_than_asked_for_is_413() -> None:
    async with open_form(form(part("f", b"x" * 100, "f"))) as found:
        with pytest.raises(HTTPError) as caught:
            await found.files[0].read(99)
    assert caught.value.status == 413


async def test_an_urlencoded_form_is_a_form_without_files() -> None:
    async with open_form(urlencoded([b"a=1&b=", b"%C3%A9&a=2"])) as found:
        assert found.fields.get_all("a") == ["1", "2"]
        assert found.fields["b"] == "é"
        assert found.files == ()


async def test_cve_2026_54283_the_limits_hold_for_urlencoded_forms_too() -> None:
    for body, limits in (
        (b"a=1&" * 5, MultipartLimits(max_parts=4)),
        (b"a=" + b"x" * 101, MultipartLimits(max_field_size=100)),
    ):
        with pytest.raises(HTTPError) as caught:
            async with open_form(urlencoded([body]), limits):
                raise AssertionError("it is past a limit")
        assert caught.value.status in (400, 413)
    with pytest.raises(HTTPError) as caught:
        async with open_form(urlencoded([b"a=" + b"x" * 100]), max_size=50):
            raise AssertionError("it is past the limit")
    assert caught.value.status == 413


async def test_another_media_type_is_415() -> None:
    with pytest.raises(HTTPError) as caught:
        async with open_form(fake_request("POST", headers={"content-type": "text/plain"}, body=[b"x"])):
            raise AssertionError("it is no form")
    assert caught.value.status == 415
