"""Names of status codes."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from framework.http.status import PHRASES, phrase


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (200, "OK"),
        (413, "Content Too Large"),
        (422, "Unprocessable Content"),
        (414, "URI Too Long"),
        (299, "Successful"),
        (499, "Client Error"),
        (599, "Server Error"),
        (199, "Informational"),
        (399, "Redirection"),
        (99, ""),
        (600, ""),
        (-1, ""),
    ],
)
def test_phrase(code: int, name: str) -> None:
    assert phrase(code) == name


def test_every_registered_code_is_named() -> None:
    # 418 is reserved as unused by RFC 9110 section 15.5.19.
    assert {status.value for status in HTTPStatus} - {418} <= PHRASES.keys()
