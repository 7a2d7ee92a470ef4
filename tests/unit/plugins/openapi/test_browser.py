"""The page in Chromium: read, searched, and used to send requests, without a complaint of its policy."""

from __future__ import annotations

import json
import os
from base64 import b64encode
from pathlib import Path
from typing import Annotated, Any

import pytest
from msgspec import Meta, Struct
from playwright.async_api import expect

from framework import App, Form, Header, Query, Request, Response
from framework.http.multipart_form import UploadedFile
from framework.plugins.openapi import OpenAPI
from framework.testing import TestClient
from tests.support.browser import Visit, browsing, needs_chromium

pytestmark = [pytest.mark.anyio, needs_chromium]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # Playwright's own transport is not what is tested here


PICTURE = b'<svg xmlns="http://www.w3.org/2000/svg"/>'


class Node(Struct):
    """A node of a *tree*."""

    name: Annotated[str, Meta(min_length=2, examples=["oak"])]
    children: list[Node] = []


class Search(Struct):
    words: str
    tags: list[str] = []


class Token:
    openapi_security = {"bearer": {"type": "http", "scheme": "bearer"}}
    openapi_responses = {401: "No token"}


def token(request: Request) -> Token:
    return Token()


def make() -> App:
    app = App()
    app.provide(token)
    trees = app.group("/trees")

    @trees.post("/{rest:path}", status=201)
    async def plant(
        rest: str, node: Node, deep: bool = False, mark: Annotated[str, Header("x-mark")] = ""
    ) -> dict[str, Any]:
        """Plants a tree. It grows ``slowly``: see <script>alert(1)</script>."""
        return {"rest": rest, "name": node.name, "deep": deep, "mark": mark}

    @trees.put("/search")
    async def search(search: Annotated[Search, Form]) -> Search:
        """Finds trees."""
        return search

    @app.get("/me")
    async def me(user: Token, request: Request, tag: Annotated[list[str], Query] = []) -> dict[str, Any]:  # noqa: B006
        """Who I am."""
        return {"authorization": request.field("authorization"), "tags": tag}

    @app.get("/picture")
    async def picture() -> Response:
        return Response(PICTURE, media_type="image/svg+xml")

    app.install(OpenAPI("Trees & more", "1.2", description="Everything about **trees**."))
    return app


async def open_page(visit: Visit, client: TestClient, name: str = "") -> None:
    await visit.page.goto(f"{client.url}/docs{name and f'#op-{name}'}")
    await expect(visit.page.locator("main h1")).to_contain_text("Trees & more")


async def shoot(visit: Visit, name: str) -> None:
    """A picture to look at, where DOCS_PAGE_SHOTS names a folder for it."""
    if folder := os.environ.get("DOCS_PAGE_SHOTS"):
        await visit.page.screenshot(path=Path(folder) / f"{name}.png")


async def test_a_json_body_is_sent_and_its_answer_shown() -> None:
    async with TestClient(make(), transport="socket") as client, browsing() as visit:
        await open_page(visit, client, "plant")
        card = visit.page.locator("#op-plant")
        await expect(card.locator("textarea.body")).to_have_value('{\n  "name": "oak",\n  "children": []\n}')
        await expect(card.locator(".inside > p").first).to_contain_text(
            "slowly: see <script>alert(1)</script>."
        )
        await card.get_by_label("rest").fill("a b/ü")
        await card.get_by_label("deep").select_option("true")
        await card.get_by_label("x-mark").fill("it's")
        await card.get_by_role("button", name="Send").click()
        result = card.locator(".result")
        await expect(result.locator(".status")).to_have_text("201 Created")
        await expect(result.locator(".answer")).to_contain_text("ms · ")
        await expect(result.locator("pre")).to_contain_text('"rest": "a b/ü"')
        await expect(result.locator("pre")).to_contain_text('"mark": "it\'s"')
        await expect(result.locator("pre")).to_contain_text('"deep": true')
        await result.get_by_text("Headers (").click()
        await expect(result.locator("table")).to_contain_text("application/json")
        await shoot(visit, "answer")
        assert visit.complaints == []
        assert visit.hosts == {client.url.removeprefix("http://")}


