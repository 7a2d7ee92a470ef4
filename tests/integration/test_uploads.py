"""Uploads over a real socket, some of them by curl."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from framework import App, HTTPError, Request
from framework.http.multipart import MultipartLimits, read_multipart
from framework.http.multipart_form import open_form
from framework.http.uploads import save_body
from framework.testing import TestClient

pytestmark = pytest.mark.anyio

LARGE = bytes(range(256)) * 8192


@pytest.fixture
def store(tmp_path: Path) -> Path:
    store = tmp_path / "store"
    store.mkdir()
    return store


@pytest.fixture
async def client(store: Path) -> AsyncIterator[TestClient]:
    app = App()

    @app.put("/files/{name}", max_body=4_000_000)
    async def put(request: Request, name: str) -> dict[str, int]:
        return {"size": await save_body(request, store / name, fsync=True)}

    @app.post("/parts", max_body=4_000_000)
    async def parts(request: Request) -> dict[str, str]:
        found: dict[str, str] = {}
        async for part in read_multipart(request, MultipartLimits(max_field_size=100)):
            if part.filename is None:
                found[part.name] = await part.text()
            else:
                digest = hashlib.sha256()
                async for piece in part:
                    digest.update(piece)
                found[part.name] = f"{part.filename} {part.media_type} {part.size} {digest.hexdigest()[:8]}"
        return found

    @app.post("/first", max_body=4_000_000)
    async def first(request: Request) -> str:
        async for part in read_multipart(request):
            return part.name
        raise HTTPError(400)

    @app.post("/form", max_body=4_000_000)
    async def form(request: Request) -> dict[str, object]:
        async with open_form(request) as form:
            return {
                "fields": [list(pair) for pair in form.fields.items()],
                "files": [[file.filename, file.size] for file in form.files],
            }

    async with TestClient(app, transport="socket") as client:
        yield client


async def curl(client: TestClient, path: str, *arguments: str) -> str:
    command = ["curl", "--silent", "--max-time", "20", f"{client.url}{path}", *arguments]
    done = await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True, text=True)
    return done.stdout


async def test_curl_uploads_a_file(client: TestClient, store: Path, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(LARGE)
    for more in ((), ("--header", "transfer-encoding: chunked")):
        answer = await curl(client, "/files/large.bin", "--upload-file", str(tmp_path / "large"), *more)
        assert answer == f'{{"size":{len(LARGE)}}}'
        assert (store / "large.bin").read_bytes() == LARGE
        assert os.listdir(store) == ["large.bin"]


async def test_an_upload_that_breaks_off_leaves_nothing(client: TestClient, store: Path) -> None:
    connection = await client.connect()
    connection.write(
        b"PUT /files/x HTTP/1.1\r\nhost: test\r\ncontent-length: 1000000\r\n\r\n" + b"x" * 300_000
    )
    while not os.listdir(store):
        assert (await client.put("/files/y", content=b"")).status == 200
    connection.close()
    for _ in range(500):
        await client.put("/files/y", content=b"")
        if os.listdir(store) == ["y"]:
            break
    assert os.listdir(store) == ["y"]


async def test_an_upload_past_the_limit_is_413(client: TestClient, store: Path) -> None:
    answer = await client.put("/files/x", content=b"x", headers={"content-length": "5000000"})
    assert answer.status == 413
    assert os.listdir(store) == []


async def test_curl_sends_a_form(client: TestClient, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(LARGE)
    expected = f"naïve.bin application/x-large {len(LARGE)} {hashlib.sha256(LARGE).hexdigest()[:8]}"
    form = [
        "--form", "title=Grüße",
        "--form", f"file=@{tmp_path / 'large'};type=application/x-large;filename=naïve.bin",
    ]  # fmt: skip
    for more in ((), ("--header", "transfer-encoding: chunked")):
        answer = await curl(client, "/parts", *form, *more)
        assert answer == f'{{"title":"Grüße","file":"{expected}"}}'
    answer = await curl(client, "/form", *form)
    assert answer == f'{{"fields":[["title","Grüße"]],"files":[["naïve.bin",{len(LARGE)}]]}}'
    assert await curl(client, "/form", "--data-urlencode", "a=1 2") == '{"fields":[["a","1 2"]],"files":[]}'


async def test_the_connection_serves_on_after_a_form(client: TestClient) -> None:
    body = b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--B--\r\n'
    headers = {"content-type": "multipart/form-data; boundary=B"}
    for path, answer in (("/parts", b'{"a":"1"}'), ("/first", b"a"), ("/parts", b'{"a":"1"}')):
        answered = await client.post(path, content=body, headers=headers)
        assert answered.body == answer
        assert client.opened == 1
    answered = await client.post("/parts", content=body[:-6], headers=headers)
    assert answered.status == 400
    assert answered.json()["detail"].startswith("malformed form")
    answered = await client.post("/parts", content=body.replace(b"1", b"1" * 101), headers=headers)
    assert answered.status == 413
