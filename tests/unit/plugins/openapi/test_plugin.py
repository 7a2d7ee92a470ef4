"""The plugin over a socket: what is served where, cached how, and what stops the start."""

from __future__ import annotations

import re
from typing import Any

import pytest
from msgspec import Struct

from framework import App
from framework.errors import SetupError
from framework.plugins.openapi import OpenAPI
from framework.testing import TestClient

pytestmark = pytest.mark.anyio


class Thing(Struct):
    x: int


def make(**about: Any) -> App:
    app = App()

    @app.get("/things")
    async def things() -> list[Thing]:
        return [Thing(1)]

    app.install(OpenAPI("Things", "3", **about))
    return app


async def test_the_document_is_served_with_an_etag() -> None:
    async with TestClient(make()) as client:
        answer = await client.get("/openapi.json")
        assert answer.status == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["cache-control"] == "no-cache"
        assert list(answer.json()["paths"]) == ["/things"]
        again = await client.get("/openapi.json", headers={"if-none-match": answer.headers["etag"]})
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", answer.headers["etag"])
        other = await client.get("/openapi.json", headers={"if-none-match": '"other"'})
        assert other.status == 200
        head = await client.head("/openapi.json")
        assert (head.status, head.headers["etag"]) == (200, answer.headers["etag"])


async def test_the_same_app_has_the_same_etag() -> None:
    async with (
        TestClient(make()) as one,
        TestClient(make()) as two,
        TestClient(make(description="x")) as three,
    ):
        tags = [(await each.get("/openapi.json")).headers["etag"] for each in (one, two, three)]
    assert tags[0] == tags[1] != tags[2]


async def test_the_page_and_all_that_it_links() -> None:
    async with TestClient(make()) as client:
        page = await client.get("/docs")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert page.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; ")
        assert page.headers["cache-control"] == "no-cache"
        assert "<title>Things</title>" in page.text
        links = re.findall(r'(?:href|src)="(docs/[^"]*)"', page.text)
        assert len(links) >= 4
        for link in links:
            asset = await client.get(f"/{link}")
            assert asset.status == 200
            assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert asset.headers["x-content-type-options"] == "nosniff"
            expected = {
                "js": "text/javascript; charset=utf-8",
                "css": "text/css; charset=utf-8",
                "svg": "image/svg+xml",
            }
            assert asset.headers["content-type"] == expected[link.rpartition(".")[2]]
            assert (
                await client.get(f"/{link}", headers={"if-none-match": asset.headers["etag"]})
            ).status == 304
        assert (await client.get("/docs/assets/0000000000000000/main.js")).status == 404


async def test_below_a_prefix_everything_still_fits() -> None:
    outer = App()
    outer.mount("/api", make())
    async with TestClient(outer) as client:
        assert list((await client.get("/api/openapi.json")).json()["paths"]) == ["/api/things"]
        page = await client.get("/api/docs")
        script = re.search(r'src="([^"]*)"', page.text)
        assert script is not None
        assert (await client.get(f"/api/{script[1]}")).status == 200
        assert (await client.get("/openapi.json")).status == 404


async def test_other_places() -> None:
    runtime = make().build(environ={}, overrides={"openapi.path": "/spec.json", "openapi.docs_path": "/"})
    async with TestClient(runtime) as client:
        assert (await client.get("/spec.json")).status == 200
        page = await client.get("/")
        assert 'data-document="spec.json"' in page.text
        script = re.search(r'src="([^"]*)"', page.text)
        assert script is not None
        assert (await client.get(f"/{script[1]}")).status == 200
        assert (await client.get("/docs")).status == 404


async def test_no_page_and_nothing_at_all() -> None:
    async with TestClient(make().build(environ={}, overrides={"openapi.docs_path": ""})) as client:
        assert (await client.get("/openapi.json")).status == 200
        assert (await client.get("/docs")).status == 404
    async with TestClient(make().build(environ={"FRAMEWORK_OPENAPI__ENABLED": "false"})) as client:
        assert (await client.get("/openapi.json")).status == 404
        assert (await client.get("/things")).status == 200


async def test_one_app_built_twice_describes_itself_twice() -> None:
    app = make()
    async with TestClient(app) as client:
        first = await client.get("/openapi.json")
    async with TestClient(app) as client:
        second = await client.get("/openapi.json")
    assert first.body == second.body


async def test_what_cannot_be_described_stops_the_build() -> None:
    app = make()
    app.get("/more", security=["nobody"])(lambda: None)
    with pytest.raises(SetupError, match="OpenAPI: GET /more: security names 'nobody'"):
        app.build(environ={})
    assert app.build(environ={"FRAMEWORK_OPENAPI__ENABLED": "false"}).routes
