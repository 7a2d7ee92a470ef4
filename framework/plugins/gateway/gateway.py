"""The gateway: routes compiled of a configuration, replaced as one when that changes, object by object.

A generation is immutable: routes, their policies, the clusters they go to. A reload builds the next one beside it; what
did not change is the same object in both, so that its connections, its health and its counts go on. Requests under way
end with the objects they began with.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Final

import msgspec

from framework.balancing import Change
from framework.errors import HTTPError, ResourceError, SetupError
from framework.http.endpoint import Endpoint
from framework.http.handler import Handler
from framework.http.request import Request
from framework.http.response import Response
from framework.middleware.chain import compose
from framework.plugins.auth import Answer
from framework.plugins.auth.forward import Ask
from framework.plugins.gateway.config import ClusterConfig, GatewayConfig, RouteConfig
from framework.plugins.gateway.edits import Edits
from framework.plugins.gateway.forward import FOUND, TRACE, Forwarder
from framework.plugins.gateway.matching import Found, Matcher, MatcherBuilder
from framework.plugins.gateway.policies import Policies, Tools, merged
from framework.plugins.gateway.redirects import redirecting
from framework.plugins.gateway.stats import RouteStats
from framework.plugins.gateway.upstreams import Upstream
from framework.plugins.ratelimit.engine import Engine

__all__ = ["Gateway", "Generation", "Route"]

log = logging.getLogger("framework.gateway")

RETIRE_TIMEOUT: Final = 120.0
MAX_FETCHED: Final = 1_048_576


class Route:
    """A route at work.

    Attributes:
        handler: everything of it, policies and target.
        stats: go on through reloads that leave the route as it is.
    """

    __slots__ = ("_endpoints", "config", "forwarder", "handler", "name", "policies", "stats", "upstreams")

    def __init__(
        self,
        name: str,
        config: RouteConfig,
        handler: Handler,
        policies: Policies,
        upstreams: Sequence[Upstream],
        forwarder: Forwarder | None,
        stats: RouteStats,
    ) -> None:
        self.name = name
        self.config = config
        self.policies = policies
        self.handler = handler
        self.upstreams = tuple(upstreams)
        self.forwarder = forwarder
        self.stats = stats
        self._endpoints: dict[int, Endpoint] = {}

    def endpoint(self, base: Endpoint) -> Endpoint:
        """The server's view of the route: as ``base``, under the route's own name and time."""
        made = self._endpoints.get(id(base))
        if made is None:
            made = self._endpoints[id(base)] = Endpoint(
                base.call,
                base.failed,
                before=base.before,
                after=base.after,
                pattern=f"gateway:{self.name}",
                max_body=base.max_body,
                timeout=self.config.timeouts.total,
                is_async=base.is_async,
                respond=base.respond,
            )
        return made


class Generation(msgspec.Struct, frozen=True):
    """What one configuration comes to."""

    number: int
    config: GatewayConfig
    matcher: Matcher[Route]
    routes: Mapping[str, Route]
    upstreams: Mapping[str, Upstream]


class Gateway:
    """Takes requests, and other configurations while it runs.

    Args:
        handlers: of this process, by the names that routes use.
        engine: where the states of limits are.
        secret: for the tokens of sticky endpoints, at least 16 bytes; the same in all workers.
        clock: monotonic seconds; the loop's, once it runs.

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
    ) -> None:
        self._handlers = dict(handlers or {})
        self._secret = secret
        self._random = random or Random()
        self._clock = clock
        self._tools = Tools(self._fetch, self._asker, engine, lambda request: request[FOUND], self._random)
        self._retiring: set[asyncio.Task[None]] = set()
        self._is_open = False
        self.changes: list[tuple[float, str, str, str]] = []
        self.generation = self._build(config, None)

    # -- life ---------------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Begins to probe."""
        self._is_open = True
        for upstream in self.generation.upstreams.values():
            await upstream.open()

    async def close(self) -> None:
        """Ends everything."""
        self._is_open = False
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        for route in self.generation.routes.values():
            await route.policies.aclose()
        for upstream in self.generation.upstreams.values():
            await upstream.close()

    async def reload(self, config: GatewayConfig) -> Generation:
        """Takes another configuration, as one. Raises SetupError, and nothing has changed then."""
        before = self.generation
        after = self._build(config, before)
        for name, upstream in after.upstreams.items():
            if before.upstreams.get(name) is not upstream:
                await upstream.open()
            elif before.config.clusters[name].endpoints != config.clusters[name].endpoints:
                upstream.update(config.clusters[name].endpoints)
        self.generation = after
        kept = {id(route.policies) for route in after.routes.values()}
        for route in before.routes.values():
            if id(route.policies) not in kept:
                await route.policies.aclose()
        for name, upstream in before.upstreams.items():
            if after.upstreams.get(name) is not upstream:
                self._retire(upstream)
        log.info(
            "generation %d: %d routes, %d clusters", after.number, len(after.routes), len(after.upstreams)
        )
        return after

    def _retire(self, upstream: Upstream) -> None:
        task = asyncio.create_task(_closed_later(upstream), name=f"retire {upstream.name}")
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    # -- building -----------------------------------------------------------------------------------------------------

    def _build(self, config: GatewayConfig, before: Generation | None) -> Generation:
        problems: list[str] = []
        upstreams = {
            name: made
            for name, cluster in config.clusters.items()
            if (made := self._upstream(name, cluster, before, problems)) is not None
        }
        builder: MatcherBuilder[Route] = MatcherBuilder()
        routes: dict[str, Route] = {}
        for name, listed in config.routes.items():
            full = msgspec.structs.replace(listed, policies=merged(config.policies, listed.policies))
            route = self._route(name, full, config, upstreams, before, problems)
            if route is not None:
                routes[name] = route
                builder.add(name, full.match, route)
        try:
            matcher = builder.build()
        except SetupError as error:
            raise SetupError([*problems, *error.problems]) from None
        if problems:
            raise SetupError(problems)
        return Generation(1 if before is None else before.number + 1, config, matcher, routes, upstreams)

    def _upstream(
        self, name: str, config: ClusterConfig, before: Generation | None, problems: list[str]
    ) -> Upstream | None:
        """The cluster; the one there is, where no more than its endpoints changed."""
        known = None if before is None else before.upstreams.get(name)
        if known is not None and msgspec.structs.replace(known.config, endpoints=config.endpoints) == config:
            known.config = config
            return known
        if not config.endpoints and config.file is None:
            problems.append(f"clusters.{name}: it has neither endpoints nor a file that lists them")
        try:
            return Upstream(
                name,
                config,
                secret=self._secret,
                on_change=self._changed,
                clock=self._clock,
                random=self._random,
            )
        except (SetupError, ValueError) as error:
            problems.append(f"clusters.{name}: {error}")
            return None

    def _route(
        self,
        name: str,
        config: RouteConfig,
        whole: GatewayConfig,
        upstreams: Mapping[str, Upstream],
        before: Generation | None,
        problems: list[str],
    ) -> Route | None:
        targets, wrong = self._targets(name, config, whole, upstreams)
        problems += wrong
        if wrong:
            return None
        used = [upstream for upstream, _ in targets]
        known = None if before is None else before.routes.get(name)
        if known is not None and known.config == config and list(known.upstreams) == used:
            return known
        try:
            policies = Policies(name, config.policies, self._tools)
            core, forwarder = self._core(name, config, targets, policies, whole)
        except SetupError as error:
            problems += [f"routes.{name}: {problem}" for problem in error.problems]
            return None
        handler = compose(core, policies.onions)
        return Route(name, config, handler, policies, used, forwarder, RouteStats())

    def _targets(
        self, name: str, config: RouteConfig, whole: GatewayConfig, upstreams: Mapping[str, Upstream]
    ) -> tuple[list[tuple[Upstream, int]], list[str]]:
        named = (
            [(config.cluster, 1)]
            if config.cluster is not None
            else [(one.cluster, one.weight) for one in config.split]
        )
        asked = config.policies.forward_auth
        others = [] if asked is None else [asked.cluster]
        wrong = [
            f"routes.{name}: there is no cluster {each!r}"
            for each in (*(cluster for cluster, _ in named), *others)
            if each not in whole.clusters
        ]
        if config.handler is not None and config.handler not in self._handlers:
            known = ", ".join(sorted(self._handlers)) or "none"
            wrong.append(f"routes.{name}: there is no handler {config.handler!r}; known are: {known}")
        if config.split and not any(weight for _, weight in named):
            wrong.append(f"routes.{name}: the weights of its split are all 0")
        # A cluster that could not be made was told of already; its routes are not.
        return [(upstreams[each], weight) for each, weight in named if each in upstreams], wrong

    def _core(
        self,
        name: str,
        config: RouteConfig,
        targets: Sequence[tuple[Upstream, int]],
        policies: Policies,
        whole: GatewayConfig,
    ) -> tuple[Handler, Forwarder | None]:
        if config.handler is not None:
            return self._handlers[config.handler], None
        if config.redirect is not None:
            return redirecting(config.redirect), None
        edits = Edits(config.policies.request_headers, where="request_headers")
        forwarder = Forwarder(
            name, config, targets, edits=edits, drops=policies.drops, via=whole.via, random=self._random
        )
        return forwarder, forwarder

    # -- requests -----------------------------------------------------------------------------------------------------

    def find(self, request: Request) -> Route:
        """The route of a request, which is kept in it. Raises HTTPError 404, 405, or 400 for a path that is none."""
        found = self.generation.matcher.find(request)
        if isinstance(found, Found):
            request[FOUND] = found
            route: Route = found.value
            return route
        if found is None:
            raise HTTPError(404, "the gateway has no route for this")
        raise HTTPError(405, "not by this method", headers={"allow": ", ".join(sorted(found))})

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

    def _changed(self, cluster: str, change: Change) -> None:
        why = "well" if change.why is None else change.why.value
        log.warning("%s: %s: %s", cluster, change.endpoint.key, why)
        self.changes.append((time.time(), cluster, change.endpoint.key, why))
        del self.changes[:-200]

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
        from framework.plugins.gateway.asking import ask

        async def asked(fields: Sequence[tuple[str, str]]) -> Answer:
            upstream = self.generation.upstreams.get(cluster)
            if upstream is None:
                raise ResourceError(f"there is no cluster {cluster}")
            return await ask(upstream, path, fields, timeout)

        return asked


async def _closed_later(upstream: Upstream) -> None:
    """Closes a cluster that no route goes to any more, once its requests have ended. Tunnels are no matter: they hold
    their connections themselves."""
    try:
        async with asyncio.timeout(RETIRE_TIMEOUT):
            await upstream.emptied()
    except TimeoutError:
        log.warning("%s: %d requests to the old cluster did not end", upstream.name, upstream.in_flight)
    finally:
        await upstream.close()
