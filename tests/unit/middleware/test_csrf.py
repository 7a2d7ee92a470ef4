"""Cross-site request forgery, tried."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from urllib.parse import urlencode

import pytest

from framework import App, HTTPError, Request, Response
from framework.errors import SetupError
from framework.middleware.csrf import CSRF, CSRFError, csrf_token
from framework.middleware.signing import Signer
from framework.testing import Answer, TestClient

pytestmark = pytest.mark.anyio

KEY = "k" * 32
COOKIE = "__Host-csrf"
WITH_COOKIE = {"cookie": "__Host-session=x"}
FORM = "application/x-www-form-urlencoded"


def app_with(csrf: CSRF) -> App:
    app = App()
    app.use(csrf)
    shared = Response("shared")

    @app.get("/form")
    async def form(request: Request) -> list[str]:
        return [csrf_token(request), csrf_token(request)]

    @app.get("/plain")
    async def plain() -> str:
        return "plain"

    @app.route("/act", ["POST", "PUT", "DELETE", "PATCH"])
    async def act(request: Request) -> str:
        return (await request.body()).decode()

    @app.post("/hook", skip=[csrf])
    async def hook() -> str:
        return "called"

    @app.get("/cached")
    async def cached(request: Request) -> Response:
        return Response(csrf_token(request), headers={"cache-control": "public, max-age=60"})

    @app.get("/shared")
    async def from_shared(request: Request) -> Response:
        csrf_token(request)
        return shared

    @app.get("/fail")
    async def fail(request: Request) -> None:
        raise HTTPError(400, csrf_token(request))

    @app.get("/late")
    async def late(request: Request) -> AsyncIterator[str]:
        yield csrf_token(request)

    return app


async def post(
    headers: dict[str, str],
    csrf: CSRF | None = None,
    method: str = "POST",
    settings: Mapping[str, object] | None = None,
) -> Answer:
    async with TestClient(app_with(csrf or CSRF([KEY])), settings=settings, keep_cookies=False) as client:
        fields = {"host": "shop.example", **headers}
        return await client.request(method, "/act", content=b"done", headers=fields)


@pytest.mark.parametrize("site", ["same-origin", "none"])
async def test_what_our_own_pages_and_the_user_ask_for_passes(site: str) -> None:
    assert (await post(WITH_COOKIE | {"sec-fetch-site": site})).text == "done"
    # The policy no-referrer makes browsers send "null" with our own forms too.
    assert (await post(WITH_COOKIE | {"sec-fetch-site": site, "origin": "null"})).text == "done"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "future-value"])
async def test_what_other_sites_ask_for_is_refused(site: str, method: str) -> None:
    """A sibling domain is another site too. Nothing else a request brings makes up for it."""
    answer = await post({"sec-fetch-site": site, "origin": "https://shop.example"}, method=method)
    assert (answer.status, answer.headers["content-type"]) == (403, "application/problem+json")
    assert (answer.json()["type"], answer.json()["reason"]) == ("urn:framework:csrf", "origin")


@pytest.mark.parametrize(
    ("origin", "host", "passes"),
    [
        ("http://shop.example", "shop.example", True),
        ("https://shop.example", "shop.example", True),
        ("https://shop.example", "shop.example:443", True),
        ("http://shop.example:8000", "SHOP.example:8000", True),
        ("http://[::1]:8000", "[::1]:8000", True),
        ("http://[::1]", "[::1]", True),
        ("http://shop.example", "shop.example:", True),
        ("https://evil.example", "shop.example", False),
        ("https://shop.example.evil.test", "shop.example", False),
        ("https://evilshop.example", "shop.example", False),
        ("https://shop.example:8443", "shop.example", False),
        ("https://shop.example@evil.test", "shop.example", False),
        ("https://shop.example/", "shop.example", False),
        ("chrome-extension://shop.example", "shop.example", False),
        ("shop.example", "shop.example", False),
        ("", "shop.example", False),
    ],
)
async def test_an_older_browser_tells_its_origin(origin: str, host: str, passes: bool) -> None:
    answer = await post(WITH_COOKIE | {"origin": origin, "host": host})
    assert answer.status == (200 if passes else 403)


async def test_over_https_a_page_over_http_is_another_site() -> None:
    """Else whoever sits on the line could act (gorilla/csrf CVE-2025-24358)."""
    told = {"x-forwarded-proto": "https", "x-forwarded-host": "shop.example", "host": "internal"}
    trusted = {"server.trusted_proxies": ("127.0.0.1",)}
    assert (await post(told | {"origin": "http://shop.example"}, settings=trusted)).status == 403
    assert (await post(told | {"origin": "https://shop.example"}, settings=trusted)).status == 200
    assert (await post(told | {"origin": "https://shop.example"})).status == 403


async def test_a_trusted_origin_is_trusted_with_its_scheme() -> None:
    """gorilla/csrf CVE-2025-47909: trusting a host let its http pages in too."""
    csrf = CSRF(trusted_origins=["https://app.example"])
    for site in ({}, {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}):
        assert (await post(WITH_COOKIE | site | {"origin": "https://app.example"}, csrf)).status == 200
        assert (await post(WITH_COOKIE | site | {"origin": "http://app.example"}, csrf)).status == 403
    assert (
        await post({"origin": "https://app.example"}, CSRF(trusted_origins="https://app.example"))
    ).status == 200


async def test_without_cookies_there_is_nothing_to_abuse() -> None:
    assert (await post({})).text == "done"
    assert (await post({"origin": "null"})).text == "done"
    answer = await post(WITH_COOKIE)
    assert (answer.status, answer.json()["reason"]) == (403, "token")


async def test_safe_methods_are_free() -> None:
    async with TestClient(app_with(CSRF()), keep_cookies=False) as client:
        headers = {"sec-fetch-site": "cross-site", **WITH_COOKIE}
        assert (await client.get("/plain", headers=headers)).status == 200
        assert (await client.head("/plain", headers=headers)).status == 200
        assert (await client.options("/act", headers=headers)).status == 204


@pytest.mark.parametrize("method", ["get", "Post", "LINK"])
async def test_unknown_methods_are_not_safe(method: str) -> None:
    async with TestClient(app_with(CSRF()), keep_cookies=False) as client:
        answer = await client.request(method, "/plain", headers={"sec-fetch-site": "cross-site"})
    assert answer.status == 403


async def test_a_websocket_handshake_is_checked_though_it_is_a_get() -> None:
    """Cross-site WebSocket hijacking."""
    async with TestClient(app_with(CSRF()), keep_cookies=False) as client:
        upgrade = {"upgrade": "websocket", "connection": "upgrade", **WITH_COOKIE}
        assert (
            await client.get("/plain", headers=upgrade | {"origin": "https://evil.example"})
        ).status == 403
        own = {"origin": "http://testserver"}
        assert (await client.get("/plain", headers=upgrade | own)).status == 200


async def test_routes_for_other_sites_skip_it() -> None:
    async with TestClient(app_with(CSRF()), keep_cookies=False) as client:
        headers = {"sec-fetch-site": "cross-site", **WITH_COOKIE}
        assert (await client.post("/hook", headers=headers)).text == "called"
        assert (await client.post("/nowhere", headers=headers)).status == 403


async def test_a_form_of_an_old_browser_brings_the_token() -> None:
    async with TestClient(app_with(CSRF([KEY])), keep_cookies=False) as client:
        page = await client.get("/form")
        cookie = page.headers["set-cookie"]
        assert cookie.startswith(f"{COOKIE}=")
        assert cookie.endswith("; Path=/; Secure; HttpOnly; SameSite=Lax")
        sent = {"cookie": cookie.partition(";")[0]}
        for token in page.json():
            body = urlencode({"a": "ü", "csrf_token": token}).encode()
            headers = sent | {"content-type": f"{FORM}; charset=utf-8"}
            answer = await client.post("/act", content=body, headers=headers)
            assert (answer.status, answer.body) == (200, body)
            answer = await client.post("/act", headers=sent | {"x-csrf-token": token})
            assert answer.status == 200
        assert "set-cookie" not in (await client.get("/form", headers=sent)).headers
        assert "set-cookie" not in (await client.get("/plain", headers=sent)).headers


async def test_a_token_does_not_repeat_itself() -> None:
    """BREACH: a text that stands in every page could be guessed by how well it compresses."""
    async with TestClient(app_with(CSRF([KEY])), keep_cookies=False) as client:
        first, second = (await client.get("/form")).json()
    assert first != second
    assert len(first) == len(second) == 128


@pytest.mark.parametrize(
    "content_type",
    [FORM, FORM.upper(), "text/plain", "multipart/form-data; boundary=x", "application/json", ""],
)
async def test_no_content_type_gets_around_the_token(content_type: str) -> None:
    """hono CVE-2024-43787, CVE-2024-48913: the check was for some spellings of some media types."""
    headers = WITH_COOKIE | ({"content-type": content_type} if content_type else {})
    assert (await post(headers)).status == 403


async def test_wrong_tokens_are_refused() -> None:
    async with TestClient(app_with(CSRF([KEY])), keep_cookies=False) as client:
        page, other = await client.get("/form"), await client.get("/form")
        cookie = page.headers["set-cookie"].partition(";")[0]
        stolen = other.json()[0]
        unsigned = "00" * 64
        for token in (
            "",
            "x",
            "ü".encode().decode("latin-1"),
            unsigned,
            stolen,
            page.json()[0][:-2],
            "zz" * 64,
        ):
            answer = await client.post("/act", headers={"cookie": cookie, "x-csrf-token": token})
            assert (answer.status, answer.json()["reason"]) == (403, "token")
        for forged in (
            f"{COOKIE}={'00' * 32}",
            f"{COOKIE}=x",
            f"{COOKIE}=",
            f"csrf={cookie.partition('=')[2]}",
        ):
            answer = await client.post("/act", headers={"cookie": forged, "x-csrf-token": page.json()[0]})
            assert answer.status == 403


async def test_a_cookie_no_key_of_ours_signed_is_worth_nothing() -> None:
    """Double submit without a signature falls to whoever can set a cookie: a sibling domain, for one."""
    secret, mask = b"s" * 32, b"\x00" * 32
    for signer, status in (
        (Signer(["e" * 32], f"framework.csrf.{COOKIE}"), 403),
        (Signer([KEY], f"framework.csrf.{COOKIE}"), 200),
    ):
        headers = {"cookie": f"{COOKIE}={signer.sign(secret)}", "x-csrf-token": (mask + secret).hex()}
        assert (await post(headers)).status == status
    empty = Signer([KEY], f"framework.csrf.{COOKIE}").sign(b"")
    assert (await post({"cookie": f"{COOKIE}={empty}", "x-csrf-token": ""})).status == 403


async def test_keys_rotate() -> None:
    old = "o" * 32
    async with TestClient(app_with(CSRF([old])), keep_cookies=False) as client:
        page = await client.get("/form")
    sent = {"cookie": page.headers["set-cookie"].partition(";")[0]}
    async with TestClient(app_with(CSRF([KEY, old])), keep_cookies=False) as client:
        answer = await client.post("/act", headers=sent | {"x-csrf-token": page.json()[0]})
        assert answer.status == 200
        assert "set-cookie" in (await client.get("/form", headers=sent)).headers


async def test_a_page_with_a_token_is_for_one_user() -> None:
    async with TestClient(app_with(CSRF([KEY])), keep_cookies=False) as client:
        for path in ("/form", "/cached"):
            answer = await client.get(path)
            assert (answer.headers["cache-control"], answer.headers["vary"]) == ("no-store", "Cookie")
        answer = await client.get("/plain")
        assert not {"cache-control", "vary", "set-cookie"} & set(answer.headers)
        answers = [await client.get("/shared") for _ in range(2)]
    assert [len(answer.headers.get_all("set-cookie")) for answer in answers] == [1, 1]


async def test_an_error_page_may_hold_a_form() -> None:
    async with TestClient(app_with(CSRF([KEY])), keep_cookies=False) as client:
        answer = await client.get("/fail")
    assert (answer.status, "set-cookie" in answer.headers) == (400, True)


async def test_a_token_after_the_head_comes_too_late(caplog: pytest.LogCaptureFixture) -> None:
    async with TestClient(app_with(CSRF([KEY])), keep_cookies=False) as client:
        assert (await client.get("/late")).status == 500
    assert "too late for a CSRF token" in caplog.text


async def test_without_keys_there_are_no_tokens(caplog: pytest.LogCaptureFixture) -> None:
    async with TestClient(app_with(CSRF()), keep_cookies=False) as client:
        assert (await client.get("/form")).status == 500
        answer = await client.post("/act", headers=WITH_COOKIE)
        assert answer.json()["detail"] == "a request with cookies must say where it comes from: Origin"
    assert "app.use(CSRF(keys))" in caplog.text


async def test_over_plain_http_the_cookie_has_no_prefix() -> None:
    async with TestClient(app_with(CSRF([KEY], secure=False, cookie="c")), keep_cookies=False) as client:
        cookie = (await client.get("/form")).headers["set-cookie"]
    assert cookie.startswith("c=")
    assert "Secure" not in cookie


async def test_the_error_can_be_rendered_otherwise() -> None:
    app = app_with(CSRF([KEY], field="t", header="x-t"))

    @app.on_error(CSRFError)
    def render(request: Request, error: CSRFError) -> Response:
        return Response(f"please reload: {error.reason}", 403)

    async with TestClient(app, keep_cookies=False) as client:
        assert (await client.post("/act", headers=WITH_COOKIE)).text == "please reload: token"
        page = await client.get("/form")
        sent = {"cookie": page.headers["set-cookie"].partition(";")[0], "content-type": FORM}
        body = urlencode({"t": page.json()[0]}).encode()
        assert (await client.post("/act", content=body, headers=sent)).status == 200


@pytest.mark.parametrize(
    "origin", ["app.example", "https://app.example/", "https://*.example", "HTTPS://app.example", "null"]
)
def test_a_trusted_origin_is_written_whole(origin: str) -> None:
    with pytest.raises(SetupError, match="scheme://host"):
        CSRF(trusted_origins=[origin])
