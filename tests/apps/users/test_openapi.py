"""The users app is what its OpenAPI document says: schemathesis tries, and a person in Chromium."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from playwright.async_api import expect

from framework.testing import TestClient
from tests.support.browser import browsing, needs_chromium

from .client import serving

pytestmark = pytest.mark.anyio

# Every check of schemathesis is on unless this says otherwise.
CONFIG = """
seed = 1
continue-on-failure = true
# The same requests every time, and nothing of them kept.
[generation]
database = "none"

[checks.positive_data_acceptance]
# 412 and 428 are answers to a right request for another version, or for none; 400, because for headers the phase
# "coverage" makes texts that do not match their pattern.
expected-statuses = ["2xx", "3xx", 400, 404, 409, 412, 428]

[[operations]]
include-operation-id = "list_users"
# A cursor of the right form that no page gave is refused, which no schema can say.
checks.positive_data_acceptance.enabled = false
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # what is tested here is the same on every loop


@pytest.fixture
async def client(path: Path) -> AsyncIterator[TestClient]:
    async with serving(path) as running:
        yield running


async def document_of(client: TestClient) -> dict[str, Any]:
    document: dict[str, Any] = (await client.get("/openapi.json")).json()
    return document


async def test_the_document_is_valid_and_tells_of_every_operation(client: TestClient) -> None:
    document = await document_of(client)
    OpenAPIV31SpecValidator(document).validate()
    answers = {
        operation["operationId"]: [int(status) for status in operation["responses"]]
        for item in document["paths"].values()
        for operation in item.values()
    }
    assert answers == {
        "list_users": [200, 422],
        "create_user": [201, 400, 409, 413, 415, 422],
        "get_user": [200, 304, 400, 404],
        "replace_user": [200, 400, 404, 409, 412, 413, 415, 422, 428],
        "update_user": [200, 400, 404, 409, 412, 413, 415, 422, 428],
        "delete_user": [204, 400, 404, 412, 428],
    }
    assert {
        tuple(operation["tags"]) for item in document["paths"].values() for operation in item.values()
    } == {("users",)}


async def test_passwords_only_go_in(client: TestClient) -> None:
    schemas = (await document_of(client))["components"]["schemas"]
    assert "password" not in schemas["User"]["properties"]
    assert schemas["UserCreate"]["properties"]["password"]["writeOnly"] is True


@pytest.mark.timeout(300)
async def test_schemathesis_finds_nothing(client: TestClient, tmp_path: Path) -> None:
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG)
    schema = tmp_path / "openapi.json"
    schema.write_text(json.dumps(await document_of(client)))
    process = await asyncio.create_subprocess_exec(
        *(str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(config)),
        *("run", str(schema), "--url", client.url, "--no-color"),
        *("--max-examples", "20"),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    text = output.decode()
    assert process.returncode == 0, text
    assert "6 selected / 6 total" in text
    for phase in ("Examples", "Coverage", "Fuzzing", "Stateful"):
        assert f"✅ {phase}" in text


@needs_chromium
async def test_a_user_is_made_on_the_docs_page(client: TestClient) -> None:
    async with browsing() as visit:
        page = visit.page
        await page.goto(f"{client.url}/docs#op-create_user")
        card = page.locator("#op-create_user")
        await card.locator("textarea.body").fill(
            '{"email": "ada@example.com", "name": "Ada Lovelace", "password": "correct horse"}'
        )
        await card.get_by_role("button", name="Send").click()
        await expect(card.locator(".result .status")).to_have_text("201 Created")
        await card.locator(".result").get_by_text("Headers (").click()
        await expect(card.locator(".result table")).to_contain_text("/users/1")

        await page.locator("nav a", has_text="/users/{user_id}").first.click()
        card = page.locator("#op-get_user")
        await card.get_by_label("user_id").fill("1")
        await card.get_by_role("button", name="Send").click()
        await expect(card.locator(".result pre")).to_contain_text('"name": "Ada Lovelace"')
        assert visit.complaints == []
        assert visit.hosts == {client.url.removeprefix("http://")}
