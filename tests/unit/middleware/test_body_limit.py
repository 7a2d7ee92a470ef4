"""Body limits, told and counted."""

from __future__ import annotations

import pytest

from framework import App, Phase, Request
from framework.errors import SetupError
from framework.middleware.body_limit import BodyLimit
from framework.testing import TestClient

pytestmark = pytest.mark.anyio

SMALL = BodyLimit(10)


def app_with(limit: BodyLimit) -> App:
    app = App()
    app.use(limit, Phase.TRAFFIC)

    @app.post("/body")
    async def body(request: Request) -> int:
        return len(await request.body())

    @app.post("/stream")
    async def stream(request: Request) -> int:
        return sum([len(piece) async for piece in request.stream()])

    @app.post("/wide")
    async def wide(request: Request) -> int:
        return len(await request.body(max_size=1000))

    @app.post("/bound")
    async def bound(value: list[int]) -> int:
        return len(value)

    @app.post("/narrow", max_body=3)
    async def narrow(request: Request) -> int:
        return len(await request.body())

    @app.post("/free", skip=[limit])
    async def free(request: Request) -> int:
        return len(await request.body())

    return app


def chunked(path: str, *pieces: bytes) -> bytes:
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    return b"POST %b HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n%b" % (path.encode(), body)


async def test_a_told_length_is_refused_early() -> None:
    async with TestClient(app_with(SMALL)) as client:
        assert (await client.post("/body", content=b"x" * 10)).json() == 10
        answer = await client.post("/body", content=b"x" * 11)
        assert (answer.status, answer.json()["detail"]) == (413, "the body is larger than 10 bytes")
        assert (await client.post("/free", content=b"x" * 11)).json() == 11
        assert (await client.post("/narrow", content=b"x" * 4)).status == 413
        assert (await client.post("/nowhere", content=b"x" * 11)).status == 413


async def test_a_body_too_large_is_never_asked_for() -> None:
    """The client that waits for 100 (Continue) gets 413 and sends nothing."""
    async with TestClient(app_with(SMALL)) as client:
        answer = await client.raw(
            b"POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 9999\r\nexpect: 100-continue\r\n\r\n",
            method="POST",
        )
        assert (answer.status, answer.informational) == (413, [])


async def test_chunks_are_counted() -> None:
    """hono CVE-2025-59139: a body in chunks went past the limit."""
    async with TestClient(app_with(SMALL)) as client:
        assert (await client.raw(chunked("/body", b"x" * 5, b"x" * 5))).json() == 10
        assert (await client.raw(chunked("/stream", b"x" * 5, b"x" * 5))).json() == 10
        for path in ("/body", "/narrow", "/stream", "/wide"):
            assert (await client.raw(chunked(path, b"x" * 5, b"x" * 6))).status == 413
            assert (await client.raw(chunked(path, *[b"x" * 1000] * 30))).status == 413
        assert (await client.raw(chunked("/free", b"x" * 11))).json() == 11


async def test_a_length_beside_chunks_tells_nothing() -> None:
    both = b"POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n"
    async with TestClient(app_with(SMALL)) as client:
        assert (await client.raw(both + b"14\r\n" + b"x" * 20 + b"\r\n0\r\n\r\n")).status in (400, 413)


async def test_the_next_request_has_its_own_limit() -> None:
    async with TestClient(app_with(SMALL)) as client:
        assert (await client.raw(chunked("/body", b"x" * 11))).status == 413
        assert (await client.raw(chunked("/free", b"x" * 11))).json() == 11


async def test_unknown_lengths_can_be_kept_out() -> None:
    async with TestClient(app_with(BodyLimit(10, chunked=False))) as client:
        answer = await client.raw(chunked("/body", b"x"))
        assert (answer.status, answer.json()["detail"]) == (411, "the length of the body must be told")
        assert (await client.post("/body", content=b"x")).json() == 1
        assert (await client.get("/nowhere")).status == 404


async def test_of_two_limits_the_smaller_holds() -> None:
    for outer, inner in ((5, 10), (10, 5)):
        app = App()
        app.use(BodyLimit(outer), Phase.TRAFFIC)
        group = app.group("/g", middleware=[BodyLimit(inner)])

        @group.post("/")
        async def body(request: Request) -> int:
            return len(await request.body())

        async with TestClient(app) as client:
            for size, status in ((5, 200), (6, 413)):
                assert (await client.post("/g/", content=b"x" * size)).status == status
                assert (await client.raw(chunked("/g/", b"x" * size))).status == status


async def test_zero_takes_no_body_at_all() -> None:
    async with TestClient(app_with(BodyLimit(0))) as client:
        assert (await client.post("/body", content=b"")).json() == 0
        assert (await client.post("/body", content=b"x")).status == 413


def test_a_negative_limit_is_refused() -> None:
    with pytest.raises(SetupError, match="-1 bytes"):
        BodyLimit(-1)
    assert repr(BodyLimit(5)) == "<BodyLimit 5>"
