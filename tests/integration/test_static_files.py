"""Directories over a real socket: precompressed siblings, links, and the ways to ask for what is not ours."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from framework import App
from framework.http.static import StaticFiles
from framework.testing import TestClient
from tests.support.site import DAY_OLD, SECRET, TEXT, make_site, write

pytestmark = pytest.mark.anyio


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return make_site(tmp_path)


@pytest.fixture
async def client(site: Path) -> AsyncIterator[TestClient]:
    app = App()
    app.get("/static/{path:path}")(StaticFiles(site).serve)
    async with TestClient(app, transport="socket") as client:
        yield client


# -- precompressed -------------------------------------------------------------------------------------------


async def test_precompressed_siblings(client: TestClient, site: Path) -> None:
    write(site / "app.js", b"plain")
    write(site / "app.js.gz", b"by gzip")
    write(site / "app.js.br", b"by brotli")
    tags: set[str] = set()
    for accepted, body, coding in (
        ("gzip, br", b"by brotli", "br"),
        ("gzip", b"by gzip", "gzip"),
        ("br;q=0.5, gzip", b"by gzip", "gzip"),
        ("zstd", b"plain", None),
        ("identity", b"plain", None),
        (None, b"plain", None),
    ):
        answer = await client.get("/static/app.js", headers={"accept-encoding": accepted} if accepted else {})
        assert answer.body == body
        assert answer.headers.get("content-encoding") == coding
        assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
        assert answer.headers["vary"] == "accept-encoding"
        tags.add(answer.headers["etag"])
    assert len(tags) == 3


async def test_a_sibling_older_than_its_file_is_not_sent(client: TestClient, site: Path) -> None:
    write(site / "app.js", b"plain")
    write(site / "app.js.gz", b"by gzip")
    os.utime(site / "app.js.gz", (DAY_OLD - 60, DAY_OLD - 60))
    assert (await client.get("/static/app.js", headers={"accept-encoding": "gzip"})).body == b"plain"


# -- what is nobody's business -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "/static/../secret.txt",
        "/static/%2e%2e/secret.txt",
        "/static/..%2fsecret.txt",
        "/static/docs/..%2f..%2fsecret.txt",
        "/static/..%5csecret.txt",
        "/static/..\\secret.txt",
        "/static/%252e%252e/secret.txt",
        "/static/%252e%252e%252fsecret.txt",
        "/static/../site_secret/secret.txt",
        "/static/secret.txt%00.html",
        "/static/.git/config",
        "/static/.env",
        "/static/%2eenv",
        "/static/docs/../.env",
    ],
)
async def test_no_traversal(client: TestClient, target: str) -> None:
    answer = await client.get(target)
    assert answer.status in (400, 404)
    assert SECRET not in answer.body


@pytest.mark.parametrize(
    "path",
    [
        "//etc/passwd",
        "%2fetc%2fpasswd",
        "/%2Fetc/passwd",
        "C:/Windows/win.ini",
        "c:%5cWindows%5cwin.ini",
        "C:secret",
    ],
)
async def test_cve_2026_48817_no_absolute_path(client: TestClient, path: str) -> None:
    assert (await client.get(f"/static/{path}")).status in (400, 404)


@pytest.mark.parametrize(
    "path", ["//host/share", "%5c%5chost%5cshare", "\\\\host\\share", "%5C%5C%3F%5CC:%5Cx"]
)
async def test_cve_2026_48818_a_unc_path_reaches_no_file_system(
    client: TestClient, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    touched: list[object] = []

    def touch(name: object, *args: object, **kwargs: object) -> int:
        touched.append(name)
        raise FileNotFoundError(2, "not there")

    monkeypatch.setattr(os, "open", touch)
    monkeypatch.setattr(os, "stat", touch)
    monkeypatch.setattr(os.path, "realpath", touch)
    assert (await client.get(f"/static/{path}")).status in (400, 404)
    assert all("\\" not in str(name) and "//" not in str(name) for name in touched)


async def test_hidden_files_by_policy(client: TestClient, site: Path) -> None:
    assert (await client.get("/static/.well-known/security.txt")).body == b"contact"
    app = App()
    app.get("/{path:path}")(StaticFiles(site, hidden=True).serve)
    async with TestClient(app, transport="socket") as open_client:
        assert (await open_client.get("/.env")).body == SECRET


@pytest.mark.parametrize(
    ("policy", "answered"),
    [
        ("never", set()),
        ("inside", {"/near.html", "/near/index.html", "/chain.html"}),
        (
            "follow",
            {"/near.html", "/near/index.html", "/chain.html", "/far.txt", "/far/secret.txt", "/hidden.txt"},
        ),
    ],
)
async def test_symbolic_links_by_policy(site: Path, policy: str, answered: set[str]) -> None:
    (site / "near.html").symlink_to("docs/index.html")
    (site / "near").symlink_to("docs")
    (site / "chain.html").symlink_to(site / "near" / "index.html")
    (site / "far.txt").symlink_to("../secret.txt")
    (site / "far").symlink_to(site.parent / "site_secret")
    (site / "hidden.txt").symlink_to(".env")
    (site / "loop").symlink_to("loop")
    (site / "root").symlink_to(".")
    app = App()
    app.get("/{path:path}")(StaticFiles(site, symlinks=policy).serve)  # type: ignore[arg-type]
    targets = ["/near.html", "/near/index.html", "/chain.html", "/far.txt", "/far/secret.txt", "/hidden.txt"]
    async with TestClient(app, transport="socket") as client:
        found = {target for target in targets if (await client.get(target)).status == 200}
        assert found == answered
        assert (await client.get("/loop")).status == 404
        assert (await client.get("/loop/x")).status == 404
        assert (await client.get("/root")).status == (404 if policy == "never" else 307)


async def test_the_directory_itself_may_be_a_link_that_moves(tmp_path: Path, site: Path) -> None:
    write(tmp_path / "next" / "index.html", b"next release")
    current = tmp_path / "current"
    current.symlink_to(site)
    app = App()
    app.get("/{path:path}")(StaticFiles(current).serve)
    async with TestClient(app, transport="socket") as client:
        assert (await client.get("/")).body == TEXT
        (tmp_path / "swap").symlink_to(tmp_path / "next")
        (tmp_path / "swap").rename(current)
        assert (await client.get("/")).body == b"next release"


async def test_what_is_no_regular_file_is_not_opened_for_good(client: TestClient, site: Path) -> None:
    os.mkfifo(site / "pipe")
    assert (await client.get("/static/pipe")).status == 404
    assert (await client.get("/static/index.html")).status == 200
