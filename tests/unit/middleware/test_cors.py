"""CORS as a browser meets it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from framework import App, HTTPError, Response
from framework.errors import SetupError
from framework.middleware.cors import CORS
from framework.testing import Answer, TestClient

pytestmark = pytest.mark.anyio

SHOP = "https://shop.example"


def app_with(cors: CORS) -> App:
    app = App()
    app.use(cors)

    @app.get("/")
    async def read() -> str:
        return "ok"

    @app.put("/only-put")
    async def write() -> str:
        return "written"

    @app.get("/fail")
    async def fail() -> str:
        raise HTTPError(400, "no")

    @app.get("/boom")
    async def boom() -> str:
        raise RuntimeError

    @app.get("/own")
    async def own() -> Response:
        fields = [
            ("access-control-allow-origin", "*"),
            ("access-control-allow-credentials", "true"),
            ("vary", "Accept"),
        ]
        return Response("upstream", headers=fields)

    @app.get("/stream")
    async def stream() -> AsyncIterator[str]:
        yield "a"

    return app


async def preflight(cors: CORS, path: str = "/", **fields: str) -> Answer:
    headers = {"origin": SHOP, "access-control-request-method": "GET"}
    headers |= {name.replace("_", "-"): value for name, value in fields.items()}
    async with TestClient(app_with(cors)) as client:
        return await client.options(path, headers=headers)


async def get(cors: CORS, path: str = "/", **headers: str) -> Answer:
    async with TestClient(app_with(cors)) as client:
        return await client.get(path, headers=headers)


def granted(answer: Answer) -> dict[str, str]:
    return {
        name.removeprefix("access-control-"): value
        for name, value in answer.headers.items()
        if name.startswith("access-control-")
    }


async def test_a_preflight_is_answered_by_204() -> None:
    cors = CORS([SHOP], methods=["GET", "PUT"], headers=["X-Token", "Content-Type"], max_age=60)
    answer = await preflight(cors, access_control_request_headers="x-token")
    assert (answer.status, answer.body) == (204, b"")
    assert granted(answer) == {
        "allow-origin": SHOP,
        "allow-methods": "GET, PUT",
        "allow-headers": "X-Token, Content-Type",
        "max-age": "60",
    }
    assert answer.headers["vary"] == "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"


@pytest.mark.parametrize("path", ["/only-put", "/nowhere"])
async def test_a_preflight_asks_no_route(path: str) -> None:
    answer = await preflight(CORS([SHOP], methods="*"), path, access_control_request_method="PUT")
    assert (answer.status, granted(answer)["allow-methods"]) == (204, "PUT")


@pytest.mark.parametrize("headers", [{}, {"origin": SHOP}, {"access-control-request-method": "GET"}])
async def test_other_options_requests_stay_automatic(headers: dict[str, str]) -> None:
    async with TestClient(app_with(CORS([SHOP]))) as client:
        answer = await client.options("/only-put", headers=headers)
    assert (answer.status, answer.headers["allow"]) == (204, "OPTIONS, PUT")


async def test_a_refused_preflight_says_so_and_grants_nothing() -> None:
    answer = await preflight(CORS([SHOP]), origin="https://evil.example")
    assert (answer.status, answer.headers["content-type"]) == (403, "application/problem+json")
    assert granted(answer) == {}
    assert answer.headers["vary"].startswith("Origin")


@pytest.mark.parametrize(
    ("path", "status"), [("/", 200), ("/fail", 400), ("/boom", 500), ("/nowhere", 404), ("/stream", 200)]
)
async def test_errors_get_the_fields_too(path: str, status: int) -> None:
    answer = await get(CORS([SHOP], expose=["X-Total", "X-Page"]), path, origin=SHOP)
    assert answer.status == status
    assert granted(answer) == {"allow-origin": SHOP, "expose-headers": "X-Total, X-Page"}
    assert answer.headers["vary"] == "Origin"


async def test_vary_stands_where_no_origin_asks() -> None:
    """Else a cache hands the answer without fields to the site that may have it."""
    for headers in ({}, {"origin": "https://evil.example"}):
        answer = await get(CORS([SHOP]), **headers)
        assert (answer.status, granted(answer), answer.headers["vary"]) == (200, {}, "Origin")


async def test_any_origin_gets_one_answer_for_all() -> None:
    """Also where no Origin asks: with no Vary, a cache gives that answer to scripts."""
    for headers in ({}, {"origin": SHOP}, {"origin": "null"}):
        answer = await get(CORS("*"), **headers)
        assert granted(answer) == {"allow-origin": "*"}
        assert "vary" not in answer.headers


async def test_credentials_never_come_with_a_star() -> None:
    """gofiber CVE-2024-25124: any origin with credentials."""
    answer = await get(
        CORS([SHOP, re.compile(r"https://[a-z]+\.example")], credentials=True), origin="https://a.example"
    )
    assert granted(answer) == {"allow-origin": "https://a.example", "allow-credentials": "true"}
    assert answer.headers["vary"] == "Origin"
    with pytest.raises(SetupError, match="every site act as your user"):
        CORS("*", credentials=True)
    with pytest.raises(SetupError, match="every site act as your user"):
        CORS(["*"], credentials=True)


@pytest.mark.parametrize(
    "origin",
    [
        "https://trusted.example.evil.test",
        "https://trusted.example:8080",
        "https://evil.test/https://trusted.example",
        "https://trustedXexample",
        "https://TRUSTED.example",
        "http://trusted.example",
        "https://trusted.example ",
        "null",
        "*",
        "",
    ],
)
def test_a_pattern_has_to_match_the_whole_origin(origin: str) -> None:
    """sanic-cors CVE-2026-37737, starlette #801: ``re.match`` lets whatever follows pass."""
    assert not CORS([re.compile(r"https://trusted\.example")]).allows(origin)
    assert not CORS(["https://trusted.example"]).allows(origin)


