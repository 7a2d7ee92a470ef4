"""Which names are served, and how a directory is set up."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from framework.errors import HTTPError, SetupError
from framework.http.static import StaticFiles, is_served_name
from framework.testing import fake_request

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "name", ["a", "a.b", "a b", "é", "12:30.txt", "...", "..a", "a..", "%2F", "~", "-", "con", "nul.txt"]
)
def test_names_of_files(name: str) -> None:
    assert is_served_name(name, hidden=True, windows=False)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "/", "a\\b", "\\\\host", "nul\0", "a\n", "\x7f", "C:", "c:x", "C:\\x"]
)
@pytest.mark.parametrize("windows", [False, True])
def test_what_is_more_than_a_name_is_refused_everywhere(name: str, windows: bool) -> None:
    assert not is_served_name(name, hidden=True, windows=windows)


@pytest.mark.parametrize(
    "name",
    [
        "12:30.txt",
        "a:$DATA",
        "a.",
        "a ",
        "con",
        "NUL.txt",
        "Aux",
        "com1",
        "COM\xb9.x",
        "lpt9",
        "a*",
        "a?",
        "a|b",
        "<a>",
        '"',
        "conin$",
    ],
)
def test_cve_2026_48818_windows_has_names_of_its_own(name: str) -> None:
    assert not is_served_name(name, hidden=True, windows=True)


@pytest.mark.parametrize("name", ["console", "com", "com10", "null", "auxiliary.txt"])
def test_what_only_looks_like_a_device(name: str) -> None:
    assert is_served_name(name, hidden=True, windows=True)


def test_hidden_names() -> None:
    assert not is_served_name(".env", hidden=False, windows=False)
    assert is_served_name(".env", hidden=True, windows=False)
    assert is_served_name(".well-known", hidden=False, windows=False)


def test_a_directory_that_is_not_there_stops_the_setup(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("none", "file"):
        with pytest.raises(SetupError, match=name):
            StaticFiles(tmp_path / name)


def test_a_platform_that_cannot_walk_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "supports_dir_fd", set())
    for policy in ("never", "inside"):
        with pytest.raises(SetupError, match=policy):
            StaticFiles(tmp_path, symlinks=policy)
    StaticFiles(tmp_path, symlinks="follow")


async def test_a_relative_directory_is_the_one_of_the_setup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_bytes(b"here")
    monkeypatch.chdir(tmp_path.parent)
    static = StaticFiles(tmp_path.name)
    monkeypatch.chdir("/")
    assert (await static.serve(fake_request(target="/a.txt"), "a.txt")).body == b"here"


async def test_no_index(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_bytes(b"index")
    static = StaticFiles(tmp_path, index=None)
    for target, path in (("/", ""), ("/x/", "x/")):
        with pytest.raises(HTTPError) as caught:
            await static.serve(fake_request(target=target), path)
        assert caught.value.status == 404
    assert (await static.serve(fake_request(target="/index.html"), "index.html")).body == b"index"


async def test_an_encoded_slash_is_no_separator_for_a_converter_that_decodes_it(tmp_path: Path) -> None:
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "a.txt").write_bytes(b"private")
    with pytest.raises(HTTPError) as caught:
        await StaticFiles(tmp_path).serve(fake_request(target="/private%2Fa.txt"), "private/a.txt")
    assert caught.value.status == 404


async def test_cache_control_by_path_and_types_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "app.1a2b.sky").write_bytes(b"")
    (tmp_path / "index.html").write_bytes(b"")
    static = StaticFiles(
        tmp_path,
        cache_control=lambda path: "max-age=31536000, immutable" if path.startswith("assets/") else None,
        media_types={"sky": "image/x-sky"},
        precompressed=False,
        fingerprint=lambda stat: f"{stat.st_size}",
    )
    asset = await static.serve(fake_request(target="/assets/app.1a2b.sky"), "assets/app.1a2b.sky")
    assert asset.headers["cache-control"] == "max-age=31536000, immutable"
    assert asset.media_type == "image/x-sky"
    assert asset.headers["etag"] == 'W/"0"'
    assert "vary" not in asset.headers
    page = await static.serve(fake_request(target="/"), "")
    assert "cache-control" not in page.headers
    assert page.media_type == "text/html; charset=utf-8"


async def test_a_directory_is_no_file_for_a_sibling_to_stand_in_for(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs.gz").write_bytes(b"not the docs")
    with pytest.raises(HTTPError) as caught:
        await StaticFiles(tmp_path).serve(
            fake_request(target="/docs", headers={"accept-encoding": "gzip"}), "docs"
        )
    assert caught.value.status == 404


async def test_what_may_not_be_read_is_403(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.txt").write_bytes(b"")
    static = StaticFiles(tmp_path)
    real = os.open

    def denied(name: str, *args: Any, **kwargs: Any) -> int:
        if name.endswith("a.txt"):
            raise PermissionError(13, "Permission denied")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(HTTPError) as caught:
        await static.serve(fake_request(target="/a.txt"), "a.txt")
    assert caught.value.status == 403
