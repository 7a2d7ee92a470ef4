"""Trusted hosts: who may be asked for here."""

from __future__ import annotations

import pytest

from framework import App, Phase
from framework.errors import SetupError
from framework.middleware.trusted_hosts import TrustedHosts
from framework.testing import TestClient

pytestmark = pytest.mark.anyio


def app_with(*hosts: str) -> App:
    app = App()
    trusted = TrustedHosts(hosts)
    app.use(trusted, Phase.EDGE)

    @app.get("/")
    async def read() -> str:
        return "ok"

    @app.get("/healthz", skip=[trusted])
    async def health() -> str:
        return "well"

    return app


@pytest.mark.parametrize(
    ("pattern", "host"),
    [
        ("example.com", "example.com"),
        ("example.com", "EXAMPLE.com:8080"),
        ("Example.COM", "example.com."),
        ("example.com", "example.com.:80"),
        ("example.com", "example.com:"),
        ("*.example.com", "a.example.com"),
        ("*.example.com", "a.b.example.com:1"),
        ("127.0.0.1", "127.0.0.1:8000"),
        ("[::1]", "[::1]"),
        ("[::1]", "[::1]:8000"),
        ("[::1]:8000", "[::1]:8000"),
        ("localhost:8000", "localhost:8000"),
        ("example.com:80", "example.com"),
        ("*.example.com:8000", "a.example.com:8000"),
        ("my_host", "my_host"),
    ],
)
def test_a_listed_host_is_served(pattern: str, host: str) -> None:
    assert TrustedHosts([pattern]).allows(host)


@pytest.mark.parametrize(
    ("pattern", "host"),
    [
        ("example.com", "example.com.evil.test"),
        ("example.com", "evilexample.com"),
        ("example.com", "a.example.com"),
        ("example.com", ""),
        ("example.com", "example.com.."),
        ("example.com", "exampleXcom"),
        ("example.com", "example.com,evil.test"),
        ("*.example.com", "example.com"),
        ("*.example.com", ".example.com"),
        ("*.example.com", "evilexample.com"),
        ("*.example.com", "a..example.com"),
        ("*.example.com", "a%2f.example.com"),
        ("*.example.com", "evil.test:80.example.com"),
        ("localhost:8000", "localhost:8001"),
        ("localhost:8000", "localhost"),
        ("example.com:443", "example.com"),
        ("[::1]", "[::2]"),
        ("[::1]:8000", "[::1]"),
    ],
)
def test_any_other_is_not(pattern: str, host: str) -> None:
    """litestar CVE-2026-25479 among them: a dot of the list is a dot."""
    assert not TrustedHosts([pattern]).allows(host)


def test_the_default_port_is_the_schemes() -> None:
    assert TrustedHosts(["example.com:443"]).allows("example.com", "https")
    assert not TrustedHosts(["example.com:80"]).allows("example.com", "https")


async def test_another_host_is_answered_by_421() -> None:
    """RFC 9110 section 7.4: the request is misdirected, not malformed."""
    async with TestClient(app_with("example.com")) as client:
        assert (await client.get("/", headers={"host": "example.com"})).text == "ok"
        answer = await client.get("/", headers={"host": "evil.test"})
        assert (answer.status, answer.headers["content-type"]) == (421, "application/problem+json")
        assert answer.json()["detail"] == "this server does not answer for the host 'evil.test'"
        assert (await client.get("/nowhere", headers={"host": "evil.test"})).status == 421
        assert (await client.get("/healthz", headers={"host": "10.0.0.7"})).text == "well"
        answer = await client.raw(b"GET / HTTP/1.0\r\n\r\n")
        assert answer.status == 421
        absolute = b"GET http://evil.test/ HTTP/1.1\r\nhost: example.com\r\n\r\n"
        assert (await client.raw(absolute)).status == 421


async def test_the_host_a_trusted_proxy_tells_of_counts() -> None:
    told = {"host": "internal:9000", "x-forwarded-host": "example.com"}
    async with TestClient(
        app_with("example.com"), settings={"server.trusted_proxies": ("127.0.0.1",)}
    ) as client:
        assert (await client.get("/", headers=told)).status == 200
        assert (
            await client.get("/", headers={"host": "example.com", "x-forwarded-host": "evil.test"})
        ).status == 421


async def test_the_host_a_stranger_tells_of_does_not() -> None:
    async with TestClient(app_with("example.com")) as client:
        assert (
            await client.get("/", headers={"host": "evil.test", "x-forwarded-host": "example.com"})
        ).status == 421
        assert (
            await client.get("/", headers={"host": "example.com", "x-forwarded-host": "evil.test"})
        ).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "",
        "*",
        "*.",
        "*.*.com",
        "a*.com",
        "https://a.com",
        "a.com/",
        "a.com:",
        "a.com:x",
        "a b",
        "::1",
        ".a.com",
    ],
)
def test_what_is_no_host_is_refused(host: str) -> None:
    with pytest.raises(SetupError, match="trusted hosts: "):
        TrustedHosts([host])


def test_every_fault_is_named_and_an_empty_list_is_one() -> None:
    with pytest.raises(SetupError) as caught:
        TrustedHosts(["*", "a b"])
    assert len(caught.value.problems) == 2
    with pytest.raises(SetupError, match="leave the middleware out"):
        TrustedHosts([])


def test_it_shows_its_hosts() -> None:
    assert repr(TrustedHosts(["A.example", "*.b.example"])) == "<TrustedHosts a.example, *.b.example>"
    assert TrustedHosts("a.example").allows("a.example")


async def test_what_is_remembered_is_bounded() -> None:
    app = app_with("*.example.com")
    trusted = app.app_layers[0].middleware
    assert isinstance(trusted, TrustedHosts)
    async with TestClient(app) as client:
        for number in range(300):
            assert (await client.get("/", headers={"host": f"a{number}.example.com"})).status == 200
        assert (await client.get("/", headers={"host": "a1.example.com"})).status == 200
    assert len(trusted._allowed) == 256