@pytest.mark.parametrize(
    "origin", ["https://evil.test/.example.org", "https://evil.test#.example.org", "https://a@.example.org"]
)
def test_a_dot_in_a_pattern_matches_no_delimiter(origin: str) -> None:
    """starlette #3165: ``https://.*\\.example\\.org``."""
    cors = CORS([re.compile(r"https://.*\.example\.org")])
    assert not cors.allows(origin)
    assert cors.allows("https://a.b.example.org")


def test_text_is_never_a_pattern() -> None:
    """litestar CVE-2026-25478: metacharacters of an exact origin."""
    assert not CORS(["https://api.example.com"]).allows("https://apiXexample.com")


def test_the_null_origin_is_asked_for_by_name() -> None:
    assert not CORS([re.compile(".*")]).allows("null")
    assert CORS([SHOP], allow_null=True).allows("null")
    assert CORS([SHOP, "chrome-extension://abcdef", "http://[::1]:8000"]).allows("http://[::1]:8000")


async def test_private_networks_are_closed_unless_asked_for() -> None:
    """flask-cors CVE-2024-6221: the grant was given by default."""
    asked = {"access_control_request_private_network": "true"}
    answer = await preflight(CORS([SHOP]), **asked)
    assert "allow-private-network" not in granted(answer)
    opened = CORS([SHOP], private_network=True)
    answer = await preflight(opened, **asked)
    assert granted(answer)["allow-private-network"] == "true"
    assert "Access-Control-Request-Private-Network" in answer.headers["vary"]
    assert "allow-private-network" not in granted(await preflight(opened))


async def test_all_headers_are_named_one_by_one() -> None:
    """A star would not cover Authorization (Fetch standard, CORS non-wildcard request-header name)."""
    cors = CORS([SHOP], headers="*", credentials=True)
    answer = await preflight(cors, access_control_request_headers="authorization,x-a")
    assert granted(answer)["allow-headers"] == "authorization,x-a"
    assert "allow-headers" not in granted(await preflight(cors))
    # rs/cors #170: a field of commas alone.
    for hostile in ("," * 8000, "a b", "a,,b", 'a"'):
        answer = await preflight(cors, access_control_request_headers=hostile)
        assert (answer.status, "allow-headers" in granted(answer)) == (204, False)


async def test_an_odd_method_is_not_echoed() -> None:
    answer = await preflight(CORS([SHOP], methods="*"), access_control_request_method="GET, PUT")
    assert granted(answer)["allow-methods"] == "*"


async def test_fields_of_an_upstream_are_replaced() -> None:
    """Two Allow-Origin values make a browser refuse both; another's grant must not outlive our refusal."""
    answer = await get(CORS([SHOP]), "/own", origin=SHOP)
    assert [value for name, value in answer.headers.items() if name == "access-control-allow-origin"] == [
        SHOP
    ]
    assert "access-control-allow-credentials" not in answer.headers
    assert answer.headers["vary"] == "Accept, Origin"
    assert granted(await get(CORS([SHOP]), "/own", origin="https://evil.example")) == {}


