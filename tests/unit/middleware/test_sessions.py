"""Sessions as browsers meet them, signed and stored alike."""

from __future__ import annotations

import re
from typing import Any

import pytest

from framework import App, Request
from framework.errors import SetupError
from framework.middleware.sessions import session
from framework.testing import TestClient
from tests.unit.middleware.session_app import NAME, Clock, app_with, signed, stored

pytestmark = pytest.mark.anyio

BOTH = pytest.mark.parametrize("make", [signed, stored])


@BOTH
async def test_values_come_back(make: Any) -> None:
    async with TestClient(app_with(make())) as client:
        browser = client.visitor()
        assert (await browser.get("/show")).json() == {}
        await browser.get("/set/a/1")
        await browser.get("/set/b/2")
        assert (await browser.get("/show")).json() == {"a": 1, "b": 2}
        await browser.get("/drop/a")
        assert (await browser.get("/show")).json() == {"b": 2}
        assert (await browser.get("/drop/a")).status == 500
        assert (await client.visitor().get("/show")).json() == {}


@BOTH
async def test_a_list_that_was_appended_to_counts(make: Any) -> None:
    """The change in place that flask's ``session.modified`` asks its users to tell."""
    async with TestClient(app_with(make())) as client:
        browser = client.visitor()
        for _ in range(3):
            await browser.get("/append")
        assert (await browser.get("/show")).json() == {"list": [0, 1, 2]}


@BOTH
async def test_values_are_read_as_types(make: Any) -> None:
    async with TestClient(app_with(make())) as client:
        browser = client.visitor()
        assert (await browser.get("/cart")).status == 204
        await browser.get("/fill")
        assert (await browser.get("/cart")).json() == {"items": ["tea"], "since": "2026-01-02"}
        await browser.get("/set/cart/5")
        assert (await browser.get("/cart")).status == 204


@BOTH
async def test_the_cookie_is_set_only_when_something_changed(make: Any) -> None:
    async with TestClient(app_with(make())) as client:
        browser = client.visitor()
        for path in ("/show", "/unused", "/clear", "/logout"):
            assert "set-cookie" not in (await browser.get(path)).headers
        answer = await browser.get("/set/a/1")
        assert re.fullmatch(
            rf"{NAME}=[\w.-]+; Max-Age=1209600; Path=/; Secure; HttpOnly; SameSite=Lax",
            answer.headers["set-cookie"],
        )
        for path in ("/show", "/unused", "/set/a/1"):
            assert "set-cookie" not in (await browser.get(path)).headers


@BOTH
async def test_plain_http_is_an_explicit_choice(make: Any) -> None:
    sessions = make(secure=False, name="dev", same_site="strict")
    async with TestClient(app_with(sessions)) as client:
        answer = await client.get("/set/a/1")
    assert re.fullmatch(
        r"dev=[\w.-]+; Max-Age=1209600; Path=/; HttpOnly; SameSite=Strict", answer.headers["set-cookie"]
    )
    assert make(domain="example.com").cookie_name == "__Secure-session"


@BOTH
async def test_responses_vary_by_cookie(make: Any) -> None:
    """flask CVE-2023-30861: a cache handed one user's refreshed session to others."""
    async with TestClient(app_with(make())) as client:
        browser = client.visitor()
        for path in ("/show", "/set/a/1", "/show", "/fail/404", "/logout"):
            assert (await browser.get(path)).headers["vary"] == "Cookie", path
        assert "vary" not in (await browser.get("/unused")).headers


@BOTH
async def test_no_shared_cache_keeps_a_response_that_sets_the_cookie(make: Any) -> None:
    """Those who come without a cookie share one cache entry, whatever Vary says."""
    async with TestClient(app_with(make()), keep_cookies=False) as client:
        assert (await client.get("/set/a/1")).headers["cache-control"] == "no-store"
        assert (await client.get("/cached/public,max-age=9")).headers["cache-control"] == "no-store"
        assert (await client.get("/cached/private,max-age=9")).headers["cache-control"] == "private,max-age=9"
        assert "cache-control" not in (await client.get("/show")).headers


@BOTH
async def test_a_shared_response_carries_no_ones_cookie(make: Any) -> None:
    """A handler may answer with the same object again; one user's session must not stay in it."""
    async with TestClient(app_with(make()), keep_cookies=False) as client:
        first = await client.get("/shared")
        second = await client.get("/shared")
        cookies = [value for answer in (first, second) for value in answer.headers.get_all("set-cookie")]
    assert len(cookies) == 2