async def test_a_refusal_is_shown_as_it_is() -> None:
    async with TestClient(make(), transport="socket") as client, browsing() as visit:
        await open_page(visit, client, "plant")
        card = visit.page.locator("#op-plant")
        await card.get_by_label("rest").fill("x")
        await card.locator("textarea.body").fill('{"name": 7}')
        await card.locator("textarea.body").press("Control+Enter")
        await expect(card.locator(".result .status")).to_have_text("422 Unprocessable Content")
        await expect(card.locator(".result pre")).to_contain_text('"pointer": "/name"')


async def test_a_form_is_sent_field_by_field() -> None:
    async with TestClient(make(), transport="socket") as client, browsing() as visit:
        await open_page(visit, client, "search")
        card = visit.page.locator("#op-search")
        await card.get_by_label("words").fill("old & tall")
        await card.get_by_label("tags").fill("a\nb")
        await card.get_by_role("button", name="Send").click()
        await expect(card.locator(".result .status")).to_have_text("200 OK")
        text = await card.locator(".result pre").inner_text()
        assert '"words": "old & tall"' in text
        assert '"a",\n    "b"' in text


async def test_a_file_is_sent_beside_the_fields_of_a_form() -> None:
    app = make()

    @app.post("/pictures")
    async def keep(
        search: Annotated[Search, Form], picture: UploadedFile, more: list[UploadedFile] | None = None
    ) -> dict[str, object]:
        """Keep a picture."""
        return {
            "words": search.words,
            "name": picture.filename,
            "size": picture.size,
            "more": len(more or []),
        }

    async with TestClient(app, transport="socket") as client, browsing() as visit:
        await open_page(visit, client, "keep")
        card = visit.page.locator("#op-keep")
        await card.get_by_label("words").fill("old oak")
        await card.locator("input[name=picture]").set_input_files(
            {"name": "oak.png", "mimeType": "image/png", "buffer": b"12345"}
        )
        await card.get_by_role("button", name="Send").click()
        result = card.locator(".result")
        await expect(result.locator(".status")).to_have_text("200 OK")
        body = json.loads(await result.locator("pre").inner_text())
        assert body == {"words": "old oak", "name": "oak.png", "size": 5, "more": 0}
        assert visit.complaints == []


async def test_credentials_go_where_they_are_needed() -> None:
    async with TestClient(make(), transport="socket") as client, browsing() as visit:
        await open_page(visit, client, "me")
        await visit.page.get_by_text("Credentials", exact=True).click()
        await visit.page.get_by_label("bearer").fill("s3cret")
        card = visit.page.locator("#op-me")
        await card.get_by_label("tag").fill("x\ny")
        await card.get_by_role("button", name="Send").click()
        await expect(card.locator(".result pre")).to_contain_text('"authorization": "Bearer s3cret"')
        await expect(card.locator(".result pre")).to_contain_text('"y"')


async def test_an_image_is_shown() -> None:
    async with TestClient(make(), transport="socket") as client, browsing() as visit:
        await open_page(visit, client, "picture")
        card = visit.page.locator("#op-picture")
        await card.get_by_role("button", name="Send").click()
        source = await card.locator(".result img").get_attribute("src")
        assert source == f"data:image/svg+xml;base64,{b64encode(PICTURE).decode()}"
        assert visit.complaints == []


async def test_a_server_that_is_gone_is_told() -> None:
    async with browsing() as visit:
        async with TestClient(make(), transport="socket") as client:
            await open_page(visit, client, "picture")
        await visit.page.locator("#op-picture").get_by_role("button", name="Send").click()
        await expect(visit.page.locator("#op-picture .failed")).to_contain_text("No response")


