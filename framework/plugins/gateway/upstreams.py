"""Clusters at work: endpoints with their connections, probes while they are open, and the books."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from random import Random
from typing import Final
from urllib.parse import urlsplit

import msgspec

from framework.balancing import (
    Attempt,
    Change,
    Cluster,
    Endpoint,
    LeastRequest,
    LoadBalancer,
    Maglev,
    PeakEWMA,
    Prober,
    RandomChoice,
    RingHash,
    RoundRobin,
    SlowStart,
    Sticky,
    TwoChoices,
)
from framework.errors import ConfigError, FrameworkError, ResourceError
from framework.net.client import (
    Origin,
    OriginPool,
    OutgoingRequest,
    Pools,
    PoolSettings,
    Timeouts,
    client_tls,
)
from framework.plugins.gateway.config import ClusterConfig, EndpointConfig, ProbeConfig, TLSConfig
from framework.plugins.gateway.discovery import Discovery, Found, Resolver, is_discovered
from framework.resilience import CircuitBreaker, RetryBudget
from framework.wire.request_head import encode_request_head

__all__ = ["Upstream", "endpoints_of", "key_of"]

_POLICIES: Final[dict[str, Callable[..., LoadBalancer]]] = {
    "round_robin": RoundRobin,
    "random": RandomChoice,
    "least_request": LeastRequest,
    "two_choices": TwoChoices,
    "peak_ewma": PeakEWMA,
}


def key_of(url: str) -> str:
    """One name for an endpoint, however its URL is spelled."""
    if url.startswith("unix:"):
        return url
    parts = urlsplit(url.lower())
    port = parts.port or (443 if parts.scheme == "https" else 80)
    host = parts.hostname or ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def endpoints_of(listed: Sequence[EndpointConfig | str]) -> list[Endpoint]:
    """The endpoints that a configuration names; of equal ones the first."""
    found: dict[str, Endpoint] = {}
    for each in listed:
        config = EndpointConfig(url=each) if isinstance(each, str) else each
        key = key_of(config.url)
        found.setdefault(key, Endpoint(key, weight=config.weight, priority=config.priority))
    return list(found.values())


def _tls_of(config: TLSConfig) -> ssl.SSLContext:
    try:
        return client_tls(
            ca_file=config.ca, certificate=config.certificate, key=config.key, verify=config.verify
        )
    except OSError as error:
        raise ConfigError(f"tls: a file cannot be used: {error}") from None


class Upstream:
    """One cluster, from its configuration; open between ``open`` and ``close``.

    Attributes:
        cluster: picks and judges endpoints.
        breaker: of the whole cluster, None where not asked for.
        budget: of retries, over all its routes.
        in_flight: requests under way; who begins one counts it, and calls ``leave`` at its end.
        refused: requests that ``max_requests`` turned away.
    """

    def __init__(
        self,
        name: str,
        config: ClusterConfig,
        *,
        secret: bytes,
        on_change: Callable[[str, Change], None],
        clock: Callable[[], float],
        random: Random | None = None,
    ) -> None:
        self.name = name
        self.config = config
        self._random = random or Random()
        # Making a context takes long and much: where TLS is spoken, or files of it could be wrong.
        listed = [one if isinstance(one, str) else one.url for one in config.endpoints]
        wanted = config.tls != TLSConfig() or any("https://" in url for url in listed)
        self._tls = _tls_of(config.tls) if wanted else None
        self.sticky: Sticky | None = None
        self._secret = secret
        slow = config.slow_start
        self.cluster = Cluster(
            name,
            endpoints_of([each for each in config.endpoints if not is_discovered(each)]),
            self._policy,
            probes=None if config.probe is None else config.probe.settings(),
            outliers=config.outliers,
            slow_start=None
            if slow is None
            else SlowStart(slow.window, aggression=slow.aggression, min_part=slow.min_part),
            panic_part=config.panic_part,
            on_change=lambda change: on_change(name, change),
            clock=clock,
            random=self._random,
        )
        self.clock = clock
        self.breaker = None if config.breaker is None else CircuitBreaker(config.breaker, self._random)
        self.budget = RetryBudget(config.retry_budget)
        self.in_flight = 0
        self.refused = 0
        self._empty: asyncio.Future[None] | None = None
        self._pools: Pools | None = None
        self._by_endpoint: dict[Endpoint, OriginPool] = {}
        self._stack: AsyncExitStack | None = None
        self._prober: Prober | None = None
        self._discovery: Discovery | None = None
        self._names: dict[str, str] = {}

    def can_become(self, config: ClusterConfig) -> bool:
        """Whether no more than where its endpoints are is different."""
        return (
            msgspec.structs.replace(
                self.config,
                endpoints=config.endpoints,
                file=config.file,
                refresh_interval=config.refresh_interval,
            )
            == config
        )

    def become(self, config: ClusterConfig) -> None:
        """Takes over where the endpoints are. Those that stay keep their connections and what is known of them."""
        if config != self.config:
            self.config = config
            if self._discovery is not None:
                self._discovery.follow(config)

    def _policy(self) -> LoadBalancer:
        config = self.config
        policy: LoadBalancer
        if config.policy == "ring_hash":
            policy = RingHash(max_load=config.max_load, random=self._random)
        elif config.policy == "maglev":
            policy = Maglev(max_load=config.max_load, random=self._random)
        else:
            policy = _POLICIES[config.policy](self._random)
        if config.sticky_cookie is not None:
            policy = self.sticky = Sticky(policy, self._secret)
        return policy

    # -- life -------------------------------------------------------------------------------------------------------

    async def open(self, resolver: Resolver) -> None:
        """Looks its endpoints up and begins to probe. Call it in the loop that serves."""
        config = self.config
        stack = AsyncExitStack()
        self._pools = Pools(
            PoolSettings(
                max_connections=config.max_connections,
                max_idle=config.max_connections,
                max_waiting=config.max_waiting,
                idle_timeout=config.idle_timeout,
            ),
            Timeouts(),
        )
        stack.push_async_callback(self._pools.aclose)
        self._stack = stack
        self._discovery = Discovery(self.name, config, resolver, self._found)
        await self._discovery.open()
        if config.probe is not None:
            self._prober = Prober(self.cluster, self._probe, random=self._random)
            await self._prober.__aenter__()

    async def stop_looking(self) -> None:
        """Ends probes and look-ups; requests go on."""
        prober, self._prober = self._prober, None
        if prober is not None:
            await prober.__aexit__(None, None, None)
        discovery, self._discovery = self._discovery, None
        if discovery is not None:
            await discovery.close()

    async def close(self) -> None:
        """Ends probes and connections. Requests under way should have ended before."""
        await self.stop_looking()
        stack, self._stack = self._stack, None
        self._by_endpoint.clear()
        self._pools = None
        if stack is not None:
            await stack.aclose()

    def _found(self, found: Sequence[Found]) -> None:
        """These are the endpoints now."""
        self._names = {key_of(each.config.url): each.name for each in found if each.name is not None}
        self.cluster.update(endpoints_of([each.config for each in found]))
        members = set(self.cluster.endpoints)
        for endpoint in [each for each in self._by_endpoint if each not in members]:
            self._by_endpoint.pop(endpoint)
        if self._prober is not None:
            self._prober.follow()

    # -- requests ---------------------------------------------------------------------------------------------------

    def pool(self, endpoint: Endpoint) -> OriginPool:
        """The connections to an endpoint."""
        pool = self._by_endpoint.get(endpoint)
        if pool is None or pool.is_retired:
            if self._pools is None:
                raise ResourceError(f"the cluster {self.name} is closed", retry_after=1.0)
            pool = self._by_endpoint[endpoint] = self._pools.pool(self._origin(endpoint.key))
        return pool

    def _origin(self, key: str) -> Origin:
        if key.startswith("unix:"):
            return Origin("localhost", 80, unix_socket=key.removeprefix("unix:"))
        parts = urlsplit(key)
        if parts.scheme == "https" and self._tls is None:
            self._tls = _tls_of(self.config.tls)
        tls = self._tls if parts.scheme == "https" else None
        name = self.config.tls.server_name or self._names.get(key)
        return Origin(parts.hostname or "", parts.port or 80, tls, name)

    def authority(self, endpoint: Endpoint) -> str:
        """What the Host field of a request to the endpoint says where it is not the client's."""
        origin, name = self._origin(endpoint.key), self._names.get(endpoint.key)
        return (origin if name is None else origin._replace(host=name)).authority

    def begin(self, key: bytes | None, avoid: Sequence[Endpoint]) -> Attempt:
        """Picks an endpoint. Raises NoEndpoint."""
        return self.cluster.begin(key, avoid)

    def leave(self) -> None:
        """A request has ended, its answer and its tunnel included."""
        self.in_flight -= 1
        if self._empty is not None and not self.in_flight and not self._empty.done():
            self._empty.set_result(None)

    async def emptied(self) -> None:
        """Waits until no request is under way."""
        while self.in_flight:
            if self._empty is None or self._empty.done():
                self._empty = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._empty)

    # -- probes -----------------------------------------------------------------------------------------------------

    async def _probe(self, endpoint: Endpoint) -> bool:
        config = self.config.probe
        if config is None:
            return True
        origin = self._origin(endpoint.key)
        if not config.path:
            return await _connects(origin)
        return await self._asks(config, endpoint, origin)

    async def _asks(self, config: ProbeConfig, endpoint: Endpoint, origin: Origin) -> bool:
        fields = [("host", config.host or origin.authority), ("user-agent", "framework-gateway-probe")]
        head = encode_request_head("GET", config.path, fields)
        try:
            raw = await self.pool(endpoint).exchange(
                OutgoingRequest(method="GET", head=head, timeouts=Timeouts(connect=config.timeout))
            )
        except FrameworkError:
            return False
        try:
            return any(low <= raw.head.status <= high for low, high in config.statuses)
        finally:
            raw.close()


async def _connects(origin: Origin) -> bool:
    try:
        if origin.unix_socket is not None:
            _, writer = await asyncio.open_unix_connection(origin.unix_socket)
        else:
            _, writer = await asyncio.open_connection(origin.host, origin.port)
    except OSError:
        return False
    writer.close()
    return True
