"""The simulated network: what arrives when, what is lost, and how the ends come to know."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.testing import Conditions, Network, run_virtual


class End(asyncio.Protocol):
    """Notes what arrives, and when."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.pieces: list[bytes] = []
        self.at: list[float] = []
        self.writable = True
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    @property
    def data(self) -> bytes:
        return b"".join(self.pieces)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.pieces.append(data)
        self.at.append(asyncio.get_running_loop().time())

    def pause_writing(self) -> None:
        self.writable = False

    def resume_writing(self) -> None:
        self.writable = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)


def pair(network: Network, conditions: Conditions | None = None) -> tuple[End, End]:
    server = End()
    return network.connect(End, lambda: server, conditions=conditions)[1], server


@settings(deadline=None)
@given(
    st.lists(st.binary(min_size=1, max_size=300), max_size=8),
    st.integers(1, 50),
    st.integers(1, 200),
    st.integers(0, 1000),
)
def test_all_bytes_arrive_in_order(writes: list[bytes], piece: int, window: int, seed: int) -> None:
    async def main() -> bytes:
        network = Network(Conditions((0.0, 1.0), piece, window), seed=seed)
        client, server = pair(network)
        for data in writes:
            client.transport.write(data)
        client.transport.close()
        assert await client.lost is None
        assert await server.lost is None
        assert all(len(arrived) <= piece for arrived in server.pieces)
        return server.data

    assert run_virtual(main()) == b"".join(writes)


def test_a_narrow_line_takes_its_time() -> None:
    async def main() -> list[float]:
        client, server = pair(Network(Conditions(bandwidth=1000.0)))
        client.transport.write(b"x" * 2000)
        client.transport.close()
        await server.lost
        assert (len(server.data), max(map(len, server.pieces))) == (2000, 100)
        return server.at

    at = run_virtual(main())
    assert at[-1] == pytest.approx(2.0)
    assert at[0] == pytest.approx(0.1)


def test_one_slow_peer_among_others() -> None:
    async def main() -> tuple[float, float]:
        network = Network()
        slow, quick = pair(network, Conditions((5.0, 5.0))), pair(network)
        for client in (slow[0], quick[0]):
            client.transport.write(b"x")
            client.transport.close()
        await asyncio.gather(slow[1].lost, quick[1].lost)
        return slow[1].at[0], quick[1].at[0]

    assert run_virtual(main()) == (5.0, 0.0)


def test_a_reader_that_stops_is_felt() -> None:
    async def main() -> None:
        client, server = pair(Network(Conditions(window=1000)))
        client.transport.pause_reading()
        server.transport.write(b"x" * 100_000)
        await asyncio.sleep(1)
        assert (server.writable, server.transport.get_write_buffer_size()) == (False, 99_000)
        client.transport.resume_reading()
        await asyncio.sleep(1)
        assert (server.writable, len(client.data)) == (True, 100_000)
        client.transport.close()
        await server.lost

    run_virtual(main())


def test_a_close_with_bytes_unread_is_a_reset() -> None:
    """As a kernel does it: what the server wrote may be lost to its client (the reason servers linger)."""

    async def main() -> None:
        client, server = pair(Network(Conditions((0.1, 0.1))))
        server.transport.pause_reading()
        client.transport.write(b"unread")
        await asyncio.sleep(1)
        server.transport.close()
        assert isinstance(await client.lost, ConnectionResetError)

    run_virtual(main())


def test_bytes_to_a_closed_end_are_answered_by_a_reset() -> None:
    async def main() -> None:
        client, server = pair(Network(Conditions((0.1, 0.1))))
        client.transport.close()
        server.transport.write(b"crosses the end")
        assert await client.lost is None
        assert await server.lost is None
        client, server = pair(Network(Conditions((0.1, 0.1))))
        server.eof_received = lambda: True  # type: ignore[method-assign]
        client.transport.close()
        await asyncio.sleep(1)
        server.transport.write(b"nobody there")
        assert isinstance(await server.lost, ConnectionResetError)

    run_virtual(main())


def test_an_abort_is_a_reset_for_the_other_end() -> None:
    async def main() -> None:
        client, server = pair(Network())
        client.transport.abort()
        assert await client.lost is None
        assert isinstance(await server.lost, ConnectionResetError)

    run_virtual(main())


def test_a_cut_is_told_to_nobody() -> None:
    async def main() -> None:
        network = Network()
        client, server = pair(network)
        network.cut()
        client.transport.write(b"lost")
        client.transport.abort()
        await asyncio.sleep(1000)
        assert (server.data, server.lost.done()) == (b"", False)
        network.mend()
        server.transport.write(b"anybody?")
        assert isinstance(await server.lost, ConnectionResetError)

    run_virtual(main())


def test_dialling() -> None:
    async def main() -> None:
        network = Network(Conditions((0.5, 0.5)))
        servers: list[End] = []

        def make() -> End:
            servers.append(End())
            return servers[-1]

        with pytest.raises(ConnectionRefusedError, match="nobody listens on port 6379"):
            await network.dial(6379, End)
        network.listen(6379, make)
        transport, client = await network.dial(6379, End)
        assert asyncio.get_running_loop().time() == 2.0
        assert transport.get_extra_info("peername") == ("127.0.0.1", 6379)
        assert servers[0].transport.get_extra_info("sockname") == ("127.0.0.1", 6379)
        network.close(6379)
        with pytest.raises(ConnectionRefusedError):
            await network.dial(6379, End)
        network.cut()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(network.dial(6379, End), 60)
        client.transport.close()

    run_virtual(main())
