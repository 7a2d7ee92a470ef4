"""A worker tells its numbers, and is told those of all."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator

import pytest

from framework.errors import ResourceError
from framework.net import numbers as module
from framework.net.control import Channel, Count, Counted, Gather, Gathered, Report, to_supervisor, to_worker
from framework.net.numbers import Numbers, WorkerNumbers, new_file, read_file, write_file
from framework.net.tally import Family, Sample, Tally, pack, unpack

pytestmark = pytest.mark.anyio

OWN = Tally((Family("c", "counter", "", "", "each", (Sample("c_total", (), 3),)),))


class Ends:
    """A worker's numbers, and the supervisor's end of the channel and of the files."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self.supervisor: Channel[Report] = to_worker(ours)
        self.end = to_supervisor(theirs)
        self.own, self.total = new_file("own"), new_file("total")
        self.numbers = Numbers()
        self.worker = WorkerNumbers(self.numbers, self.end, self.own, self.total)

    async def report(self) -> Report:
        readable = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(self.supervisor.socket, readable.set)
        await readable.wait()
        loop.remove_reader(self.supervisor.socket)
        [found] = self.supervisor.receive()
        return found

    def told(self) -> Tally:
        [report] = self.supervisor.receive()
        assert isinstance(report, Counted)
        return unpack(read_file(self.own, report.size))

    def answer(self, ticket: int, total: Tally) -> None:
        data = pack(total)
        write_file(self.total, data)
        self.worker.gathered(Gathered(ticket, len(data)))

    def close(self) -> None:
        self.supervisor.close()
        self.end.close()
        os.close(self.own)
        os.close(self.total)


@pytest.fixture
def ends() -> Iterator[Ends]:
    made = Ends()
    yield made
    made.close()


async def test_it_counts_when_told(ends: Ends) -> None:
    ends.numbers.count = lambda: OWN
    ends.worker.count()
    report = await ends.report()
    assert isinstance(report, Counted)
    assert unpack(read_file(ends.own, report.size)) == OWN


async def test_shorter_numbers_leave_nothing_of_the_longer_ones(ends: Ends) -> None:
    ends.numbers.count = lambda: OWN
    ends.worker.last()
    assert ends.told() == OWN
    ends.numbers.count = None
    ends.worker.last()
    assert ends.told() == Tally()


async def test_it_gathers(ends: Ends) -> None:
    assert ends.numbers.gather is not None
    wanted = asyncio.ensure_future(ends.numbers.gather())
    report = await ends.report()
    assert report == Gather(1)
    ends.answer(1, OWN)
    assert await wanted == OWN


async def test_answers_to_earlier_questions_are_passed_over(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ends.numbers.gather is not None
    monkeypatch.setattr(module, "_PATIENCE", 0.0)
    with pytest.raises(ResourceError):
        await ends.numbers.gather()
    monkeypatch.undo()
    wanted = asyncio.ensure_future(ends.numbers.gather())
    await asyncio.sleep(0)
    ends.answer(1, Tally())
    await asyncio.sleep(0)
    assert not wanted.done()
    ends.answer(2, OWN)
    assert await wanted == OWN
    ends.answer(2, OWN)


async def test_without_a_supervisor_there_is_no_total(ends: Ends) -> None:
    ends.supervisor.close()
    assert ends.numbers.gather is not None
    with pytest.raises(ResourceError, match="supervisor"):
        await ends.numbers.gather()


async def test_orders_and_reports_travel(ends: Ends) -> None:
    ends.supervisor.send(Count())
    ends.supervisor.send(Gathered(1, 2))
    assert ends.end.receive() == [Count(), Gathered(1, 2)]


def test_a_long_file_is_read_whole() -> None:
    descriptor = new_file("long")
    data = os.urandom(3_000_000)
    write_file(descriptor, data)
    assert read_file(descriptor, len(data)) == data
    assert read_file(descriptor, len(data) + 5) == data
    assert read_file(descriptor, 3) == data[:3]
    os.close(descriptor)


def test_where_the_system_has_no_such_files_an_unlinked_one_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create", raising=False)
    descriptor = new_file("x")
    write_file(descriptor, b"abc")
    assert read_file(descriptor, 3) == b"abc"
    os.close(descriptor)
