"""Cache-Control where a response does not say it."""

from __future__ import annotations

import pytest

from framework import App, HTTPError, Phase, Request, Response
from framework.errors import SetupError
from framework.middleware.cache_headers import CacheHeaders
from framework.middleware.sessions import SignedSessions, session
from framework.testing import TestClient

pytestmark = pytest.mark.anyio

YEAR = "public, max-age=31536000, immutable"


def answering(response: Response | None = None, cache: CacheHeaders | None = None) -> App:
    app = App()
    app.use(cache or CacheHeaders(YEAR), Phase.CONTENT)

    @app.route("/", ["GET", "POST"])
    async def read() -> Response:
        return response or Response("ok")

    @app.get("/fail")
    async def fail() -> str:
        raise HTTPError(400)

    return app


async def told(
    response: Response | None = None, cache: CacheHeaders | None = None, **headers: str
) -> str | None:
    async with TestClient(answering(response, cache)) as client:
        return (await client.get("/", headers=headers)).headers.get("cache-control")


@pytest.mark.parametrize("status", [200, 206, 304])
async def test_a_silent_response_gets_the_policy(status: int) -> None:
    assert await told(Response(status=status)) == YEAR


@pytest.mark.parametrize("fields", [{"cache-control": "no-cache"}, {"expires": "0"}])
async def test_a_responses_own_word_stands(fields: dict[str, str]) -> None:
    assert await told(Response("x", headers=fields)) == fields.get("cache-control")


async def test_a_404_is_not_cached_for_a_year() -> None:
    async with TestClient(answering()) as client:
        for path in ("/nowhere", "/fail"):
            assert "cache-control" not in (await client.get(path)).headers
        assert "cache-control" not in (await client.post("/")).headers
        assert (await client.head("/")).headers["cache-control"] == YEAR
    assert await told(Response(status=302, headers={"location": "/"})) is None


async def test_what_is_for_one_user_is_not_stored() -> None:
    assert await told(authorization="Bearer x") == "no-store"
    assert await told(Response("x", headers={"set-cookie": "a=b"})) == "no-store"
    assert await told(Response("x", headers={"vary": "Accept, Cookie"})) == "no-store"
    assert await told(Response("x", headers={"vary": "authorization"})) == "no-store"
    assert await told(Response("x", headers={"vary": "Accept"}), cookie="tracking=1") == YEAR
    private = CacheHeaders(YEAR, personal="private, max-age=60")
    assert await told(cache=private, authorization="Bearer x") == "private, max-age=60"
    assert await told(cache=CacheHeaders(YEAR, personal=None), authorization="Bearer x") == YEAR


async def test_what_was_made_with_a_session_is_not_stored() -> None:
    app = App()
    app.use(SignedSessions(["k" * 32], secure=False))
    app.use(CacheHeaders(YEAR), Phase.CONTENT)

    @app.get("/mine")
    async def mine(request: Request) -> str:
        return str(session(request).get("user"))

    @app.get("/all")
    async def all_() -> str:
        return "x"

    async with TestClient(app) as client:
        assert (await client.get("/mine")).headers["cache-control"] == "no-store"
        assert (await client.get("/all", headers={"cookie": "session=x"})).headers["cache-control"] == YEAR


async def test_the_inner_layer_goes_before_the_outer() -> None:
    app = App()
    app.use(CacheHeaders("no-cache"), Phase.CONTENT)
    assets = app.group("/assets")
    assets.use(CacheHeaders(YEAR), Phase.CONTENT)

    @assets.get("/a")
    async def asset() -> str:
        return "a"

    @app.get("/page")
    async def page() -> str:
        return "p"

    async with TestClient(app) as client:
        assert (await client.get("/assets/a")).headers["cache-control"] == YEAR
        assert (await client.get("/page")).headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    ("policy", "problem"),
    [
        ("max_age=60", "'max_age' is no directive; known are immutable"),
        ("", "'' is no directive"),
        ("public, max-age", "max-age takes seconds, not ''"),
        ("max-age=-1", "max-age takes seconds, not '-1'"),
        ("max-age=1.5", "max-age takes seconds"),
        ("public=1", "public takes no value"),
        ("public, private", "public and private contradict each other"),
        ("no-store, max-age=3", "no-store and max-age contradict"),
        ("private, s-maxage=3", "private and s-maxage contradict"),
        ("Public", "'Public' is no directive"),
    ],
)
def test_a_wrong_policy_is_refused(policy: str, problem: str) -> None:
    with pytest.raises(SetupError, match=f"cache headers: {problem}"):
        CacheHeaders(policy)
    with pytest.raises(SetupError, match=f"cache headers: {problem}"):
        CacheHeaders("no-cache", personal=policy)


def test_it_shows_its_policy() -> None:
    assert repr(CacheHeaders("no-cache")) == "<CacheHeaders 'no-cache'>"
