"""The gateway's configuration: one typed tree, the same from TOML, the environment and Python.

Everything is checked when it is read; what needs the rest of the tree (a route that names a cluster) when it is built.
Durations are in seconds, sizes in bytes. Clusters and policies have files of their own.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Literal

from msgspec import Meta

from framework.app.secret import Secret
from framework.plugins.gateway.config_base import Record, Seconds
from framework.plugins.gateway.config_clusters import (
    ClusterConfig,
    EndpointConfig,
    ProbeConfig,
    SlowStartConfig,
    TLSConfig,
)
from framework.plugins.gateway.config_policies import (
    CacheConfig,
    CORSConfig,
    FaultConfig,
    FieldEdits,
    ForwardAuthConfig,
    JWTConfig,
    LimitConfig,
    MirrorConfig,
    PoliciesConfig,
)
from framework.resilience import RetryPolicy

__all__ = [
    "AdminConfig",
    "CORSConfig",
    "CacheConfig",
    "ClusterConfig",
    "EndpointConfig",
    "FaultConfig",
    "FieldEdits",
    "ForwardAuthConfig",
    "GatewayConfig",
    "HedgeConfig",
    "JWTConfig",
    "LimitConfig",
    "Match",
    "MirrorConfig",
    "PoliciesConfig",
    "ProbeConfig",
    "Redirect",
    "RouteConfig",
    "SlowStartConfig",
    "TLSConfig",
    "TimeoutsConfig",
    "WeightedCluster",
    "is_loopback",
]


class Match(Record, frozen=True):
    """Which requests a route takes. All that is given must fit.

    Attributes:
        host: ``example.com``, ``*.example.com``; any where not given.
        path: the beginning of the path, segment by segment: ``/api`` takes ``/api`` and ``/api/x``, not ``/apis``.
        exact: the whole path.
        pattern: the whole path with parameters, as in the framework's routes: ``/users/{id:int}``.
        methods: any where not given.
        headers, query: names and values; ``*`` takes any value, ``!`` asks for the absence, ``~`` begins a regular
            expression for the whole value.
    """

    host: str | None = None
    path: Annotated[str, Meta(pattern=r"^/")] | None = None
    exact: Annotated[str, Meta(pattern=r"^/")] | None = None
    pattern: Annotated[str, Meta(pattern=r"^/")] | None = None
    methods: tuple[Annotated[str, Meta(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")], ...] = ()
    headers: dict[str, str] = {}
    query: dict[str, str] = {}

    def __post_init__(self) -> None:
        if sum(each is not None for each in (self.path, self.exact, self.pattern)) > 1:
            raise ValueError("path, exact and pattern are three ways to say it: give one")


class WeightedCluster(Record, frozen=True):
    """A part of a route's traffic: ``weight`` of the sum of all."""

    cluster: str
    weight: Annotated[int, Meta(ge=0, le=1_000_000)] = 1


class Redirect(Record, frozen=True):
    """An answer instead of an upstream. ``to``: an absolute URL or a path; ``{path}`` and ``{query}`` stand for the
    request's (with its ``?`` where there is one)."""

    to: str
    status: Literal[301, 302, 303, 307, 308] = 308


class TimeoutsConfig(Record, frozen=True):
    """How long each part may take, out of the request's own budget.

    Attributes:
        total: from the request's head to the end of the response's head, retries and waits included.
        per_try: for each try's head; None: what is left.
        idle: between two pieces of a body or of a tunnel.
    """

    connect: Seconds = 2.0
    total: Seconds = 30.0
    per_try: Seconds | None = None
    idle: Seconds = 60.0


class HedgeConfig(Record, frozen=True):
    """A second try while the first is still silent after ``delay`` seconds; whichever answers first is taken. Only for
    requests that may be sent twice, and out of the retry budget."""

    delay: Seconds
    max_hedges: Annotated[int, Meta(ge=1, le=3)] = 1


class RouteConfig(Record, frozen=True):
    """Requests that fit ``match`` go to a target: ``cluster``, ``split`` over several, ``handler`` (the name of one
    that was given to the plugin: a handler of this process or an ASGI app), or a ``redirect``.

    Attributes:
        strip: taken off the beginning of the path before it goes on; ``rewrite``: the path that goes on instead, with
            ``{path}``, ``{rest}`` (what is behind ``match.path``) and the pattern's parameters.
        host: the Host field that goes on: ``keep`` the client's, ``upstream`` the endpoint's, or a name.
        forwarded: what clients say about whom they speak for: ``append`` to it where they are trusted proxies,
            else ``replace`` it.
        retry: None retries nothing.
        buffer: bytes of a request's body that are read before a try begins; what is larger streams and is not retried.
        websocket: whether it may be upgraded.
        encoded_slash: ``%2F`` in a path: ``keep`` sends it on as it came where the path leads to this route with
            slashes in their place too (else 400), ``always`` wherever it leads then, ``reject`` is 400. With dot
            segments behind one it is 400 in any case.
    """

    match: Match = Match()
    cluster: str | None = None
    split: tuple[WeightedCluster, ...] = ()
    handler: str | None = None
    redirect: Redirect | None = None
    strip: Annotated[str, Meta(pattern=r"^/")] | None = None
    rewrite: Annotated[str, Meta(pattern=r"^/")] | None = None
    host: str = "keep"
    forwarded: Literal["append", "replace"] = "append"
    timeouts: TimeoutsConfig = TimeoutsConfig()
    retry: RetryPolicy | None = RetryPolicy()
    hedge: HedgeConfig | None = None
    buffer: Annotated[int, Meta(ge=0, le=16 * 1024 * 1024)] = 65_536
    websocket: bool = True
    encoded_slash: Literal["keep", "always", "reject"] = "keep"
    policies: PoliciesConfig = PoliciesConfig()

    def __post_init__(self) -> None:
        given = (
            self.cluster is not None,
            bool(self.split),
            self.handler is not None,
            self.redirect is not None,
        )
        if sum(given) != 1:
            raise ValueError("a route has exactly one of cluster, split, handler and redirect")
        if self.strip is not None and self.rewrite is not None:
            raise ValueError("strip and rewrite both say which path goes on: give one")


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine can mean itself by it."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class AdminConfig(Record, frozen=True):
    """The listener for operators. ``token``: what they show as bearer; required unless the host is a loopback one."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 9901
    token: Secret | None = None
    dashboard: bool = True

    def __post_init__(self) -> None:
        if self.token is None and not is_loopback(self.host):
            raise ValueError("operators who come from elsewhere show a token: set it, or listen on 127.0.0.1")
        if self.token is not None and len(self.token.reveal()) < 16:
            raise ValueError("a token has at least 16 characters")


class GatewayConfig(Record, frozen=True):
    """Section ``[gateway]``.

    Attributes:
        clusters, routes: by name. The order of routes says nothing: the most specific match decides.
        policies: for all routes.
        limits_url: where the states of limits are: ``memory://``, ``shared://``, ``redis://...``.
        via: what this gateway calls itself in Via; empty leaves the field out.
        watch: the file is read again when it changes, as on SIGHUP.
        access_log: a line for each request, with what became of it upstream.
        admin: None has no listener for operators.
    """

    clusters: dict[str, ClusterConfig] = {}
    routes: dict[str, RouteConfig] = {}
    policies: PoliciesConfig = PoliciesConfig()
    limits_url: str = "memory://"
    via: Annotated[str, Meta(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]*$")] = "gateway"
    watch: bool = True
    access_log: bool = False
    admin: AdminConfig | None = None
