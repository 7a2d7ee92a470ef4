"""Limits that the workers of one machine share: processes that die at any moment, locks, files."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path

import pytest

from framework.errors import ConfigError, ResourceError
from framework.plugins.ratelimit import EngineUnavailable, Policy, RateLimiter
from framework.plugins.ratelimit.kernel import CONSUME, PEEK
from framework.plugins.ratelimit.policy import ALGORITHMS
from framework.plugins.ratelimit.shared import SharedEngine, sweep, workers_path
from framework.plugins.ratelimit.slots import SlotFile
from tests.unit.plugins.ratelimit.driver import Clock

PATIENCE = 30.0
processes = multiprocessing.get_context("spawn")


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "limits")


@pytest.fixture
def engine(path: str) -> Iterator[SharedEngine]:
    made = SharedEngine(path, max_keys=64)
    yield made
    for table in made.tables.values():
        table.close()


def take(path: str, algorithm: str, ready: Barrier, results: multiprocessing.Queue[int]) -> None:
    engine = SharedEngine(path, patience=PATIENCE)
    limiter = RateLimiter(Policy.of("500/day", algorithm=algorithm), engine)
    limiter.decide_now(["hot"], 1, PEEK)
    ready.wait(PATIENCE)  # or the first is done, and its file gone, before the next one comes
    results.put(sum(limiter.consume_now("hot").allowed for _ in range(400)))
    ready.wait(PATIENCE)
    for table in engine.tables.values():
        table.close()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_r10_processes_together_admit_exactly_the_quota(path: str, algorithm: str) -> None:
    ready = processes.Barrier(3)
    results: multiprocessing.Queue[int] = processes.Queue()
    workers = [processes.Process(target=take, args=(path, algorithm, ready, results)) for _ in range(3)]
    for worker in workers:
        worker.start()
    granted = [results.get(timeout=PATIENCE) for _ in workers]
    for worker in workers:
        worker.join(PATIENCE)
    results.close()
    results.join_thread()
    assert sum(granted) in (500, 501)  # a bucket gets one back in 172.8 s: the run may cross that
    assert not list(Path(path).parent.iterdir()), "the last one to leave removes the file"


def test_r10_threads_with_an_engine_each_admit_exactly_the_quota(path: str) -> None:
    granted: list[int] = []
    together = threading.Barrier(4)

    def run() -> None:
        engine = SharedEngine(path, patience=PATIENCE)
        limiter = RateLimiter("300/day", engine)
        limiter.decide_now(["hot"], 1, PEEK)
        together.wait(PATIENCE)  # or the first is done, and its file gone, before the next one comes
        granted.append(sum(limiter.consume_now("hot").allowed for _ in range(200)))
        together.wait(PATIENCE)
        for table in engine.tables.values():
            table.close()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert sum(granted) == 300


def storm(path: str, begun: Event) -> None:
    limiter = RateLimiter(
        [Policy.of("1000000/day", name=name, algorithm=name) for name in ("gcra", "sliding_window")],
        SharedEngine(path, patience=PATIENCE),
    )
    begun.set()
    while True:
        for number in range(16):
            limiter.consume_now(f"{number}")


def test_a_worker_killed_at_any_moment_leaves_whole_states_and_free_locks(path: str) -> None:
    policies = [Policy.of("1000000/day", name=name, algorithm=name) for name in ("gcra", "sliding_window")]
    engine = SharedEngine(path, patience=0.2)
    limiter = RateLimiter(policies, engine, on_failure="closed")
    limiter.decide_now(["0", "0"], 1)
    before = {number: [1_000_000, 1_000_000] for number in range(16)}
    for _ in range(6):
        begun = processes.Event()
        worker = processes.Process(target=storm, args=(path, begun))
        worker.start()
        try:
            assert begun.wait(PATIENCE)
            for _ in range(50):
                limiter.consume_now("other")
        finally:
            worker.kill()
            worker.join(PATIENCE)
        for number in range(16):
            decision = limiter.decide_now([f"{number}"] * 2, 1, PEEK)
            assert decision.source == "", "the lock of the dead was given back"
            left = [part.remaining for part in decision.all]
            # Nothing was torn: counts only go on from where they were. (A bucket gets one back in 86 ms.)
            assert 0 <= left[1] <= before[number][1]
            assert 0 <= left[0] <= 1_000_000
            assert abs(left[0] - left[1]) < 2000
            before[number] = left
    for table in engine.tables.values():
        table.close()


def hold(path: str, held: Event) -> None:
    engine = SharedEngine(path, max_keys=64)
    RateLimiter("5/minute", engine)
    file = engine.tables["default"].file
    for stripe in range(256):
        file.lock(stripe)
    held.set()
    os.kill(os.getpid(), signal.SIGSTOP)


def test_a_worker_that_was_stopped_with_a_lock_stops_nobody(engine: SharedEngine, path: str) -> None:
    limiter = RateLimiter("5/minute", engine, instances=5)
    limiter.consume_now("k")
    held = processes.Event()
    worker = processes.Process(target=hold, args=(path, held))
    worker.start()
    try:
        assert held.wait(PATIENCE)
        with pytest.raises(EngineUnavailable):
            engine.tables["default"].file.lock(0)
        # Decided by this process alone meanwhile, by its part of the quota.
        decisions = [limiter.consume_now("k") for _ in range(2)]
    finally:
        worker.kill()
        worker.join(PATIENCE)
    assert [(decision.source, decision.allowed) for decision in decisions] == [
        ("local", True),
        ("local", False),
    ]
    assert limiter.consume_now("k").source == ""


def test_a_change_cut_in_half_is_as_if_it_had_not_been(path: str) -> None:
    file = SlotFile(path, sets=1, width=3)
    high, low, at = file.place("k")
    slot = file.others(at)[0]
    file.write(slot, high, low, [1, 2, 3])
    found = file.find(high, low, at)
    assert found is not None
    # What a killed process leaves: the other state half written, the word that chooses not yet.
    file._view[found.offset + 6] = 99
    found = file.find(high, low, at)
    assert found is not None
    assert list(found.state) == [1, 2, 3]
    file.write(found, high, low, [4, 5, 6])
    found = file.find(high, low, at)
    assert found is not None
    assert list(found.state) == [4, 5, 6]
    # A new key's slot that was emptied and not filled again.
    file._view[found.offset + 2] = 0
    assert file.find(high, low, at) is None
    assert list(file.others(at)[0].state) == []
    file.close()


def test_r9_in_its_set_whoever_owes_most_stays(path: str) -> None:
    clock = Clock()
    engine = SharedEngine(path, max_keys=8, clock=clock)
    limiter = RateLimiter("5/minute", engine)
    for _ in range(6):
        limiter.consume_now("offender")
    for number in range(2000):
        limiter.consume_now(f"flood {number}")
    assert not limiter.consume_now("offender").allowed
    assert engine.tables["default"].evicted > 1900
    engine.tables["default"].close()


def test_limits_outlive_a_worker_while_another_one_is_there(path: str) -> None:
    clock = Clock()
    first, second = SharedEngine(path, clock=clock), SharedEngine(path, clock=clock)
    one, two = RateLimiter("2/minute", first), RateLimiter("2/minute", second)
    assert one.consume_now("k").allowed
    assert two.consume_now("k").remaining == 0
    first.tables["default"].close()
    third = SharedEngine(path, clock=clock)
    assert not RateLimiter("2/minute", third).consume_now("k").allowed
    for engine in (second, third):
        engine.tables["default"].close()
    assert not list(Path(path).parent.iterdir())


def test_other_terms_are_another_file_only_where_states_differ(engine: SharedEngine) -> None:
    limiter = RateLimiter(Policy.of("5/minute", algorithm="sliding_log"), engine)
    limiter.decide_now(["k"], 3, CONSUME)
    limiter.change(Policy.of("60/minute", algorithm="sliding_log"))
    assert limiter.consume_now("k").remaining == 56
    with pytest.raises(ConfigError, match="at most 1024 units"):
        limiter.change(Policy.of("1025/minute", algorithm="sliding_log"))


def test_a_file_of_another_make_is_refused(path: str) -> None:
    Path(path).write_bytes(b"\x01" * 4096)
    with pytest.raises(ResourceError, match="made for other limits"):
        SlotFile(path, sets=1, width=1)


def test_files_of_the_dead_are_swept_and_those_of_the_living_kept(tmp_path: Path) -> None:
    dead = tmp_path / f"framework-limits-{os.getuid()}-1-1.default.0-1-8"
    dead.write_bytes(b"")
    living = SlotFile(str(tmp_path / f"framework-limits-{os.getuid()}-2-2.default.0-1-8"), sets=8, width=1)
    other = tmp_path / "framework-limits-unrelated"
    other.write_bytes(b"")
    sweep(tmp_path)
    assert not dead.exists()
    assert Path(living.path).exists()
    assert other.exists()
    living.close()


def test_workers_of_one_supervisor_have_one_path_and_others_another() -> None:
    assert workers_path(os.getppid()) == workers_path(os.getppid())
    assert workers_path(os.getppid()) != workers_path()