@pytest.mark.parametrize("max_age", [None, 0])
async def test_max_age_may_be_left_out(max_age: int | None) -> None:
    answer = await preflight(CORS([SHOP], max_age=max_age))
    assert granted(answer).get("max-age") == (None if max_age is None else "0")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"origins": []}, "no origins"),
        ({"origins": ["https://a.example/"]}, "scheme://host"),
        ({"origins": ["https://a.example/path"]}, "scheme://host"),
        ({"origins": ["a.example"]}, "scheme://host"),
        ({"origins": ["https://A.example"]}, "lower case"),
        ({"origins": ["https://user@a.example"]}, "scheme://host"),
        ({"origins": ["https://*.a.example"]}, "re.compile"),
        ({"origins": ["https://a.example:443"]}, "leave out the port 443"),
        ({"origins": ["http://a.example:80"]}, "leave out the port 80"),
        ({"origins": ["*", SHOP]}, "stands alone"),
        ({"origins": ["null"]}, "allow_null=True"),
        ({"origins": [SHOP], "methods": ["GET", "*"]}, "methods: '\\*' stands alone"),
        ({"origins": [SHOP], "methods": ["patch"]}, "case-sensitive, browsers send PATCH"),
        ({"origins": [SHOP], "methods": ["GE T"]}, "no name"),
        ({"origins": [SHOP], "headers": ["*", "x-a"]}, "headers: '\\*' stands alone"),
        ({"origins": [SHOP], "expose": ["x a"]}, "no name"),
        ({"origins": [SHOP], "expose": "*", "credentials": True}, "list the fields"),
        ({"origins": [SHOP], "max_age": -1}, "0 to 86400"),
    ],
)
def test_a_wrong_configuration_is_refused(arguments: dict[str, Any], problem: str) -> None:
    with pytest.raises(SetupError, match=problem):
        CORS(**arguments)


def test_every_fault_is_named_at_once() -> None:
    with pytest.raises(SetupError) as caught:
        CORS(["a", "null"], max_age=-1)
    assert len(caught.value.problems) == 3


def test_it_shows_what_it_allows() -> None:
    assert (
        repr(CORS([SHOP, re.compile("https://x")], credentials=True))
        == f"<CORS {SHOP}, /https://x/ with credentials>"
    )


class TestWithinTheApp:
    """What is installed on a part of the app covers the preflights of that part."""

    @staticmethod
    def app() -> App:
        app, inner = App(), App()
        api = app.group("/api", middleware=[CORS([SHOP], methods=["PUT"])])

        @api.put("/things/{id}")
        async def put(id: str) -> str:
            return "put"

        @api.get("/things/{name}")
        async def get(name: str) -> str:
            return "got"

        @app.get("/mixed")
        async def outside() -> str:
            return "outside"

        @app.group(middleware=[CORS([SHOP])]).post("/mixed")
        async def inside() -> str:
            return "inside"

        @inner.put("/deep")
        async def deep() -> str:
            return "deep"

        inner.use(CORS([SHOP], methods=["PUT"]))
        app.mount("/inner", inner)
        return app

    @pytest.mark.parametrize("path", ["/api/things/1", "/inner/deep"])
    async def test_preflights_of_a_group_and_of_a_mounted_app(self, path: str) -> None:
        fields = {"origin": SHOP, "access-control-request-method": "PUT"}
        async with TestClient(self.app()) as client:
            answer = await client.options(path, headers=fields)
            assert answer.status == 204
            assert answer.headers["access-control-allow-origin"] == SHOP
            assert answer.headers["access-control-allow-methods"] == "PUT"
            refused = await client.options(path, headers=fields | {"origin": "https://evil.example"})
            assert refused.status == 403

    async def test_a_method_that_is_not_there_is_answered_within_the_layers_too(self) -> None:
        async with TestClient(self.app()) as client:
            answer = await client.patch("/api/things/1", headers={"origin": SHOP})
            assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS, PUT")
            assert answer.headers["access-control-allow-origin"] == SHOP
            plain = await client.options("/api/things/1")
            assert (plain.status, plain.headers["allow"]) == (204, "GET, HEAD, OPTIONS, PUT")

    async def test_a_path_that_is_only_partly_inside_has_what_its_routes_share(self) -> None:
        fields = {"origin": SHOP, "access-control-request-method": "POST"}
        async with TestClient(self.app()) as client:
            answer = await client.options("/mixed", headers=fields)
            assert answer.status == 204
            assert "access-control-allow-origin" not in answer.headers
