"""Files over a real socket: whole, in parts, revalidated, and changed in mid-transfer."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from framework import App, Request, Response
from framework.errors import PeerClosed
from framework.http.files import FileResponse
from framework.http.openfile import CHUNK
from framework.http.static import StaticFiles
from framework.testing import Answer, Incoming, TestClient
from tests.support.site import DATE, LARGE, TEXT, make_site, write

pytestmark = pytest.mark.anyio


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory as it will be when its files are no longer new."""
    monkeypatch.setattr("framework.http.files._SETTLING_NS", 0)
    return make_site(tmp_path)


@pytest.fixture
async def client(site: Path) -> AsyncIterator[TestClient]:
    app = App()
    app.get("/static/{path:path}")(StaticFiles(site, cache_control="max-age=60").serve)

    @app.get("/download")
    async def download(request: Request) -> Response:
        return await FileResponse.open(request, site / "large.bin", filename="Größe.bin")

    async with TestClient(app, transport="socket") as client:
        yield client


# -- whole files ---------------------------------------------------------------------------------------------


async def test_a_small_file(client: TestClient) -> None:
    answer = await client.get("/static/index.html")
    assert answer.status == 200
    assert answer.body == TEXT
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-length"] == str(len(TEXT))
    assert answer.headers["last-modified"] == DATE
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["cache-control"] == "max-age=60"
    assert answer.headers["etag"].startswith('"')


async def test_a_large_file_and_an_empty_one(client: TestClient) -> None:
    answer = await client.get("/static/large.bin")
    assert answer.body == LARGE
    assert answer.headers["content-length"] == str(len(LARGE))
    assert answer.headers["content-type"] == "application/octet-stream"
    answer = await client.get("/static/empty.txt")
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "0")


@pytest.mark.parametrize("name", ["index.html", "large.bin", "empty.txt"])
async def test_head_has_the_fields_of_get(client: TestClient, name: str) -> None:
    get = await client.get(f"/static/{name}")
    head = await client.head(f"/static/{name}", headers={"range": "bytes=0-1"})
    assert (head.status, head.body) == (200, b"")
    assert without_date(head) == without_date(get)


def without_date(answer: Answer) -> list[tuple[str, str]]:
    return sorted(pair for pair in answer.headers.items() if pair[0] != "date")


async def test_a_download_has_a_name(client: TestClient) -> None:
    answer = await client.get("/download")
    assert answer.body == LARGE
    assert (
        answer.headers["content-disposition"]
        == "attachment; filename=\"Gr__e.bin\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe.bin"
    )


async def test_what_is_not_there_is_404(client: TestClient) -> None:
    for target in (
        "/static/none.txt",
        "/static/none/none.txt",
        "/static/index.html/",
        "/static/index.html/x",
        "/static/bare/",
        "/static/bare",
    ):
        assert (await client.get(target)).status == 404, target


async def test_names_with_escapes(client: TestClient) -> None:
    assert (await client.get("/static/docs/a%20b%25%C3%A9.txt")).body == b"odd name"


async def test_a_directory_is_answered_by_its_index(client: TestClient) -> None:
    assert (await client.get("/static/")).body == TEXT
    assert (await client.get("/static/docs/")).body == b"docs"
    answer = await client.get("/static/docs?page=2")
    assert answer.status == 307
    assert answer.headers["location"] == "/static/docs/?page=2"


async def test_the_redirect_to_a_directory_stays_on_this_host(site: Path) -> None:
    write(site / "host.example" / "index.html", b"")
    write(site / "@evil" / "index.html", b"")
    app = App()
    app.get("/{path:path}")(StaticFiles(site).serve)
    async with TestClient(app, transport="socket") as client:
        answer = await client.get("//host.example")
        assert answer.headers["location"] == "/host.example/"
        answer = await client.get("/@evil")
        assert answer.headers["location"] == "/@evil/"


# -- ranges --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-", 100, len(LARGE)),
        ("bytes=-100", len(LARGE) - 100, len(LARGE)),
        (f"bytes=5-{2 * CHUNK}", 5, 2 * CHUNK + 1),
        ("bytes=0-9,5-20", 0, 21),
        (f"bytes=-{10 * len(LARGE)}", 0, len(LARGE)),
    ],
)
async def test_a_part_of_a_file(client: TestClient, field: str, start: int, stop: int) -> None:
    answer = await client.get("/static/large.bin", headers={"range": field})
    assert answer.status == 206
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(LARGE)}"
    assert answer.headers["content-length"] == str(stop - start)
    assert answer.body == LARGE[start:stop]


@pytest.mark.parametrize("last", [20_099, len(LARGE) - 50])
async def test_several_parts(client: TestClient, last: int) -> None:
    answer = await client.get("/static/large.bin", headers={"range": f"bytes=20000-{last},0-9"})
    assert answer.status == 206
    assert "content-range" not in answer.headers
    media_type, _, boundary = answer.headers["content-type"].partition("; boundary=")
    assert media_type == "multipart/byteranges"
    parts = answer.body.split(f"\r\n--{boundary}".encode())
    heads, bodies = zip(*(part.split(b"\r\n\r\n", 1) for part in parts[1:-1]), strict=True)
    assert parts[0] == b""
    assert parts[-1] == b"--\r\n"
    assert list(bodies) == [LARGE[20000 : last + 1], LARGE[0:10]]
    assert heads[1] == (
        f"\r\ncontent-type: application/octet-stream\r\ncontent-range: bytes 0-9/{len(LARGE)}".encode()
    )
    assert answer.headers["content-length"] == str(len(answer.body))


