"""How a connection comes about: names, addresses that race, TLS, unix sockets; and what it leaves when it does not."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from framework.net.client import (
    ConnectError,
    ExchangeDeadline,
    HTTPClient,
    NameResolutionError,
    Origin,
    OutgoingRequest,
    Pools,
    SocketConnector,
    Timeouts,
    TLSError,
    client_tls,
)
from framework.net.client.connect import SocketAddress, interleaved
from framework.testing import run_virtual
from framework.testing.cancellation import Trial, cancel_everywhere
from tests.support.certificates import Authority
from tests.support.exchanges import GET, OK, get, whole
from tests.support.scripted import Peer, listening

FOUR, SIX = socket.AF_INET, socket.AF_INET6


async def answering(peer: Peer) -> None:
    while True:
        await peer.head()
        peer.send(OK)


def host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


class TestOrder:
    def test_the_families_take_turns(self) -> None:
        given: list[SocketAddress] = [(SIX, 1), (SIX, 2), (SIX, 3), (FOUR, 4), (FOUR, 5)]
        assert [where for _, where in interleaved(given)] == [1, 4, 2, 5, 3]
        assert interleaved([]) == []


class Dialled:
    """Addresses that answer, refuse or stay silent, by number, in virtual time."""

    def __init__(self, **plan: float | str) -> None:
        self.plan = plan
        self.tried: list[tuple[float, str]] = []
        self.made: list[socket.socket] = []

    async def __call__(self, address: SocketAddress) -> socket.socket:
        name: str = address[1][0]
        self.tried.append((asyncio.get_running_loop().time(), name))
        what = self.plan[name]
        if isinstance(what, str):
            raise ConnectionRefusedError(what)
        await asyncio.sleep(what)
        here, there = socket.socketpair()
        there.close()
        self.made.append(here)
        return here

    async def resolve(self, host: str, port: int) -> list[SocketAddress]:
        return [(FOUR, (name, port)) for name in self.plan]

    def connector(self) -> SocketConnector:
        return SocketConnector(resolve=self.resolve, dial=self)

    @property
    def open(self) -> int:
        return sum(sock.fileno() >= 0 for sock in self.made)


class TestRace:
    """RFC 8305."""

    def _run(self, dialled: Dialled, check: Callable[[SocketConnector], Awaitable[None]]) -> None:
        async def main() -> None:
            await check(dialled.connector())

        run_virtual(main())

    def test_a_silent_address_gets_company_after_a_while(self) -> None:
        dialled = Dialled(a=100.0, b=0.1, c=0.1)

        async def check(connector: SocketConnector) -> None:
            sock = await connector._race(await dialled.resolve("x", 1))
            assert dialled.tried == [(0.0, "a"), (0.25, "b")]
            assert dialled.open == 1
            sock.close()

        self._run(dialled, check)

    def test_one_that_refuses_is_followed_at_once(self) -> None:
        dialled = Dialled(a="no", b="no", c=0.1)

        async def check(connector: SocketConnector) -> None:
            (await connector._race(await dialled.resolve("x", 1))).close()
            assert dialled.tried == [(0.0, "a"), (0.0, "b"), (0.0, "c")]

        self._run(dialled, check)

    def test_the_first_to_answer_wins_and_the_others_are_closed(self) -> None:
        dialled = Dialled(a=0.6, b=0.35, c=0.1)

        async def check(connector: SocketConnector) -> None:
            sock = await connector._race(await dialled.resolve("x", 1))
            assert asyncio.get_running_loop().time() == pytest.approx(0.6)
            await asyncio.sleep(1)
            assert dialled.open == 1
            sock.close()

        self._run(dialled, check)

    def test_all_refuse(self) -> None:
        dialled = Dialled(a="no", b="nor I")

        async def check(connector: SocketConnector) -> None:
            pools = Pools(connector=connector)
            with pytest.raises(ConnectError, match="cannot connect to http://x:81: no; nor I") as caught:
                await pools.pool(Origin("x", 81)).exchange(get())
            assert len(caught.value.causes) == 2
            await pools.aclose()

        self._run(dialled, check)

    def test_cancelled_at_every_moment_it_leaves_no_socket(self) -> None:
        async def scenario(trial: Trial) -> None:
            dialled = Dialled(a=0.4, b="no", c=0.15, d=0.3)
            outcome = await trial(dialled.connector()._race(await dialled.resolve("x", 1)))
            if outcome.result is not None:
                outcome.result.close()
            await asyncio.sleep(1)
            assert dialled.open == 0

        report = cancel_everywhere(scenario)
        assert report.points > 5


class TestNames:
    def test_a_name_without_an_address(self) -> None:
        async def resolve(host: str, port: int) -> list[SocketAddress]:
            if host == "empty":
                return []
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        async def main() -> None:
            async with HTTPClient(connector=SocketConnector(resolve=resolve)) as client:
                for host in ("nowhere", "empty"):
                    with pytest.raises(NameResolutionError, match=f"cannot connect to http://{host}"):
                        await client.get(f"http://{host}/")

        run_virtual(main())

    def test_a_slow_name_counts_as_connecting(self) -> None:
        async def resolve(host: str, port: int) -> list[SocketAddress]:
            await asyncio.sleep(1000)
            return []

        async def main() -> None:
            connector = SocketConnector(resolve=resolve)
            async with HTTPClient(connector=connector, timeouts=Timeouts(connect=2.0)) as client:
                with pytest.raises(ExchangeDeadline) as caught:
                    await client.get("http://slow/")
                assert caught.value.phase == "connect"

        run_virtual(main())


@pytest.mark.anyio
class TestSockets:
    async def test_by_address_and_by_name(self) -> None:
        async with listening(answering) as (address, peers), HTTPClient() as client:
            _, port = host_and_port(address)
            for host in ("127.0.0.1", "localhost"):
                assert (await client.get(f"http://{host}:{port}/")).body == b"ok"
            assert len(peers) == 2

    async def test_a_port_where_nobody_listens(self) -> None:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            port = sock.getsockname()[1]
            async with HTTPClient() as client:
                with pytest.raises(ConnectError, match="Connect call failed") as caught:
                    await client.get(f"http://127.0.0.1:{port}/")
                assert isinstance(caught.value.causes[0], ConnectionRefusedError)
                assert client.pool(f"http://127.0.0.1:{port}/").open == 0

    async def test_a_unix_socket(self, tmp_path: Path) -> None:
        loop = asyncio.get_running_loop()

        class Answering(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                self.transport = transport

            def data_received(self, data: bytes) -> None:
                assert isinstance(self.transport, asyncio.Transport) or hasattr(self.transport, "write")
                self.transport.write(OK)  # type: ignore[union-attr]

        path = str(tmp_path / "s")
        server = await loop.create_unix_server(Answering, path)
        async with HTTPClient("http://app", unix_socket=path) as client:
            assert (await client.get("/")).body == b"ok"
        async with HTTPClient("http://app", unix_socket=path + "x") as client:
            with pytest.raises(ConnectError, match="No such file"):
                await client.get("/")
        server.close()
        await server.wait_closed()

    async def test_a_reset_in_the_middle_is_told_as_one(self) -> None:
        async def play(peer: Peer) -> None:
            await peer.head()
            peer.send(b"HTTP/1.1 200 OK\r\n\r\nsome")
            await peer.head()
            peer.abort()

        from framework.errors import PeerClosed

        async with listening(play) as (address, _):
            pools = Pools()
            host, port = host_and_port(address)
            raw = await pools.pool(Origin(host, port)).exchange(get())
            assert await raw.receive() == b"some"
            assert raw._flow is not None
            raw._flow.transport.write(GET)  # type: ignore[attr-defined]
            with pytest.raises(PeerClosed):
                await raw.receive()
            await pools.aclose()


@pytest.mark.anyio
class TestTLS:
    @pytest.fixture
    def authority(self, tmp_path: Path) -> Authority:
        return Authority(tmp_path)

    def _server(self, authority: Authority, *names: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.issue(*names))
        return context

    async def test_a_certificate_of_a_known_authority(self, authority: Authority) -> None:
        server = self._server(authority, "localhost")
        tls = client_tls(ca_file=str(authority.file))
        async with listening(answering, ssl=server) as (address, _), HTTPClient(tls=tls) as client:
            _, port = host_and_port(address)
            for _ in range(2):
                assert (await client.get(f"https://localhost:{port}/")).body == b"ok"
            assert client.pools.connections == 1

    async def test_one_of_an_unknown_authority(self, authority: Authority) -> None:
        server = self._server(authority, "localhost")
        async with listening(answering, ssl=server) as (address, _), HTTPClient() as client:
            _, port = host_and_port(address)
            with pytest.raises(TLSError, match="CERTIFICATE_VERIFY_FAILED"):
                await client.get(f"https://localhost:{port}/")
            assert client.pool(f"https://localhost:{port}/").open == 0
        gc.collect()

    async def test_one_of_another_host(self, authority: Authority) -> None:
        server = self._server(authority, "other.example")
        tls = client_tls(ca_file=str(authority.file))
        async with listening(answering, ssl=server) as (address, _), HTTPClient(tls=tls) as client:
            _, port = host_and_port(address)
            with pytest.raises(TLSError, match="mismatch"):
                await client.get(f"https://localhost:{port}/")

    async def test_another_host_by_server_name(self, authority: Authority) -> None:
        server = self._server(authority, "other.example")
        tls = client_tls(ca_file=str(authority.file))
        async with listening(answering, ssl=server) as (address, _):
            pools = Pools()
            host, port = host_and_port(address)
            pool = pools.pool(Origin(host, port, tls, "other.example"))
            assert await whole(await pool.exchange(get())) == b"ok"
            await pools.aclose()

    async def test_without_verification(self, authority: Authority) -> None:
        server = self._server(authority, "other.example")
        tls = client_tls(verify=False)
        async with listening(answering, ssl=server) as (address, _), HTTPClient(tls=tls) as client:
            assert (await client.get(f"https://{address}/")).ok

    async def test_a_certificate_of_its_own(self, authority: Authority) -> None:
        server = self._server(authority, "localhost")
        server.verify_mode = ssl.CERT_REQUIRED
        server.load_verify_locations(str(authority.file))
        certificate, key = authority.issue("me@example.org", stem="client")
        shows = client_tls(ca_file=str(authority.file), certificate=certificate, key=key)
        async with listening(answering, ssl=server) as (address, _), HTTPClient(tls=shows) as client:
            _, port = host_and_port(address)
            assert (await client.get(f"https://localhost:{port}/")).ok

    async def test_requests_with_other_contexts_do_not_share_connections(self, authority: Authority) -> None:
        server = self._server(authority, "localhost")
        one, two = (client_tls(ca_file=str(authority.file)) for _ in range(2))
        async with listening(answering, ssl=server) as (address, peers):
            pools = Pools()
            _, port = host_and_port(address)
            for tls in (one, two, one):
                raw = await pools.pool(Origin("localhost", port, tls)).exchange(get())
                assert await whole(raw) == b"ok"
            assert len(peers) == 2
            await pools.aclose()

    async def test_plain_bytes_in_place_of_a_handshake(self, authority: Authority) -> None:
        async def plain(peer: Peer) -> None:
            peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await peer.gone()

        tls = client_tls(ca_file=str(authority.file))
        async with listening(plain) as (address, _), HTTPClient(tls=tls) as client:
            with pytest.raises(TLSError):
                await client.get(f"https://{address}/")
        gc.collect()

    async def test_a_handshake_that_never_ends_meets_the_deadline(self, authority: Authority) -> None:
        async def silent(peer: Peer) -> None:
            await peer.gone()

        tls = client_tls(ca_file=str(authority.file))
        timeouts = Timeouts(connect=0.1)
        async with listening(silent) as (address, peers), HTTPClient(tls=tls, timeouts=timeouts) as client:
            with pytest.raises(ExchangeDeadline) as caught:
                await client.get(f"https://{address}/")
            assert caught.value.phase == "connect"
            await peers[0].gone()
        gc.collect()

    async def test_an_upload_and_a_download_under_tls(self, authority: Authority) -> None:
        async def play(peer: Peer) -> None:
            await peer.head()
            body = await peer.take(3_000_000)
            peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 3000000\r\n\r\n" + body[::-1])
            await peer.gone()

        server = self._server(authority, "localhost")
        tls = client_tls(ca_file=str(authority.file))
        body = bytes(range(250)) * 12_000
        async with listening(play, ssl=server) as (address, _):
            pools = Pools()
            _, port = host_and_port(address)
            head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3000000\r\n\r\n"
            request = OutgoingRequest(method="POST", head=head, body=body)
            raw = await pools.pool(Origin("localhost", port, tls)).exchange(request)
            assert await whole(raw) == body[::-1]
            await pools.aclose()

    async def test_cancelled_in_the_handshake_it_leaves_nothing(self, authority: Authority) -> None:
        server = self._server(authority, "localhost")
        tls = client_tls(ca_file=str(authority.file))
        async with listening(answering, ssl=server) as (address, peers), HTTPClient(tls=tls) as client:
            _, port = host_and_port(address)
            url = f"https://localhost:{port}/"
            cancelled = 0
            for turns in range(40):
                asking = asyncio.create_task(client.get(url))
                for _ in range(turns):
                    await asyncio.sleep(0)
                cancelled += asking.cancel()
                await asyncio.wait([asking])
                pool = client.pool(url)
                assert pool.open == pool.idle
            assert cancelled
            assert (await client.get(url)).ok
        for peer in peers:
            if (
                peer.transport is not None
            ):  # else the server's own handshake failed, and its protocol never began
                await peer.gone()
        gc.collect()
