"""The channel between a supervisor and a worker."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from itertools import pairwise

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from framework.net.control import (
    Accept,
    Beat,
    Begin,
    Channel,
    Failed,
    Leaving,
    Order,
    Ready,
    Report,
    Stop,
    to_supervisor,
    to_worker,
)

Ends = tuple[Channel[Report], Channel[Order]]


@pytest.fixture
def ends() -> Iterator[Ends]:
    above, below = socket.socketpair()
    with above, below:
        yield to_worker(above), to_supervisor(below)


def test_each_end_hears_the_other(ends: Ends) -> None:
    supervisor, worker = ends
    begin = Begin(
        entry="m:f",
        arguments={"a": [1]},
        sockets=[3],
        accept=[0],
        words=4,
        path=["/x"],
        beat_interval=1.0,
        own_numbers=5,
        all_numbers=6,
    )
    for order in (begin, Accept([0, 1]), Stop()):
        assert supervisor.send(order)
    assert worker.receive() == [begin, Accept([0, 1]), Stop()]
    said = [Ready(), Beat(7, 1 << 20), Leaving(), Failed(["one\ntwo"], True)]
    for report in said:
        assert worker.send(report)
    assert supervisor.receive() == said
    assert supervisor.receive() == []


@given(cuts=st.lists(st.integers(0, 200), max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_messages_survive_any_split_of_the_bytes(cuts: list[int]) -> None:
    above, below = socket.socketpair()
    with above, below:
        channel = to_worker(above)
        said: list[Report] = [Ready(), Beat(1, 2), Failed(["é\n"], False), Leaving()]
        data = b"".join(msgspec.json.encode(message) + b"\n" for message in said)
        heard: list[Report] = []
        edges = sorted({0, *(min(cut, len(data)) for cut in cuts), len(data)})
        for start, end in pairwise(edges):
            below.sendall(data[start:end])
            heard += channel.receive()
        assert heard == said


def test_the_end_of_the_other_side_is_noticed_after_its_last_words(ends: Ends) -> None:
    supervisor, worker = ends
    worker.send(Failed(["why"], False))
    worker.close()
    assert supervisor.receive() == [Failed(["why"], False)]
    assert supervisor.closed
    assert not supervisor.send(Stop())


def test_an_end_that_is_gone_takes_no_message(ends: Ends) -> None:
    supervisor, worker = ends
    worker.close()
    assert not supervisor.send(Stop())
    assert supervisor.closed


def test_what_is_not_taken_is_sent_with_the_next_message_and_dropped_in_the_end(ends: Ends) -> None:
    supervisor, worker = ends
    sent = 0
    while supervisor.send(Accept(list(range(2000)))):
        sent += 1
    heard: list[Order] = []
    while len(heard) < sent:
        heard += worker.receive()
        supervisor.send(Stop())
    assert heard[:sent] == [Accept(list(range(2000)))] * sent
    assert not supervisor.closed


def test_nonsense_is_an_error(ends: Ends) -> None:
    supervisor, worker = ends
    worker.socket.send(b'{"type":"ready"\n')
    with pytest.raises(msgspec.DecodeError):
        supervisor.receive()
