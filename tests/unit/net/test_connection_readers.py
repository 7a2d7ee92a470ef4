"""Clients that do not read what was written for them, or too slowly."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any

import pytest

from framework.http.request import Request
from framework.http.response import Response
from tests.support.harness import harness, request_bytes

TICK = 0.25


async def hello(request: Request) -> Response:
    return Response("hello")


async def large(request: Request) -> Response:
    return Response(b"x" * 500_000)


def test_a_client_that_does_not_read_is_cut_after_write_timeout(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "framework.server")

    with harness(large, write_timeout=30.0) as server:
        client = server.connect()
        client.transport.room = 0
        client.send(request_bytes())
        server.advance(29.5)
        assert not client.transport.lost
        server.advance(1)
        assert client.transport.aborted
    assert re.search("cut off a client that does not read: [0-9]+ bytes", caplog.text)


def test_a_client_that_reads_slowly_is_borne_with() -> None:
    with harness(large, write_timeout=30.0) as server:
        client = server.connect()
        client.transport.room = 0
        client.send(request_bytes())
        for _ in range(50):
            server.advance(20)
            client.take(10_100)
        assert len(client.reply().body) == 500_000


def test_a_client_that_leaves_a_small_rest_unread_is_cut_as_well() -> None:
    """Less than the high watermark waits, so that the transport never pauses us; the close must not wait for ever."""
    with harness(hello, keep_alive_timeout=75.0, write_timeout=30.0) as server:
        cases: list[dict[str, Any]] = [{}, {"connection": "close"}]
        for fields in cases:
            client = server.connect()
            client.transport.room = 0
            client.send(request_bytes(**fields))
            server.advance(75 + 30 + 4 * TICK)
            assert client.transport.aborted
            assert client.transport.lost


def test_a_client_that_closes_its_side_but_does_not_read_is_cut_as_well() -> None:
    with harness(hello, write_timeout=30.0) as server:
        client = server.connect()
        client.transport.room = 0
        client.send(request_bytes())
        client.send_eof()
        assert not client.transport.lost
        server.advance(30 + 2 * TICK)
        assert client.transport.lost


def test_progress_is_told_from_what_a_later_response_adds() -> None:
    """The client takes some of the first response while a second, larger one is written."""

    async def handler(request: Request) -> Response:
        if request.query_string:
            await asyncio.sleep(10)
        return Response(b"x" * 200_000)

    with harness(handler, write_timeout=30.0) as server:
        client = server.connect()
        client.transport.room = 0
        client.send(request_bytes() + request_bytes("GET", "/?later"))
        server.advance(20)
        client.take(1000)
        server.advance(12)
        assert not client.transport.lost
        client.take(None)
        assert len(client.replies()) == 2
