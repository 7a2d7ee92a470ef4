"""Connections through a proxy: tunnelled, refused, cut; with TLS inside."""

from __future__ import annotations

import asyncio
import gc
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from framework.errors import LocalProtocolError
from framework.net.client import ConnectError, HTTPClient, TLSError, client_tls
from framework.net.client.proxy import ProxyConnector
from tests.support.certificates import Authority
from tests.support.exchanges import OK
from tests.support.scripted import Peer, Play, listening

pytestmark = pytest.mark.anyio


async def answering(peer: Peer) -> None:
    while True:
        await peer.head()
        peer.send(OK)


class Through(asyncio.Protocol):
    """The far end of a tunnel."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer

    def data_received(self, data: bytes) -> None:
        if not self.peer.lost:
            self.peer.send(data)


def tunnelling(seen: list[bytes], port: Callable[[], int]) -> Play:
    """A proxy that connects to ``port``, whatever it is asked for."""

    async def play(peer: Peer) -> None:
        seen.append(await peer.head())
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(lambda: Through(peer), "127.0.0.1", port())
        try:
            peer.send(b"HTTP/1.1 200 Connected\r\n\r\n")
            while True:
                transport.write(await peer.take(1) + await peer.take(len(peer.buffer)))
        finally:
            transport.close()

    return play


async def test_plain_and_tls_through_a_tunnel(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*authority.issue("far.example"))
    seen: list[bytes] = []
    ports: list[int] = []
    tls = client_tls(ca_file=str(authority.file))
    async with (
        listening(answering) as (plain, _),
        listening(answering, ssl=server) as (secure, _),
        listening(tunnelling(seen, lambda: ports[0])) as (proxy, peers),
    ):
        connector = ProxyConnector(f"http://{proxy}", headers={"Proxy-Authorization": "me"})
        async with HTTPClient(tls=tls, connector=connector) as client:
            ports[:] = [int(plain.rpartition(":")[2])]
            for _ in range(2):
                assert (await client.get("http://far.example/")).body == b"ok"
            ports[:] = [int(secure.rpartition(":")[2])]
            for _ in range(2):
                assert (await client.get("https://far.example/")).body == b"ok"
            with pytest.raises(TLSError):
                await client.get("https://other.example/")
        assert [head.split()[1] for head in seen] == [
            b"far.example:80",
            b"far.example:443",
            b"other.example:443",
        ]
        assert b"host: far.example:80\r\nProxy-Authorization: me\r\n" in seen[0]
        for peer in peers:
            await peer.gone()
    gc.collect()


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n", "answered 407"),
        (b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 900\r\n\r\n", "answered 502"),
        (b"HTTP/1.1 200 OK\r\n\r\nearly", "ahead of the tunnel"),
        (b"nonsense", "invalid status line"),
        (b"", "instead of answering"),
    ],
)
async def test_a_proxy_that_does_not_tunnel(answer: bytes, problem: str) -> None:
    async def play(peer: Peer) -> None:
        await peer.head()
        if answer:
            peer.send(answer)
            await peer.gone()
        peer.close()

    async with listening(play) as (proxy, peers):
        async with HTTPClient("http://far", connector=ProxyConnector(f"http://{proxy}")) as client:
            with pytest.raises(ConnectError, match=problem):
                await client.get("/")
            assert client.pool("/").open == 0
        await peers[0].gone()


def test_a_proxy_is_an_http_url() -> None:
    with pytest.raises(LocalProtocolError):
        ProxyConnector("ws://x")
