"""Responses meant for one client."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from framework import Response, StreamingResponse
from framework.middleware.personal import keep_from_shared_caches, unshared


async def nothing() -> AsyncIterator[bytes]:
    yield b""


def test_a_copy_does_not_write_back() -> None:
    shared = Response("x", 201, headers={"a": "1"}, media_type="text/x")
    own = unshared(shared)
    own.set_cookie("a", "b")
    assert (own.body, own.status, own.media_type, own.headers["a"]) == (b"x", 201, "text/x", "1")
    assert "set-cookie" not in shared.headers
    assert unshared(Response()).fields is None


def test_what_can_be_sent_once_is_not_copied() -> None:
    stream = StreamingResponse(nothing())
    assert unshared(stream) is stream


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, "no-store"),
        ("public, max-age=60", "no-store"),
        ("max-age=60", "no-store"),
        ("Private, max-age=60", "Private, max-age=60"),
        ("no-store", "no-store"),
    ],
)
def test_shared_caches_keep_nothing_personal(before: str | None, after: str) -> None:
    response = Response(headers={} if before is None else {"cache-control": before})
    keep_from_shared_caches(response)
    assert response.headers["cache-control"] == after
