"""The gateway: takes requests, and other configurations while it runs, each as one.

Requests under way end with the objects they began with. A cluster that no route goes to any more stays until the last
of its requests has ended, its streams and tunnels included, so that a reload closes nothing.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Final

import msgspec

from framework.balancing import Change
from framework.errors import HTTPError, ResourceError
from framework.http.handler import Handler
from framework.http.request import Request
from framework.http.response import Response
from framework.plugins.auth import Answer
from framework.plugins.auth.forward import Ask
from framework.plugins.gateway.asking import ask
from framework.plugins.gateway.config import GatewayConfig
from framework.plugins.gateway.discovery import Resolver, SystemResolver
from framework.plugins.gateway.forward import FOUND, TRACE
from framework.plugins.gateway.generation import Builder, Generation, Route
from framework.plugins.gateway.matching import Found
from framework.plugins.gateway.policies import Tools
from framework.plugins.gateway.slashes import other_reading
from framework.plugins.gateway.upstreams import Upstream
from framework.plugins.ratelimit.engine import Engine

__all__ = ["Event", "Gateway", "Generation", "Route"]

log = logging.getLogger("framework.gateway")

_is_dotted = re.compile(r"/\.{1,2};").search
MAX_RETIRING: Final = 128
MAX_EVENTS: Final = 200
MAX_FETCHED: Final = 1_048_576


class Event(msgspec.Struct, frozen=True):
    """Something that changed: ``at`` in seconds since 1970, ``what`` a cluster or "gateway"."""

    at: float
    what: str
    text: str
    good: bool


class Gateway:
    """Takes requests, and other configurations while it runs.

    Args:
        handlers: of this process, by the names that routes use.
        engine: where the states of limits are.
        secret: for the tokens of sticky endpoints, at least 16 bytes; the same in all workers.
        clock: monotonic seconds; the loop's, once it runs.
        workers: processes that serve the same configuration.
        retire_grace: seconds that an old cluster is kept for requests whose route was found and that have not come to
            it yet.
        resolver: looks addresses up.

    Attributes:
        generation: the newest.
        events: what changed, the newest last.

    Raises:
        SetupError: with everything that is wrong with the configuration.
    """

    def __init__(
        self,
        config: GatewayConfig,
        *,
        handlers: Mapping[str, Handler] | None = None,
        engine: Engine,
        secret: bytes,
        random: Random | None = None,
        clock: Callable[[], float] = time.monotonic,
        workers: int = 1,
        retire_grace: float = 30.0,
        resolver: Resolver | None = None,
    ) -> None:
        random = random or Random()
        self._clock = clock
        self._builder = Builder(
            dict(handlers or {}),
            secret=secret,
            tools=Tools(self._fetch, self._asker, engine, lambda request: request[FOUND], random),
            on_change=self._changed,
            clock=clock,
            random=random,
            workers=workers,
        )
        self._resolver: Resolver = resolver or SystemResolver()
        self._retire_grace = retire_grace
        self._retiring: dict[Upstream, asyncio.Task[None]] = {}
        self._reloading = asyncio.Lock()
        self.events: deque[Event] = deque(maxlen=MAX_EVENTS)
        self.generation = self._builder.build(config, None)

    # -- life ---------------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Looks endpoints up and begins to probe."""
        upstreams = self.generation.upstreams.values()
        await asyncio.gather(*(upstream.open(self._resolver) for upstream in upstreams))

    async def close(self) -> None:
        """Ends everything."""
        tasks = list(self._retiring.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for route in self.generation.routes.values():
            await route.policies.aclose()
        for upstream in self.generation.upstreams.values():
            await upstream.close()

    async def reload(self, config: GatewayConfig) -> Generation:
        """Takes another configuration, as one. Raises SetupError, and nothing has changed then."""
        async with self._reloading:
            before = self.generation
            after = self._builder.build(config, before)
            fresh = [one for name, one in after.upstreams.items() if before.upstreams.get(name) is not one]
            try:
                await asyncio.gather(*(upstream.open(self._resolver) for upstream in fresh))
            except BaseException:
                await asyncio.gather(*(upstream.close() for upstream in fresh))
                raise
            for name, upstream in after.upstreams.items():
                upstream.become(config.clusters[name])
            self.generation = after
            await self._leave(before, after)
        text = f"generation {after.number}: {len(after.routes)} routes, {len(after.upstreams)} clusters"
        log.info(text)
        self.note("gateway", text, good=True)
        return after

    async def _leave(self, before: Generation, after: Generation) -> None:
        """Puts away what the new generation does not have."""
        kept = {id(route.policies) for route in after.routes.values()}
        for route in before.routes.values():
            if id(route.policies) not in kept:
                await route.policies.aclose()
        for name, upstream in before.upstreams.items():
            if after.upstreams.get(name) is not upstream:
                self._retire(upstream)

    def _retire(self, upstream: Upstream) -> None:
        while len(self._retiring) >= MAX_RETIRING:  # the oldest has been waited for longest
            oldest = next(iter(self._retiring))
            self._retiring.pop(oldest).cancel()
        task = asyncio.create_task(self._closed_later(upstream), name=f"retire {upstream.name}")
        self._retiring[upstream] = task

    async def _closed_later(self, upstream: Upstream) -> None:
        """Closes a cluster that no route goes to any more, once its requests have ended."""
        try:
            await upstream.stop_looking()
            await asyncio.sleep(self._retire_grace)
            await upstream.emptied()
        finally:
            self._retiring.pop(upstream, None)
            await upstream.close()

    @property
    def retiring(self) -> Sequence[Upstream]:
        """Clusters that no route goes to any more, and that wait for their last requests."""
        return tuple(self._retiring)

    # -- requests -----------------------------------------------------------------------------------------------------

    def find(self, request: Request) -> Route:
        """The route of a request, which is kept in it. Raises HTTPError 404, 405, or 400 for a path that is none."""
        path = request.path
        if "\\" in path or (";" in path and _is_dotted(path) is not None):
            # A slash to some servers, and a dot segment with a parameter to others: not one path to all behind us.
            raise HTTPError(400, "The path has segments that servers read differently.")
        found = self.generation.matcher.find(request)
        if isinstance(found, Found):
            request[FOUND] = found
            route: Route = found.value
            if not request.plain_path and "%2F" in path:
                self._judge_slashes(request, route, path)
            return route
        if found is None:
            raise HTTPError(404, "the gateway has no route for this")
        raise HTTPError(405, "not by this method", headers={"allow": ", ".join(sorted(found))})

    def _judge_slashes(self, request: Request, route: Route, path: str) -> None:
        """Raises HTTPError 400 where the route does not take a path with encoded slashes."""
        wanted = route.config.encoded_slash
        if wanted == "reject":
            raise HTTPError(400, "The path has an encoded slash.")
        read = other_reading(path)
        if wanted == "keep":
            other = self.generation.matcher.find(request, read)
            if not isinstance(other, Found) or other.value is not route:
                raise HTTPError(400, "The path leads elsewhere where an encoded slash is read as one.")

    async def handle(self, request: Request) -> Response:
        """Answers a request whose route was found."""
        route = request[FOUND].value
        assert isinstance(route, Route)
        stats = route.stats
        stats.active += 1
        began = self._clock()
        status = 500
        try:
            response = await route.handler(request)
            status = response.status
        except HTTPError as error:
            status = error.status
            raise
        except asyncio.CancelledError:
            status = 504 if self._is_late(request) else 499
            raise
        finally:
            stats.active -= 1
            trace = request.get(TRACE)
            stats.count(status, self._clock() - began, 0 if trace is None else trace.tries)
        return response

    def _is_late(self, request: Request) -> bool:
        return request.deadline is not None and asyncio.get_running_loop().time() >= request.deadline

    # -- news ---------------------------------------------------------------------------------------------------------

    def note(self, what: str, text: str, *, good: bool) -> None:
        """Keeps an event for operators."""
        self.events.append(Event(time.time(), what, text, good))

    def _changed(self, cluster: str, change: Change) -> None:
        why = "is back" if change.why is None else f"is out: {change.why.value}"
        log.warning("%s: %s %s", cluster, change.endpoint.key, why)
        self.note(cluster, f"{change.endpoint.key} {why}", good=change.why is None)

    # -- what policies ask for ----------------------------------------------------------------------------------------

    async def _fetch(self, url: str) -> bytes:
        from framework.net.client import HTTPClient

        async with HTTPClient() as client:
            response = await client.get(url)
            data = await response.read(MAX_FETCHED)
        if response.status != 200:
            raise ResourceError(f"{url} answered {response.status}")
        return data

    def _asker(self, cluster: str, path: str, timeout: float) -> Ask:
        async def asked(fields: Sequence[tuple[str, str]]) -> Answer:
            upstream = self.generation.upstreams.get(cluster)
            if upstream is None:
                raise ResourceError(f"there is no cluster {cluster}")
            return await ask(upstream, path, fields, timeout)

        return asked
