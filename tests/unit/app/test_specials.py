"""Answers that are no handler's."""

from __future__ import annotations

import pytest

from framework.app.specials import bad_path, miss, not_allowed, options
from framework.errors import HTTPError
from framework.testing import fake_request


def refused(answer: object, method: str = "GET", target: str = "/") -> HTTPError:
    assert callable(answer)
    with pytest.raises(HTTPError) as caught:
        answer(fake_request(method, target))
    return caught.value


def test_methods_that_a_path_does_not_have() -> None:
    error = refused(not_allowed(("GET", "HEAD")), "PUT")
    assert (error.status, error.detail, error.headers) == (
        405,
        "PUT is not allowed here",
        {"allow": "GET, HEAD"},
    )


def test_options_name_the_methods() -> None:
    answer = options(("GET", "HEAD"))(fake_request("OPTIONS"))
    assert (answer.status, answer.headers["allow"], answer.body) == (204, "GET, HEAD", b"")


def test_what_is_nowhere() -> None:
    error = refused(miss, target="/a?q=secret")
    assert (error.status, error.detail) == (404, "nothing is at /a")
    assert len(refused(miss, target="/" + "a" * 5000).detail or "") < 250
    assert refused(miss, "CONNECT", "example.com:443").status == 501
    assert miss(fake_request("OPTIONS", "*")).status == 204


@pytest.mark.parametrize("target", ["/%00", "/%zz", "/../x", "/%ff"])
def test_what_is_no_path(target: str) -> None:
    assert refused(bad_path, target=target).status == 400
    assert refused(bad_path, "CONNECT", "example.com:443").status == 501
