from __future__ import annotations

import pytest

from framework.net.client import CookieJar
from framework.net.client.url import parse_url


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def jar_with(*cookies: tuple[str, str]) -> CookieJar:
    jar = CookieJar(clock=Clock())
    for url, value in cookies:
        jar.keep(parse_url(url), value)
    return jar


def sent(jar: CookieJar, url: str) -> str | None:
    return jar.cookie_field(parse_url(url))


def test_a_cookie_goes_back_to_its_host_alone() -> None:
    jar = jar_with(("http://a.example/", "n=v"))
    assert sent(jar, "http://a.example/x") == "n=v"
    assert sent(jar, "http://b.a.example/") is None
    assert sent(jar, "http://example/") is None
    assert sent(jar, "http://xa.example/") is None


def test_a_domain_covers_what_is_below_it() -> None:
    jar = jar_with(("http://a.shop.example/", "n=v; Domain=.Shop.example"))
    assert sent(jar, "http://shop.example/") == "n=v"
    assert sent(jar, "http://b.c.shop.example/") == "n=v"
    assert sent(jar, "http://notshop.example/") is None


@pytest.mark.parametrize(
    ("url", "value"),
    [
        ("http://a.example/", "n=v; Domain=b.example"),
        ("http://a.example/", "n=v; Domain=x.a.example"),
        ("http://a.example/", "n=v; Domain=example"),
        ("http://127.0.0.1/", "n=v; Domain=0.0.1"),
        ("http://a.example/", "n=v; Secure"),
        ("http://a.example/", "__Secure-n=v"),
        ("https://a.example/", "__Secure-n=v"),
        ("https://a.example/", "__Host-n=v; Secure; Path=/; Domain=a.example"),
        ("https://a.example/", "__Host-n=v; Secure; Path=/x"),
        ("https://a.example/", "__HOST-n=v; Secure"),
        ("https://a.example/", "=__Host-n"),
        ("http://a.example/", ""),
        ("http://a.example/", "="),
        ("http://a.example/", "n=a\rb"),
        ("http://a.example/", "n=" + "x" * 5000),
    ],
)
def test_what_is_not_taken(url: str, value: str) -> None:
    jar = CookieJar(clock=Clock())
    assert not jar.keep(parse_url(url), value)
    assert len(jar) == 0


def test_secure_ones_stay_off_plain_http() -> None:
    jar = jar_with(
        ("https://a.example/", "s=1; Secure"), ("https://a.example/", "__Host-h=2; Secure; Path=/")
    )
    assert sent(jar, "http://a.example/") is None
    assert sent(jar, "wss://a.example/") == "s=1; __Host-h=2"


@pytest.mark.parametrize(
    ("path", "target", "covered"),
    [
        ("/a", "/a", True),
        ("/a", "/a/b", True),
        ("/a", "/ab", False),
        ("/a/", "/a/b", True),
        ("/a/", "/a", False),
        ("/", "/x?y", True),
        ("/a", "/a?x", True),
    ],
)
def test_paths(path: str, target: str, covered: bool) -> None:
    jar = jar_with(("http://a.example/", f"n=v; Path={path}"))
    assert (sent(jar, f"http://a.example{target}") is not None) == covered


def test_a_default_path_is_the_folder() -> None:
    jar = jar_with(("http://a.example/x/y?z", "n=v"))
    assert sent(jar, "http://a.example/x/other") == "n=v"
    assert sent(jar, "http://a.example/other") is None


def test_the_longest_path_comes_first() -> None:
    jar = jar_with(("http://a.example/", "n=1; Path=/"), ("http://a.example/", "n=2; Path=/x"))
    assert sent(jar, "http://a.example/x") == "n=2; n=1"


def test_ages() -> None:
    clock = Clock()
    jar = CookieJar(clock=clock)
    url = parse_url("http://a.example/")
    jar.keep(url, "a=1; Max-Age=10; Expires=Thu, 01 Jan 1970 00:00:00 GMT")
    jar.keep(url, "b=2; Expires=Fri, 15 Jan 2027 08:00:20 GMT")
    jar.keep(url, "c=3; Expires=nonsense; Max-Age=x")
    assert jar.cookie_field(url) == "a=1; b=2; c=3"
    clock.now += 10
    assert jar.cookie_field(url) == "b=2; c=3"
    clock.now += 11
    assert jar.cookie_field(url) == "c=3"
    jar.keep(url, "c=; Max-Age=0")
    assert jar.cookie_field(url) is None
    jar.keep(url, "d=4; Expires=Sun, 06 Nov 1994 08:49:37 GMT")
    assert len(jar) == 0


def test_it_is_bounded() -> None:
    jar = CookieJar(max_cookies=2, max_domains=2, clock=Clock())
    for host in "abc":
        for name in "xyz":
            jar.keep(parse_url(f"http://{host}.example/"), f"{name}=1")
    assert len(jar) == 4
    assert sent(jar, "http://a.example/") is None
    assert sent(jar, "http://c.example/") == "y=1; z=1"
    jar.clear()
    assert len(jar) == 0
