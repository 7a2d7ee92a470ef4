"""Makes the probes of a cluster, one after the other for each endpoint."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from random import Random
from types import TracebackType
from typing import Final

from framework.balancing.cluster import Cluster
from framework.balancing.endpoint import Endpoint
from framework.balancing.health import ProbeSettings

__all__ = ["MAX_PROBES", "Prober"]

MAX_PROBES: Final = 16

log = logging.getLogger("framework.balancing")


class Prober:
    """Probes the endpoints of a cluster while it is open; ``async with`` opens and closes it.

    One task for each endpoint, so that two probes of one never overlap; at most ``max_probes`` run at once over all.
    The first comes at once, spread over the interval's jitter. After ``cluster.update`` call ``follow``.

    Args:
        probe: asks an endpoint; False, or anything it raises, or being late, is a failed probe.
    """

    def __init__(
        self,
        cluster: Cluster,
        probe: Callable[[Endpoint], Awaitable[bool]],
        *,
        max_probes: int = MAX_PROBES,
        random: Random | None = None,
    ) -> None:
        if cluster.probes is None:
            raise ValueError(f"cluster {cluster.name} has no settings for probes")
        self._cluster = cluster
        self._settings: ProbeSettings = cluster.probes
        self._probe = probe
        self._random = random or Random()
        self._room = asyncio.Semaphore(max_probes)
        self._tasks: dict[Endpoint, asyncio.Task[None]] = {}
        self._open = False

    async def __aenter__(self) -> Prober:
        """Begins to probe."""
        self._open = True
        self.follow()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops all probes and waits for their end."""
        self._open = False
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def follow(self) -> None:
        """Begins with the endpoints that have come, stops with those that have gone. Nothing while it is closed."""
        if not self._open:
            return
        members = set(self._cluster.endpoints)
        for endpoint in [each for each in self._tasks if each not in members]:
            self._tasks.pop(endpoint).cancel()
        for endpoint in members.difference(self._tasks):
            self._tasks[endpoint] = asyncio.create_task(
                self._go_on(endpoint), name=f"probe {self._cluster.name} {endpoint.key}"
            )

    async def _go_on(self, endpoint: Endpoint) -> None:
        settings = self._settings
        await asyncio.sleep(settings.interval * settings.jitter * self._random.random())
        while True:
            async with self._room:
                good = await self._ask(endpoint)
            self._cluster.probed(endpoint, good=good)
            await asyncio.sleep(settings.interval * (1 + settings.jitter * self._random.random()))

    async def _ask(self, endpoint: Endpoint) -> bool:
        try:
            async with asyncio.timeout(self._settings.timeout):
                return await self._probe(endpoint)
        except Exception as error:
            log.debug("probe of %s: %s", endpoint.key, error or type(error).__name__)
            return False