async def test_a_range_beyond_the_end(client: TestClient) -> None:
    answer = await client.get("/static/index.html", headers={"range": "bytes=1000-"})
    assert answer.status == 416
    assert answer.headers["content-range"] == f"bytes */{len(TEXT)}"


async def test_a_malformed_range_is_ignored(client: TestClient) -> None:
    answer = await client.get("/static/index.html", headers={"range": "bytes=9-1"})
    assert (answer.status, answer.body) == (200, TEXT)


async def test_cve_2025_62727_a_thousand_ranges_cost_nothing(client: TestClient) -> None:
    many = ",".join(f"{at}-{at}" for at in range(0, 3000, 3))
    assert (await client.get("/static/large.bin", headers={"range": f"bytes={many}"})).status == 416
    assert (await client.get("/static/index.html")).status == 200


async def test_if_range(client: TestClient) -> None:
    etag = (await client.get("/static/index.html")).headers["etag"]
    for value, status in ((etag, 206), (DATE, 206), ('"other"', 200), ("Tue, 14 Nov 2023 22:13:21 GMT", 200)):
        answer = await client.get("/static/index.html", headers={"range": "bytes=0-1", "if-range": value})
        assert answer.status == status, value


# -- preconditions -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["index.html", "large.bin"])
async def test_revalidation(client: TestClient, name: str) -> None:
    fresh = await client.get(f"/static/{name}")
    for fields in (
        {"if-none-match": fresh.headers["etag"]},
        {"if-none-match": f'"other", W/{fresh.headers["etag"]}'},
        {"if-modified-since": DATE},
    ):
        answer = await client.get(f"/static/{name}", headers=fields)
        assert answer.status == 304
        assert answer.headers["etag"] == fresh.headers["etag"]
        assert answer.headers["cache-control"] == "max-age=60"
        assert answer.headers["vary"] == "accept-encoding"
        assert "content-type" not in answer.headers
        assert "content-length" not in answer.headers
    for fields in ({"if-match": '"other"'}, {"if-unmodified-since": "Tue, 14 Nov 2023 22:13:19 GMT"}):
        assert (await client.get(f"/static/{name}", headers=fields)).status == 412
    assert (await client.get(f"/static/{name}", headers={"if-match": fresh.headers["etag"]})).status == 200


async def test_the_tag_changes_with_the_file_even_where_its_date_is_set_back(
    client: TestClient, site: Path
) -> None:
    before = (await client.get("/static/index.html")).headers["etag"]
    (site / "index.html").unlink()
    write(site / "index.html", TEXT.replace(b"hello", b"salut"))
    after = await client.get("/static/index.html", headers={"if-none-match": before})
    assert after.status == 200
    assert after.headers["etag"] != before


async def test_the_tag_of_a_file_that_may_still_change_unnoticed_is_weak(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("framework.http.files._SETTLING_NS", 10**18)
    app = App()
    app.get("/{path:path}")(StaticFiles(site).serve)
    async with TestClient(app, transport="socket") as client:
        etag = (await client.get("/index.html")).headers["etag"]
        assert etag.startswith('W/"')
        assert (await client.get("/index.html", headers={"if-none-match": etag})).status == 304
        assert (
            await client.get("/index.html", headers={"if-range": etag, "range": "bytes=0-1"})
        ).status == 200


# -- changes in mid-transfer ---------------------------------------------------------------------------------


@pytest.fixture
def huge(site: Path) -> Path:
    """More than socket buffers take, so that the server is still reading it while the client waits."""
    path = site / "huge.bin"
    with path.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    return path


async def begin(client: TestClient) -> tuple[Incoming, bytes]:
    """A response that has begun, and the first of its body; the rest waits."""
    connection = await client.connect()
    connection.write(b"GET /static/huge.bin HTTP/1.1\r\nhost: test\r\n\r\n")
    incoming = await connection.response()
    assert incoming.status == 200
    return incoming, await anext(incoming)


async def is_cut(incoming: Incoming, first: bytes) -> bool:
    """Whether it ended before its whole length, as it must once the file is another."""
    received = len(first)
    try:
        async for piece in incoming:
            received += len(piece)
    except PeerClosed:
        return received < 64 * 1024 * 1024
    return False


async def test_a_file_rewritten_in_place_is_never_a_torn_200(client: TestClient, huge: Path) -> None:
    begun = await begin(client)
    with huge.open("r+b") as file:
        file.write(b"new content")
    assert await is_cut(*begun)


async def test_a_file_cut_short_is_never_a_torn_200(client: TestClient, huge: Path) -> None:
    begun = await begin(client)
    os.truncate(huge, 1_000_000)
    assert await is_cut(*begun)


async def test_a_file_replaced_by_another_is_sent_to_its_end(
    client: TestClient, huge: Path, site: Path
) -> None:
    incoming, first = await begin(client)
    write(site / "new.bin", b"new content")
    (site / "new.bin").rename(huge)
    assert first + b"".join([piece async for piece in incoming]) == bytes(64 * 1024 * 1024)


async def test_a_client_that_goes_away_leaves_no_file_open(client: TestClient, huge: Path) -> None:
    def open_files() -> int:
        return sum(
            os.path.exists(f"/proc/self/fd/{fd}") and os.readlink(f"/proc/self/fd/{fd}") == str(huge)
            for fd in os.listdir("/proc/self/fd")
        )

    async with client.stream("GET", "/static/huge.bin") as incoming:
        assert await anext(incoming)
        assert open_files() == 1
    for _ in range(200):
        if (await client.get("/static/index.html")).status == 200 and not open_files():
            break
    assert open_files() == 0
