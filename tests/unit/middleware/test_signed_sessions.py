"""Sessions in a signed cookie, and those who would change it."""

from __future__ import annotations

import base64
import re

import msgspec
import pytest

from framework.middleware.sessions import SignedSessions
from framework.middleware.signing import Signer
from framework.testing import TestClient
from tests.unit.middleware.session_app import KEY, NAME, Clock, app_with, signed

pytestmark = pytest.mark.anyio


async def test_a_signed_cookie_has_its_size(caplog: pytest.LogCaptureFixture) -> None:
    async with TestClient(app_with(signed()), keep_cookies=False) as client:
        assert (await client.get("/big/2900")).status == 204
        answer = await client.get("/big/3100")
    assert (answer.status, "set-cookie" in answer.headers) == (500, False)
    assert re.search(
        r"takes \d{4} bytes as a cookie, browsers keep 4096: keep less of big in it", caplog.text
    )


async def test_a_changed_signed_cookie_is_nothing() -> None:
    async with TestClient(app_with(signed())) as client:
        browser = client.visitor()
        await browser.get("/set/admin/0")
        text, _, signature = browser.cookies[NAME].rpartition(".")
        forged = msgspec.json.encode([1_700_000_000, 1_700_000_000, {"admin": 1}])
        own = base64.urlsafe_b64encode(forged).rstrip(b"=").decode()
        for value in (f"{own}.{signature}", f"{text}.{signature[:-2]}xx", text, f"{own}."):
            assert (await client.get("/show", headers={"cookie": f"{NAME}={value}"})).json() == {}


@pytest.mark.parametrize("payload", [b"", b"{}", b"[1]", b'[1,2,{"a":', b"\x80\x04K\x01."])
async def test_a_signed_text_that_is_no_session_is_nothing(payload: bytes) -> None:
    """Not even with the key is a pickle, or anything but JSON of our form, read."""
    token = Signer([KEY], f"framework.session.{NAME}").sign(payload)
    async with TestClient(app_with(signed())) as client:
        assert (await client.get("/show", headers={"cookie": f"{NAME}={token}"})).json() == {}


async def test_a_signed_cookie_of_another_name_is_nothing() -> None:
    async with TestClient(app_with(signed(secure=False))) as client:
        browser = client.visitor()
        await browser.get("/set/a/1")
        value = browser.cookies["session"]
    async with TestClient(app_with(signed())) as client:
        assert (await client.get("/show", headers={"cookie": f"{NAME}={value}"})).json() == {}


async def test_a_cookie_an_old_key_signed_is_signed_anew() -> None:
    clock = Clock()
    async with TestClient(app_with(SignedSessions(["o" * 32], clock=clock))) as client:
        browser = client.visitor()
        await browser.get("/set/a/1")
        old = dict(browser.cookies)
    async with TestClient(app_with(SignedSessions([KEY, "o" * 32], clock=clock))) as client:
        browser = client.visitor()
        browser.cookies = old
        assert "set-cookie" in (await browser.get("/show")).headers
        assert "set-cookie" not in (await browser.get("/show")).headers
        new = dict(browser.cookies)
    async with TestClient(app_with(SignedSessions([KEY], clock=clock))) as client:
        browser = client.visitor()
        browser.cookies = new
        assert (await browser.get("/show")).json() == {"a": 1}


async def test_a_signed_cookie_in_use_is_written_anew_now_and_then() -> None:
    clock = Clock()
    async with TestClient(app_with(signed(clock, idle_timeout=100, absolute_timeout=1000))) as client:
        browser = client.visitor()
        await browser.get("/set/a/1")
        clock.now += 9
        assert "set-cookie" not in (await browser.get("/show")).headers
        clock.now += 1
        assert "Max-Age=990;" in (await browser.get("/show")).headers["set-cookie"]