@BOTH
async def test_a_handler_that_raises_changes_nothing(make: Any) -> None:
    async with TestClient(app_with(make())) as client:
        browser = client.visitor()
        await browser.get("/set/a/1")
        for status in (400, 500):
            assert (await browser.get(f"/fail/{status}")).status == status
        assert (await browser.get("/show")).json() == {"a": 1}


@BOTH
async def test_a_session_in_use_lives_until_its_absolute_end(make: Any) -> None:
    clock = Clock()
    async with TestClient(app_with(make(clock, idle_timeout=100, absolute_timeout=250))) as client:
        browser = client.visitor()
        await browser.get("/set/a/1")
        for _ in range(4):
            clock.now += 60
            assert (await browser.get("/show")).json() == {"a": 1}
        clock.now += 10
        assert (await browser.get("/show")).json() == {}


@BOTH
async def test_an_idle_session_ends_whatever_the_cookie_says(make: Any) -> None:
    clock = Clock()
    async with TestClient(app_with(make(clock, idle_timeout=100, absolute_timeout=250))) as client:
        browser = client.visitor()
        await browser.get("/set/a/1")
        clock.now += 99
        assert (await browser.get("/unused")).status == 200
        clock.now += 1
        assert (await browser.get("/show")).json() == {}


@BOTH
async def test_a_renewed_session_has_a_new_life_span(make: Any) -> None:
    clock = Clock()
    async with TestClient(app_with(make(clock, idle_timeout=100, absolute_timeout=100))) as client:
        browser = client.visitor()
        await browser.get("/set/a/1")
        clock.now += 90
        assert "Max-Age=100;" in (await browser.get("/login/ann")).headers["set-cookie"]
        clock.now += 90
        assert (await browser.get("/show")).json() == {"a": 1, "user": "ann"}


@BOTH
async def test_logout_deletes_the_cookie(make: Any) -> None:
    async with TestClient(app_with(make())) as client:
        browser = client.visitor()
        await browser.get("/login/ann")
        answer = await browser.get("/logout")
        assert answer.headers["set-cookie"].startswith(f"{NAME}=; Max-Age=0; Path=/; Secure")
        assert browser.cookies == {}
        await browser.get("/set/a/1")
        await browser.get("/relogin/bob")
        assert (await browser.get("/show")).json() == {"user": "bob"}


@BOTH
async def test_a_cookie_of_nobody_is_ignored_and_left_alone(make: Any) -> None:
    """Deleting it would race with the cookie a concurrent login has just set."""
    async with TestClient(app_with(make())) as client:
        for value in ("", "x", "A" * 43, "A" * 5000, "a.b", '"quoted"', "%00"):
            answer = await client.get("/show", headers={"cookie": f"{NAME}={value}"})
            assert (answer.status, answer.json(), "set-cookie" in answer.headers) == (200, {}, False)


@BOTH
async def test_what_has_no_json_form_is_named(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    async with TestClient(app_with(make())) as client:
        answer = await client.get("/odd")
    assert (answer.status, "set-cookie" in answer.headers) == (500, False)
    assert "the session's value 'odd' has no JSON form" in caplog.text


@BOTH
async def test_after_the_head_nothing_can_change(make: Any) -> None:
    async with TestClient(app_with(make())) as client:
        browser = client.visitor()
        await browser.get("/set/x/1")
        assert (await browser.get("/late")).text.startswith("1 the session cannot change any more")
        assert (await browser.get("/show")).json() == {"x": 1}


async def test_a_route_without_sessions_says_so(caplog: pytest.LogCaptureFixture) -> None:
    app = App()

    @app.get("/")
    async def show(request: Request) -> dict[str, Any]:
        return dict(session(request))

    async with TestClient(app) as client:
        assert (await client.get("/")).status == 500
    assert "this route has no sessions: app.use(SignedSessions" in caplog.text


@BOTH
@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"idle_timeout": 0}, "idle_timeout"),
        ({"idle_timeout": 20, "absolute_timeout": 10}, "idle_timeout"),
        ({"name": "a b"}, "name"),
        ({"secure": False, "same_site": "none"}, "needs Secure"),
        ({"domain": "bad domain"}, "Domain"),
    ],
)
def test_a_wrong_configuration_is_refused(make: Any, options: dict[str, Any], problem: str) -> None:
    with pytest.raises(SetupError, match=problem):
        make(**options)
