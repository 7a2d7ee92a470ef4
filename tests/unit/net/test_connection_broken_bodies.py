"""Request bodies that break, stop, or lose their client; and their trailers."""

from __future__ import annotations

import asyncio
import logging

import pytest

from framework.errors import HTTPError, PeerClosed, RemoteProtocolError
from framework.http.request import Request
from framework.http.response import Response
from tests.support.bodies import chunked, echo, slowly
from tests.support.harness import App, harness, request_bytes


@pytest.mark.parametrize("reads_first", [False, True])
def test_a_malformed_body_is_a_400_to_its_reader(reads_first: bool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "framework.server")
    with harness(echo if reads_first else slowly) as server:
        client = server.connect()
        client.send(request_bytes("POST", transfer_encoding="chunked") + b"5\r\nhello\r\n")
        client.send(b"zz\r\nmore")
        client.send(b"and more" * 100)
        server.advance(1)
        reply = client.reply()
        assert reply.status == 400
        assert reply["connection"] == "close"
        assert isinstance(server.app.errors[0], RemoteProtocolError)
        client.send(request_bytes() * 3)
        assert client.raw() == b""
    assert len([record for record in caplog.records if record.name == "framework.server"]) == 1


def test_a_malformed_body_its_handler_does_not_read_ends_the_connection() -> None:
    async def handler(request: Request) -> Response:
        await asyncio.sleep(1)
        return Response("ignored")

    with harness(handler) as server:
        client = server.connect()
        client.send(request_bytes("POST", transfer_encoding="chunked") + b"5\r\nhello\r\n")
        client.send(b"zz\r\n")
        server.advance(1)
        reply = client.reply()
        assert (reply.status, reply["connection"]) == (200, "close")
        assert client.closed


@pytest.mark.parametrize("how", ["reset", "eof"])
def test_a_client_that_leaves_in_mid_body_is_peer_closed_to_its_reader(how: str) -> None:
    seen: list[BaseException] = []

    async def handler(request: Request) -> Response:
        try:
            async for _ in request.stream():
                pass
        except BaseException as error:
            seen.append(error)
            await asyncio.sleep(1)  # it may clean up: it was told, not cancelled
            seen.append(error)
            raise
        return Response()

    with harness(handler) as server:
        client = server.connect()
        client.send(request_bytes("POST", content_length="10") + b"hello")
        if how == "reset":
            client.reset()
        else:
            client.send_eof()
        server.advance(1)
        assert [type(error) for error in seen] == [PeerClosed, PeerClosed]
        assert [type(error) for error in server.app.errors] == [PeerClosed]
        assert not server.core.connections
        assert client.raw() == b""


def test_a_client_that_leaves_cancels_a_handler_whose_child_reads_the_body() -> None:
    seen: list[str] = []

    async def child(request: Request) -> None:
        try:
            await request.body()
        except PeerClosed:
            seen.append("child: PeerClosed")

    async def handler(request: Request) -> Response:
        task = asyncio.create_task(child(request))
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            seen.append("handler: cancelled")
            await task
            raise
        return Response()

    with harness(handler) as server:
        client = server.connect()
        client.send(request_bytes("POST", content_length="10"))
        client.reset()
        assert sorted(seen) == ["child: PeerClosed", "handler: cancelled"]


def test_trailers_are_kept_apart_from_the_fields() -> None:
    async def handler(request: Request) -> Response:
        with pytest.raises(RuntimeError, match="read it to its end"):
            _ = request.trailers
        await request.body()
        assert request.headers.get("x-sum") is None
        return Response(request.trailers.get("x-sum") or "none")

    with harness(handler) as server:
        client = server.connect()
        client.send(chunked(b"hello", trailer=b"X-Sum: 12\r\n"))
        assert client.reply().body == b"12"


def test_errors_of_the_handler_leave_the_connection_usable_when_the_body_is_whole() -> None:
    async def handler(request: Request) -> Response:
        raise HTTPError(422, "no")

    with harness(App(handler)) as server:
        client = server.connect()
        client.send(request_bytes("POST", body=b"hello") + request_bytes())
        assert [reply.status for reply in client.replies()] == [422, 422]
