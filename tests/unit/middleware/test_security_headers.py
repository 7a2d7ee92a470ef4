"""Security headers on whatever goes out."""

from __future__ import annotations

import re

import pytest

from framework import App, HTTPError, Phase, Request, Response
from framework.errors import SetupError
from framework.middleware.security_headers import CSP, SecurityHeaders, csp_nonce
from framework.testing import Answer, TestClient

pytestmark = pytest.mark.anyio

DEFAULTS = {
    "content-security-policy": CSP,
    "referrer-policy": "strict-origin-when-cross-origin",
    "x-frame-options": "SAMEORIGIN",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
PROXY = {"server.trusted_proxies": ("127.0.0.1",)}


def app_with(security: SecurityHeaders) -> App:
    app = App()
    app.use(security, Phase.EDGE)
    shared = Response("shared")

    @app.get("/")
    async def page(request: Request) -> str:
        return csp_nonce(request)

    @app.get("/fail")
    async def fail() -> str:
        raise HTTPError(400)

    @app.get("/own")
    async def own() -> Response:
        fields = {"content-security-policy": "default-src 'none'", "strict-transport-security": "max-age=1"}
        return Response("own", headers=fields)

    @app.get("/304")
    async def unchanged() -> Response:
        return Response(status=304)

    @app.get("/shared")
    async def again() -> Response:
        return shared

    return app


async def get(security: SecurityHeaders, path: str = "/", **headers: str) -> Answer:
    async with TestClient(app_with(security), settings=PROXY) as client:
        return await client.get(
            path, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )


def told(answer: Answer) -> dict[str, str]:
    server = ("date", "content-type", "content-length")
    return {name: value for name, value in answer.headers.items() if name not in server}


@pytest.mark.parametrize("path", ["/", "/fail", "/nowhere"])
async def test_sane_defaults_on_every_response(path: str) -> None:
    assert told(await get(SecurityHeaders(), path)) == DEFAULTS


async def test_none_switches_off_and_text_replaces() -> None:
    security = SecurityHeaders(
        content_security_policy=None,
        content_security_policy_report_only="default-src 'self'",
        referrer_policy="no-referrer",
        frame_options=None,
        permissions_policy=None,
        cross_origin_opener_policy=None,
        cross_origin_resource_policy=None,
        cross_origin_embedder_policy="require-corp",
        content_type_options=None,
        more={"X-More": "1"},
    )
    assert told(await get(security)) == {
        "content-security-policy-report-only": "default-src 'self'",
        "referrer-policy": "no-referrer",
        "cross-origin-embedder-policy": "require-corp",
        "x-more": "1",
    }


async def test_the_responses_own_value_wins() -> None:
    answer = await get(SecurityHeaders(), "/own", x_forwarded_proto="https", x_forwarded_host="a.example")
    assert answer.headers.get_all("content-security-policy") == ["default-src 'none'"]
    assert answer.headers.get_all("strict-transport-security") == ["max-age=1"]
    assert answer.headers["referrer-policy"] == DEFAULTS["referrer-policy"]


@pytest.mark.parametrize(
    ("scheme", "host", "sent"),
    [
        ("https", "a.example", True),
        ("https", "a.example:8443", True),
        ("http", "a.example", False),
        ("https", "localhost", False),
        ("https", "api.localhost:8443", False),
        ("https", "127.0.0.1:8443", False),
        ("https", "[::1]", False),
        ("https", "[::1]:8443", False),
    ],
)
async def test_hsts_over_https_alone_and_never_for_localhost(scheme: str, host: str, sent: bool) -> None:
    answer = await get(SecurityHeaders(), x_forwarded_proto=scheme, x_forwarded_host=host)
    assert ("strict-transport-security" in answer.headers) is sent


async def test_hsts_believes_no_stranger() -> None:
    async with TestClient(app_with(SecurityHeaders())) as client:
        answer = await client.get("/", headers={"host": "a.example", "x-forwarded-proto": "https"})
    assert "strict-transport-security" not in answer.headers


async def test_hsts_can_be_switched_off() -> None:
    off = SecurityHeaders(strict_transport_security=None)
    answer = await get(off, x_forwarded_proto="https", x_forwarded_host="a.example")
    assert told(answer) == DEFAULTS


NONCE = """
    script-src 'nonce-{nonce}' 'strict-dynamic';
    object-src 'none'
"""


async def test_page_and_policy_share_a_nonce_of_their_own() -> None:
    async with TestClient(app_with(SecurityHeaders(content_security_policy=NONCE))) as client:
        first, second = await client.get("/"), await client.get("/")
    for answer in (first, second):
        policy = f"script-src 'nonce-{answer.text}' 'strict-dynamic'; object-src 'none'"
        assert answer.headers["content-security-policy"] == policy
        assert re.fullmatch(r"[A-Za-z0-9_-]{22}", answer.text)
    assert first.text != second.text


async def test_a_304_brings_no_new_nonce_to_the_old_page() -> None:
    answer = await get(SecurityHeaders(content_security_policy=NONCE), "/304")
    assert "content-security-policy" not in answer.headers
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_shared_response_keeps_no_nonce() -> None:
    async with TestClient(app_with(SecurityHeaders(content_security_policy=NONCE))) as client:
        seen = {(await client.get("/shared")).headers["content-security-policy"] for _ in range(3)}
    assert len(seen) == 3
    async with TestClient(app_with(SecurityHeaders())) as client:
        answers = [await client.get("/shared") for _ in range(3)]
    assert all(len(answer.headers.items()) == len(answers[0].headers.items()) for answer in answers)


@pytest.mark.parametrize("value", ["a\x00b", "\N{SNOWMAN}"])
def test_a_value_no_field_can_carry_is_refused(value: str) -> None:
    with pytest.raises(SetupError, match="security headers"):
        SecurityHeaders(referrer_policy=value)
    with pytest.raises(SetupError, match="security headers"):
        SecurityHeaders(more={"x y": "1"})
    with pytest.raises(SetupError, match="security headers"):
        SecurityHeaders(strict_transport_security=value)
