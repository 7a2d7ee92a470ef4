"""How a response ends, what breaks it, and what comes unasked."""

from __future__ import annotations

import asyncio

import pytest

from framework.errors import PeerClosed, RemoteProtocolError
from framework.net.client import (
    OriginPool,
    OutgoingRequest,
    PoolSettings,
    Timeouts,
)
from tests.support.exchanges import GET, OK, answers, get, run, whole
from tests.support.scripted import NetworkConnector, Peer


class TestFraming:
    """How a response ends (RFC 9112 section 6.3)."""

    @pytest.mark.parametrize(
        ("response", "body"),
        [
            (OK, b"ok"),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", b""),
            (
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
                b"abcde",
            ),
            (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
            (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 10\r\n\r\n", b""),
            (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nlink: x\r\n\r\n" + OK, b"ok"),
            (b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 1\r\n\r\nx", b"x"),
        ],
    )
    def test_a_framed_response_leaves_its_connection_in_use(self, response: bytes, body: bytes) -> None:
        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            for _ in range(2):
                raw = await pool.exchange(get())
                assert await whole(raw) == body
                assert raw.complete
            assert connector.calls == 1
            assert (pool.open, pool.idle) == (1, 1)

        run(answers(response, response), check)

    @pytest.mark.parametrize(
        "response",
        [
            b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
            b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        ],
    )
    def test_a_response_that_closes_is_the_last_of_its_connection(self, response: bytes) -> None:
        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            for _ in range(2):
                assert await whole(await pool.exchange(get())) == b"ok"
                assert pool.open == 0
            assert connector.calls == 2

        run(answers(response), check)

    def test_a_body_may_end_with_the_connection(self) -> None:
        async def play(peer: Peer) -> None:
            await peer.head()
            peer.send(b"HTTP/1.1 200 OK\r\n\r\nall ")
            await asyncio.sleep(1)
            peer.send(b"of it")
            peer.close()

        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            assert await whole(await pool.exchange(get())) == b"all of it"
            assert pool.open == 0

        run(play, check)

    def test_a_body_that_ends_by_a_reset_is_torn(self) -> None:
        async def play(peer: Peer) -> None:
            await peer.head()
            peer.send(b"HTTP/1.1 200 OK\r\n\r\nsome")
            await asyncio.sleep(1)
            peer.abort()

        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            raw = await pool.exchange(get())
            assert await raw.receive() == b"some"
            with pytest.raises(PeerClosed, match="before its response was whole"):
                await raw.receive()

        run(play, check)

    @pytest.mark.parametrize("method", ["HEAD", "GET"])
    def test_head_has_no_body_whatever_it_says(self, method: str) -> None:
        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            raw = await pool.exchange(OutgoingRequest(method=method, head=GET))
            assert (raw.complete, raw.head.content_length) == (method == "HEAD", 5)
            raw.close()
            assert pool.open == (method == "HEAD")

        run(answers(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"), check)

    def test_trailers_are_kept_apart(self) -> None:
        response = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 97\r\nx-sum: b\r\n\r\n"

        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            raw = await pool.exchange(get())
            assert await whole(raw) == b"a"
            assert raw.trailers == [("x-sum", "97"), ("x-sum", "b")]
            assert raw.head.field("x-sum") is None
            assert pool.idle == 1

        run(answers(response), check)


class TestBrokenResponses:
    """What breaks the framing is an error and never a guess; its connection is gone."""

    @pytest.mark.parametrize(
        "response",
        [
            pytest.param(
                b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", id="CL+TE"
            ),
            pytest.param(
                b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\nx", id="CL twice"
            ),
            pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 1, 1\r\n\r\nx", id="CL list"),
            pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: +1\r\n\r\nx", id="CL sign"),
            pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 1_0\r\n\r\nx", id="CL underscore"),
            pytest.param(
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n", id="TE twice"
            ),
            pytest.param(b"HTTP/1.1 200 OK\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n", id="TE unknown"),
            pytest.param(b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", id="TE in 1.0"),
            pytest.param(b"HTTP/1.1 200 OK\r\nx: a\r\n b\r\ncontent-length: 0\r\n\r\n", id="obs-fold"),
            pytest.param(b"HTTP/1.1 200 OK\r\nx: a\rb\r\ncontent-length: 0\r\n\r\n", id="bare CR"),
            pytest.param(b"HTTP/1.1 200 OK\ncontent-length: 0\n\n", id="bare LF"),
            pytest.param(b"HTTP/1.1 200 OK\r\nx : a\r\ncontent-length: 0\r\n\r\n", id="blank before colon"),
            pytest.param(b"HTTP/1.1 200 OK\r\nx\0y: a\r\n\r\n", id="NUL in a name"),
            pytest.param(b"HTTP/2 200 OK\r\n\r\n", id="another version"),
            pytest.param(b"HTTP/1.1 99 Low\r\n\r\n", id="two digits"),
            pytest.param(b"HTTP/1.1 1000 High\r\n\r\n", id="four digits"),
            pytest.param(b"\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", id="empty line first"),
            pytest.param(b"<html>", id="no head at all"),
            pytest.param(
                b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", id="101 unasked"
            ),
            pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" * 40, id="1xx without end"),
        ],
    )
    def test_a_broken_head(self, response: bytes) -> None:
        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            with pytest.raises(RemoteProtocolError) as caught:
                await pool.exchange(get())
            assert caught.value.status == 502
            assert pool.open == 0

        run(answers(response), check)

    @pytest.mark.parametrize(
        "chunks",
        [
            pytest.param(b"0x1\r\na\r\n0\r\n\r\n", id="0x"),
            pytest.param(b"1 \r\na\r\n0\r\n\r\n", id="blank"),
            pytest.param(b"-1\r\n", id="sign"),
            pytest.param(b"1\na\n0\n\n", id="bare LF"),
            pytest.param(b"1\r\nab\r\n0\r\n\r\n", id="too long"),
            pytest.param(b"ffffffffffffffffff\r\n", id="huge"),
            pytest.param(b"0\r\ncontent-length: 1\r\n\r\n", id="framing in a trailer"),
            pytest.param(b"1\r\na\r\n0\r\n x: y\r\n\r\n", id="folded trailer"),
        ],
    )
    @pytest.mark.parametrize("together", [True, False])
    def test_a_broken_chunk(self, chunks: bytes, together: bool) -> None:
        head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"

        async def play(peer: Peer) -> None:
            await peer.head()
            if together:
                peer.send(head + chunks)
            else:
                peer.send(head)
                await asyncio.sleep(1)
                peer.send(chunks)
            await peer.gone()

        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            raw = await pool.exchange(get())
            with pytest.raises(RemoteProtocolError) as caught:
                await whole(raw)
            assert caught.value.status == 502
            assert pool.open == 0

        run(play, check)

    def test_a_head_too_large(self) -> None:
        async def play(peer: Peer) -> None:
            await peer.head()
            peer.send(b"HTTP/1.1 200 OK\r\n")
            while not peer.eof:
                peer.send(b"x: " + b"y" * 200 + b"\r\n")
                await asyncio.sleep(0.1)

        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            with pytest.raises(RemoteProtocolError, match="too large"):
                await pool.exchange(get())

        run(play, check, settings=PoolSettings(max_head=4096))

    def test_too_many_fields(self) -> None:
        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            with pytest.raises(RemoteProtocolError, match="too many"):
                await pool.exchange(get())

        run(
            answers(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 11 + b"\r\n"),
            check,
            settings=PoolSettings(max_fields=10),
        )


class TestUnaskedBytes:
    """Response smuggling: what comes without a request is nobody's answer."""

    @pytest.mark.parametrize(
        "first",
        [
            OK + OK,
            OK + b"x",
            b"HTTP/1.1 204 No Content\r\n\r\nbody",
            b"HTTP/1.1 304 Not Modified\r\ncontent-length: 4\r\n\r\nbody",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" + OK,
        ],
    )
    def test_behind_a_response_in_the_same_piece(self, first: bytes) -> None:
        async def play(peer: Peer) -> None:
            await peer.head()
            peer.send(first if peer.number == 0 else OK)
            await peer.gone()

        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            raw = await pool.exchange(get())
            await whole(raw)
            assert pool.open == 0
            assert await whole(await pool.exchange(get())) == b"ok"
            assert connector.calls == 2

        run(play, check)

    def test_on_an_idle_connection(self) -> None:
        async def play(peer: Peer) -> None:
            await peer.head()
            peer.send(OK)
            if peer.number == 0:
                await asyncio.sleep(1)
                peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil")
            await peer.gone()

        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            assert await whole(await pool.exchange(get())) == b"ok"
            assert pool.idle == 1
            await asyncio.sleep(2)
            assert (pool.open, pool.idle) == (0, 0)
            assert await whole(await pool.exchange(get())) == b"ok"

        run(play, check)

    def test_before_the_first_request(self) -> None:
        """A fresh connection that speaks first is not trusted either: its bytes came before the question."""

        async def play(peer: Peer) -> None:
            if peer.number == 0:
                peer.send(OK)
            await peer.head()
            peer.send(OK.replace(b"ok", b"me"))
            await peer.gone()

        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            connection = await pool._acquire(Timeouts(), float("inf"), 0.0)
            await asyncio.sleep(1)
            assert not connection.usable
            assert pool.open == 0
            assert await whole(await pool.exchange(get())) == b"me"

        run(play, check)
