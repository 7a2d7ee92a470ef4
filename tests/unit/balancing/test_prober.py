"""Probes under virtual time."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from framework.balancing import Cluster, Endpoint, Prober, ProbeSettings, RoundRobin
from framework.testing import run_virtual

RULES = ProbeSettings(interval=5.0, jitter=0.0, timeout=1.0, unhealthy_after=2, healthy_after=1)


def cluster_of(*keys: str, rules: ProbeSettings | None = RULES) -> Cluster:
    loop_time = asyncio.get_running_loop().time
    return Cluster(
        "users", [Endpoint(key) for key in keys], lambda: RoundRobin(Random(1)), probes=rules, clock=loop_time
    )


def test_probes_take_out_and_bring_back() -> None:
    async def scenario() -> list[tuple[float, bool]]:
        cluster = cluster_of("a")
        endpoint = cluster.endpoints[0]
        answers = iter([True, False, False, False, True, True])
        seen: list[tuple[float, bool]] = []

        async def probe(_: Endpoint) -> bool:
            seen.append((asyncio.get_running_loop().time(), endpoint.available))
            return next(answers)

        async with Prober(cluster, probe):
            await asyncio.sleep(26)
        return seen

    start, *_ = seen = run_virtual(scenario())
    assert [(round(at - start[0]), available) for at, available in seen] == [
        (0, True), (5, True), (10, True), (15, False), (20, False), (25, True)
    ]  # fmt: skip


@pytest.mark.parametrize("how", ["raises", "hangs"])
def test_a_probe_that_raises_or_hangs_is_a_failed_one(how: str) -> None:
    async def scenario() -> bool:
        cluster = cluster_of("a")

        async def probe(_: Endpoint) -> bool:
            if how == "raises":
                raise ConnectionRefusedError
            await asyncio.get_running_loop().create_future()
            return True

        async with Prober(cluster, probe):
            await asyncio.sleep(8)
        return cluster.endpoints[0].available

    assert run_virtual(scenario()) is False


def test_probes_overlap_and_loop_never_stopped() -> None:
    """The guide's sketch: a slow endpoint is probed again while it is probed, and nothing ends the loop."""

    async def scenario() -> tuple[int, int]:
        cluster = cluster_of("a", "b", "c", rules=ProbeSettings(interval=0.1, jitter=0.0, timeout=10.0))
        running: dict[str, int] = {}
        most = total = 0

        async def probe(endpoint: Endpoint) -> bool:
            nonlocal most, total
            running[endpoint.key] = running.get(endpoint.key, 0) + 1
            total = max(total, sum(running.values()))
            most = max(most, running[endpoint.key])
            try:
                await asyncio.sleep(3)
            finally:
                running[endpoint.key] -= 1
            return True

        before = len(asyncio.all_tasks())
        async with Prober(cluster, probe, max_probes=2):
            await asyncio.sleep(60)
        assert len(asyncio.all_tasks()) == before
        assert sum(running.values()) == 0
        return most, total

    assert run_virtual(scenario()) == (1, 2)


def test_probers_follow_the_members_g9() -> None:
    async def scenario() -> list[int]:
        cluster = cluster_of("a", "b")
        asked: list[str] = []
        counts: list[int] = []

        async def probe(endpoint: Endpoint) -> bool:
            asked.append(endpoint.key)
            return True

        before = len(asyncio.all_tasks())
        async with Prober(cluster, probe) as prober:
            for round_ in range(1000):
                cluster.update([Endpoint(f"{round_}-{number}") for number in range(3)])
                prober.follow()
            await asyncio.sleep(7)
            counts.append(len(asyncio.all_tasks()) - before)
            assert set(asked) <= {"999-0", "999-1", "999-2"}
            cluster.update([])
            prober.follow()
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        prober.follow()
        counts.append(len(asyncio.all_tasks()) - before)
        return counts

    assert run_virtual(scenario()) == [3, 0]


def test_a_cluster_without_settings_for_probes_is_refused() -> None:
    async def scenario() -> None:
        async def probe(_: Endpoint) -> bool:
            return True

        with pytest.raises(ValueError, match="no settings for probes"):
            Prober(cluster_of("a", rules=None), probe)

    run_virtual(scenario())
