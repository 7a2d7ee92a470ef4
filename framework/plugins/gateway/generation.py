"""What a configuration comes to: routes, their policies, the clusters they go to, all checked together.

A generation is immutable. The next is built beside it; what did not change is the same object in both, so that its
connections, its health and its counts go on. Nothing of the one before is touched until the next is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random

import msgspec

from framework.balancing import Change
from framework.errors import SetupError
from framework.http.endpoint import Endpoint
from framework.http.handler import Handler
from framework.middleware.chain import compose
from framework.plugins.gateway.config import ClusterConfig, GatewayConfig, PoliciesConfig, RouteConfig
from framework.plugins.gateway.edits import Edits
from framework.plugins.gateway.forward import Forwarder
from framework.plugins.gateway.matching import Matcher, MatcherBuilder
from framework.plugins.gateway.mirror import Mirror
from framework.plugins.gateway.policies import Policies, Tools, merged
from framework.plugins.gateway.redirects import redirecting
from framework.plugins.gateway.stats import RouteStats
from framework.plugins.gateway.upstreams import Upstream

__all__ = ["Builder", "Generation", "Route"]


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


class Builder:
    """Makes generations.

    Args:
        handlers: of this process, by the names that routes use.
        secret: for the tokens of sticky endpoints.
        tools: what policies need.
        on_change: told of endpoints that go out or come back, with the name of their cluster.
        workers: processes that serve the same configuration.
    """

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        *,
        secret: bytes,
        tools: Tools,
        on_change: Callable[[str, Change], None],
        clock: Callable[[], float],
        random: Random,
        workers: int = 1,
    ) -> None:
        self._handlers = handlers
        self._secret = secret
        self._tools = tools
        self._on_change = on_change
        self._clock = clock
        self._random = random
        self._workers = workers

    def build(self, config: GatewayConfig, before: Generation | None) -> Generation:
        """The generation after ``before``. Raises SetupError with all that is wrong; each problem begins with the key
        of what it is about, as far as it is about one."""
        problems: list[str] = []
        upstreams = {
            name: made
            for name, cluster in config.clusters.items()
            if (made := self._upstream(name, cluster, before, problems)) is not None
        }
        if before is not None and before.config.via != config.via:
            before = None  # every route says it
        matchers: MatcherBuilder[Route] = MatcherBuilder()
        routes: dict[str, Route] = {}
        for name, listed in config.routes.items():
            full = msgspec.structs.replace(listed, policies=merged(config.policies, listed.policies))
            route = self._route(name, full, config, upstreams, before, problems)
            if route is not None:
                routes[name] = route
                matchers.add(name, full.match, route)
        try:
            matcher = matchers.build()
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
        if known is not None and known.can_become(config):
            return known
        if not config.endpoints and config.file is None:
            problems.append(f"clusters.{name}: it has neither endpoints nor a file that lists them")
        try:
            return Upstream(
                name,
                config,
                secret=self._secret,
                on_change=self._on_change,
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
        wrong += self._unfit(name, config.policies)
        problems += wrong
        if wrong:
            return None
        mirrored = config.policies.mirror
        used = [upstream for upstream, _ in targets]
        if mirrored is not None and mirrored.cluster in upstreams:
            used.append(upstreams[mirrored.cluster])
        known = None if before is None else before.routes.get(name)
        if known is not None and known.config == config and list(known.upstreams) == used:
            return known
        try:
            policies = Policies(name, config.policies, self._tools)
            core, forwarder = self._core(name, config, targets, policies, whole, upstreams)
        except SetupError as error:
            problems += [f"routes.{name}: {problem}" for problem in error.problems]
            return None
        stats = RouteStats() if known is None else known.stats
        handler = compose(core, policies.onions)
        return Route(name, config, handler, policies, used, forwarder, stats)

    def _unfit(self, name: str, policies: PoliciesConfig) -> list[str]:
        """What several workers would get wrong, each by itself."""
        engine = self._tools.engine
        if policies.limits and self._workers > 1 and getattr(engine, "per_process", False):
            return [
                f"routes.{name}: its limits would be counted by each of {self._workers} workers for itself: "
                f"{getattr(engine, 'per_process_hint', 'use another limits_url')}"
            ]
        return []

    def _targets(
        self, name: str, config: RouteConfig, whole: GatewayConfig, upstreams: Mapping[str, Upstream]
    ) -> tuple[list[tuple[Upstream, int]], list[str]]:
        named = (
            [(config.cluster, 1)]
            if config.cluster is not None
            else [(one.cluster, one.weight) for one in config.split]
        )
        asked, mirrored = config.policies.forward_auth, config.policies.mirror
        others = [one.cluster for one in (asked, mirrored) if one is not None]
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
        if mirrored is not None and not named:
            wrong.append(f"routes.{name}: only what goes to a cluster can be mirrored")
        # A cluster that could not be made was told of already; its routes are not.
        return [(upstreams[each], weight) for each, weight in named if each in upstreams], wrong

    def _core(
        self,
        name: str,
        config: RouteConfig,
        targets: Sequence[tuple[Upstream, int]],
        policies: Policies,
        whole: GatewayConfig,
        upstreams: Mapping[str, Upstream],
    ) -> tuple[Handler, Forwarder | None]:
        if config.handler is not None:
            return self._handlers[config.handler], None
        if config.redirect is not None:
            return redirecting(config.redirect), None
        mirrored = config.policies.mirror
        forwarder = Forwarder(
            name,
            config,
            targets,
            edits=Edits(config.policies.request_headers, where="request_headers"),
            drops=policies.drops,
            via=whole.via,
            random=self._random,
            mirror=None
            if mirrored is None or mirrored.cluster not in upstreams
            else Mirror(mirrored, upstreams[mirrored.cluster], self._random),
        )
        policies.owns(forwarder)
        return forwarder, forwarder
