from __future__ import annotations

import pytest

from framework.errors import RemoteProtocolError
from framework.net.client.redirects import Step, redirected

FIELDS = [("Authorization", "x"), ("cookie", "y"), ("Content-Type", "z"), ("accept", "a"), ("Host", "h")]


def step(method: str, status: int, location: str | None, *, replayable: bool = True) -> Step | None:
    return redirected(method, "http://x/a/b?c", status, location, FIELDS, replayable=replayable)


@pytest.mark.parametrize(
    ("method", "status", "then"),
    [
        ("GET", 301, "GET"),
        ("POST", 301, "GET"),
        ("POST", 302, "GET"),
        ("PUT", 302, "PUT"),
        ("POST", 303, "GET"),
        ("PUT", 303, "GET"),
        ("HEAD", 303, "HEAD"),
        ("POST", 307, "POST"),
        ("POST", 308, "POST"),
    ],
)
def test_methods(method: str, status: int, then: str) -> None:
    found = step(method, status, "/c")
    assert found is not None
    assert (found.method, found.url) == (then, "http://x/c")
    assert found.with_body == (method == then)
    assert ("Content-Type", "z") in found.fields or method != then


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("c", "http://x/a/c"),
        ("?q", "http://x/a/b?q"),
        ("//y/z", "http://y/z"),
        ("https://x/", "https://x/"),
        ("../..", "http://x/"),
    ],
)
def test_locations(location: str, url: str) -> None:
    found = step("GET", 302, location)
    assert found is not None
    assert found.url == url


@pytest.mark.parametrize("location", ["http://y/", "https://x/", "http://x:81/", "//sub.x/"])
def test_another_origin_learns_no_credentials(location: str) -> None:
    found = step("GET", 302, location)
    assert found is not None
    assert [name.lower() for name, _ in found.fields] == ["content-type", "accept"]


def test_the_same_origin_does() -> None:
    found = step("GET", 302, "HTTP://X:80/z")
    assert found is not None
    assert found.fields == FIELDS


@pytest.mark.parametrize(("status", "location"), [(200, "/"), (304, "/"), (300, "/"), (302, None)])
def test_what_is_no_redirect(status: int, location: str | None) -> None:
    assert step("GET", status, location) is None


def test_a_streamed_body_cannot_go_again() -> None:
    assert step("POST", 307, "/c", replayable=False) is None
    assert step("POST", 303, "/c", replayable=False) is not None


@pytest.mark.parametrize("location", ["ftp://x/", "http://u:p@y/", "http://x/\x01", "data:text/html,x"])
def test_a_location_that_leads_nowhere(location: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        step("GET", 302, location)
    assert caught.value.status == 502
