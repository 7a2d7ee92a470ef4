"""Which worker accepts on which socket."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.net.listener import bind
from framework.net.settings import ServerSettings
from framework.net.shares import share_out, widen


class Named:
    """As much of a socket as is looked at."""

    family = socket.AF_INET

    def __init__(self, name: str) -> None:
        self._name = name

    def getsockname(self) -> str:
        return self._name


def shares(names: str, workers: int) -> list[tuple[int, ...]]:
    return share_out([Named(name) for name in names], workers)  # type: ignore[misc]


def test_each_worker_has_its_own_where_there_are_enough() -> None:
    assert shares("aa", 2) == [(0,), (1,)]
    assert shares("aabb", 2) == [(0, 2), (1, 3)]


def test_a_socket_alone_is_shared() -> None:
    assert shares("a", 3) == [(0,), (0,), (0,)]


def test_no_socket_is_left_over() -> None:
    assert shares("aaa", 2) == [(0, 2), (1,)]
    assert shares("aa", 3) == [(0,), (1,), (0,)]


@given(st.text("abc", min_size=1, max_size=12), st.integers(1, 9))
def test_every_socket_has_a_worker_and_every_worker_every_address(names: str, workers: int) -> None:
    found = shares(names, workers)
    assert len(found) == workers
    assert {index for share in found for index in share} == set(range(len(names)))
    assert all({names[index] for index in share} == set(names) for share in found)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_copies_have_one_address_and_a_queue_each(stack: ExitStack) -> None:
    sockets = [stack.enter_context(sock) for sock in bind(ServerSettings(port=0), copies=3)]
    assert len(sockets) == 3
    assert len({sock.getsockname() for sock in sockets}) == 1
    for _ in range(64):
        stack.enter_context(socket.create_connection(sockets[0].getsockname(), 5))
    queued = [_accept_all(sock, stack) for sock in sockets]
    assert sum(queued) == 64
    assert min(queued) > 0, "the kernel spreads the connections"


def _accept_all(sock: socket.socket, stack: ExitStack) -> int:
    count = 0
    while True:
        try:
            stack.enter_context(sock.accept()[0])
        except BlockingIOError:
            return count
        count += 1


def test_sockets_handed_over_are_widened_to_the_workers(stack: ExitStack) -> None:
    sockets = [stack.enter_context(sock) for sock in bind(ServerSettings(port=0), copies=2)]
    wider = [stack.enter_context(sock) for sock in widen(sockets, 4, 16)]
    assert len(wider) == 4
    assert {sock.getsockname() for sock in wider} == {sockets[0].getsockname()}
    assert widen(sockets, 1, 16) == sockets


def test_a_socket_that_was_not_opened_to_be_spread_stays_alone(stack: ExitStack) -> None:
    sockets = [stack.enter_context(sock) for sock in bind(ServerSettings(port=0))]
    assert widen(sockets, 4, 16) == sockets