async def test_the_curl_line_can_be_copied() -> None:
    async with (
        TestClient(make(), transport="socket") as client,
        browsing(permissions=["clipboard-read", "clipboard-write"]) as visit,
    ):
        await open_page(visit, client, "plant")
        card = visit.page.locator("#op-plant")
        await card.get_by_label("rest").fill("x")
        await card.locator("textarea.body").fill('{"name": "it\'s"}')
        await card.get_by_role("button", name="Copy as curl").click()
        await expect(card.get_by_role("button", name="Copied")).to_be_visible()
        assert await visit.page.evaluate("navigator.clipboard.readText()") == (
            f"curl -i -X POST '{client.url}/trees/x' \\\n"
            "  -H 'content-type: application/json' \\\n"
            "  --data-raw '{\"name\": \"it'\\''s\"}'"
        )


async def test_search_and_keyboard() -> None:
    async with TestClient(make(), transport="socket") as client, browsing() as visit:
        await open_page(visit, client)
        page = visit.page
        await page.keyboard.press("/")
        await page.keyboard.type("finds")
        await expect(page.locator("nav a:visible")).to_have_count(1)
        await expect(page.locator(".operation:visible")).to_have_count(1)
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("Enter")
        await expect(page.locator("#op-search")).to_have_attribute("open", "")
        await expect(page.locator("nav a[aria-current=true]")).to_contain_text("/trees/search")
        await page.locator("aside input").fill("no such thing")
        await expect(page.get_by_text("Nothing found.")).to_be_visible()
        await page.locator("aside input").press("Escape")
        await expect(page.locator(".operation:visible")).to_have_count(4)


async def test_schemas_that_contain_themselves_open_level_by_level() -> None:
    async with TestClient(make(), transport="socket") as client, browsing() as visit:
        await open_page(visit, client, "plant")
        tree = visit.page.locator("#op-plant form .schema")
        await expect(tree.locator("li")).to_have_count(2)
        await tree.locator("summary").first.click()
        await expect(tree.locator("li")).to_have_count(4)


@pytest.mark.parametrize(("scheme", "paper"), [("light", "rgb(255, 255, 255)"), ("dark", "rgb(20, 23, 27)")])
async def test_colours(scheme: str, paper: str) -> None:
    async with TestClient(make(), transport="socket") as client, browsing(color_scheme=scheme) as visit:
        await open_page(visit, client, "plant")
        await expect(visit.page.locator("body")).to_have_css("background-color", paper)
        await shoot(visit, scheme)
        button = visit.page.locator("button.theme")
        await button.click()
        await expect(visit.page.locator("body")).to_have_css("background-color", "rgb(255, 255, 255)")
        await button.click()
        await expect(visit.page.locator("body")).to_have_css("background-color", "rgb(20, 23, 27)")
        await visit.page.reload()
        await expect(visit.page.locator("html")).to_have_attribute("data-theme", "dark")


async def test_a_phone_has_no_sideways_scroll_and_a_menu() -> None:
    async with TestClient(make(), transport="socket") as client, browsing(width=360, height=740) as visit:
        await open_page(visit, client, "plant")
        page = visit.page
        assert await page.evaluate("document.documentElement.scrollWidth") <= 360
        await expect(page.locator("nav")).to_be_hidden()
        await page.get_by_role("button", name="Menu").click()
        await shoot(visit, "phone")
        await page.locator("nav a", has_text="/me").click()
        await expect(page.locator("nav")).to_be_hidden()
        await expect(page.locator("#op-me")).to_have_attribute("open", "")


async def test_every_input_has_a_label() -> None:
    async with TestClient(make(), transport="socket") as client, browsing() as visit:
        await open_page(visit, client)
        await visit.page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        await expect(visit.page.locator("textarea.body")).to_be_visible()
        unnamed = await visit.page.evaluate(
            "[...document.querySelectorAll('input, select, textarea')]"
            ".filter((one) => !one.labels.length && !one.ariaLabel).map((one) => one.outerHTML)"
        )
        assert unnamed == []
        ids = await visit.page.evaluate("[...document.querySelectorAll('[id]')].map((one) => one.id)")
        assert len(ids) == len(set(ids))
