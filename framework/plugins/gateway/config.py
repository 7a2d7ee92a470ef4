"""The gateway's configuration: one typed tree, the same from TOML, the environment and Python.

Everything is checked when it is read; what needs the rest of the tree (a route that names a cluster) when it is built.
Durations are in seconds, sizes in bytes.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from framework.app.secret import Secret
from framework.balancing import OutlierSettings, ProbeSettings
from framework.plugins.auth import APIKey, BasicUser
from framework.resilience import BreakerSettings, RetryBudgetSettings, RetryPolicy

__all__ = [
    "AdminConfig",
    "CacheConfig",
    "CORSConfig",
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
    "TimeoutsConfig",
    "WeightedCluster",
]

Seconds = Annotated[float, Meta(gt=0, le=86_400)]
Part = Annotated[float, Meta(ge=0, le=1)]
Url = Annotated[str, Meta(pattern=r"^https?://[^/?#\s]+$|^unix:/.+$|^srv\+?https?://.+$|^dns\+https?://.+$")]


class _Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


# -- clusters ---------------------------------------------------------------------------------------------------------


class EndpointConfig(_Config, frozen=True):
    """One place that serves: ``http://host:port``, ``https://...``, ``unix:/path``; ``dns+http://name:port`` for all
    addresses of a name, ``srv+http://_name`` for those its SRV records name."""

    url: Url
    weight: Annotated[int, Meta(ge=1, le=1000)] = 1
    priority: Annotated[int, Meta(ge=0, le=15)] = 0


class ProbeConfig(_Config, frozen=True):
    """Active health checks: ``GET path``, or a TCP connection where ``path`` is empty."""

    path: Annotated[str, Meta(pattern=r"^(/.*)?$")] = "/healthz"
    host: str | None = None
    statuses: tuple[tuple[int, int], ...] = ((200, 399),)
    interval: Seconds = 5.0
    jitter: Part = 0.2
    timeout: Seconds = 2.0
    unhealthy_after: Annotated[int, Meta(ge=1)] = 3
    healthy_after: Annotated[int, Meta(ge=1)] = 2
    initially: bool = True

    def settings(self) -> ProbeSettings:
        """As the balancer wants them."""
        return ProbeSettings(
            interval=self.interval,
            jitter=self.jitter,
            timeout=self.timeout,
            unhealthy_after=self.unhealthy_after,
            healthy_after=self.healthy_after,
            initially=self.initially,
        )


class SlowStartConfig(_Config, frozen=True):
    """A new or recovered endpoint gets its share back over ``window`` seconds."""

    window: Seconds = 30.0
    aggression: Annotated[float, Meta(gt=0)] = 1.0
    min_part: Annotated[float, Meta(gt=0, le=1)] = 0.1


class TLSConfig(_Config, frozen=True):
    """TLS to the endpoints of a cluster. ``ca``: a file with the certificates trusted instead of the system's;
    ``certificate`` and ``key``: files for who wants to see a client's; ``server_name``: what is checked instead of the
    endpoint's host. ``verify`` false believes anybody: for development."""

    ca: str | None = None
    certificate: str | None = None
    key: str | None = None
    server_name: str | None = None
    verify: bool = True


class ClusterConfig(_Config, frozen=True):
    """Endpoints that serve the same.

    Attributes:
        endpoints: where they are; ``file`` names a file that lists them, one URL on a line, watched for changes.
        policy: how one is picked.
        hash_on: what belongs together, for the policies that hash: ``client``, ``path``, ``header:NAME``,
            ``cookie:NAME``, ``query:NAME``.
        max_load: bound of the load for the policies that hash, times the average; none where not given.
        sticky_cookie: a cookie that keeps a client at its endpoint, whatever the policy.
        panic_part: below this part of healthy endpoints health is not looked at.
        max_connections, max_waiting: for each endpoint. What would wait beyond is answered 503.
        max_requests: under way at once over the whole cluster; 503 beyond. None sets no limit.
    """

    endpoints: tuple[EndpointConfig | Url, ...] = ()
    file: str | None = None
    policy: Literal[
        "round_robin", "random", "least_request", "two_choices", "peak_ewma", "ring_hash", "maglev"
    ] = "two_choices"
    hash_on: Annotated[str, Meta(pattern=r"^(client|path|(header|cookie|query):[!-~]+)$")] = "client"
    max_load: Annotated[float, Meta(gt=1)] | None = None
    sticky_cookie: str | None = None
    probe: ProbeConfig | None = None
    outliers: OutlierSettings | None = OutlierSettings()
    breaker: BreakerSettings | None = None
    slow_start: SlowStartConfig | None = None
    panic_part: Part = 0.0
    tls: TLSConfig = TLSConfig()
    max_connections: Annotated[int, Meta(ge=1)] = 256
    max_waiting: Annotated[int, Meta(ge=0)] = 256
    max_requests: Annotated[int, Meta(ge=1)] | None = None
    idle_timeout: Seconds = 30.0
    retry_budget: RetryBudgetSettings = RetryBudgetSettings()
    refresh_interval: Seconds = 30.0


# -- routes -----------------------------------------------------------------------------------------------------------


class Match(_Config, frozen=True):
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


class WeightedCluster(_Config, frozen=True):
    """A part of a route's traffic: ``weight`` of the sum of all."""

    cluster: str
    weight: Annotated[int, Meta(ge=0, le=1_000_000)] = 1


class Redirect(_Config, frozen=True):
    """An answer instead of an upstream. ``to``: an absolute URL or a path; ``{path}`` and ``{query}`` stand for the
    request's (with its ``?`` where there is one)."""

    to: str
    status: Literal[301, 302, 303, 307, 308] = 308


class TimeoutsConfig(_Config, frozen=True):
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


class HedgeConfig(_Config, frozen=True):
    """A second try while the first is still silent after ``delay`` seconds; whichever answers first is taken. Only for
    requests that may be sent twice, and out of the retry budget."""

    delay: Seconds
    max_hedges: Annotated[int, Meta(ge=1, le=3)] = 1


class FieldEdits(_Config, frozen=True):
    """Changes of fields: removed first, then set, then added. ``{client}``, ``{host}``, ``{method}``, ``{path}``,
    ``{scheme}``, ``{request_id}``, ``{subject}`` and the pattern's parameters stand for the request's."""

    remove: tuple[str, ...] = ()
    set: dict[str, str] = {}
    add: dict[str, str] = {}


class JWTConfig(_Config, frozen=True):
    """Bearer tokens. One of ``secret``, ``public_key_file``, ``jwks_file``, ``jwks_url``."""

    algorithms: Annotated[tuple[str, ...], Meta(min_length=1)]
    secret: Secret | None = None
    public_key_file: str | None = None
    jwks_file: str | None = None
    jwks_url: str | None = None
    issuer: str | None = None
    audience: tuple[str, ...] | None = None
    leeway: Annotated[float, Meta(ge=0, le=300)] = 10.0
    optional: bool = False
    cookie: str | None = None
    roles_claim: str = "roles"
    scopes_claim: str = "scope"

    def __post_init__(self) -> None:
        if (
            sum(
                each is not None
                for each in (self.secret, self.public_key_file, self.jwks_file, self.jwks_url)
            )
            != 1
        ):
            raise ValueError("give exactly one of secret, public_key_file, jwks_file and jwks_url")


class ForwardAuthConfig(_Config, frozen=True):
    """Another service decides: the cluster and the path that are asked, what it is shown, what is copied."""

    cluster: str
    path: Annotated[str, Meta(pattern=r"^/")] = "/"
    send: tuple[str, ...] = ("authorization", "cookie")
    copy: tuple[str, ...] = ()
    subject: str | None = None
    timeout: Seconds = 2.0


class LimitConfig(_Config, frozen=True):
    """``quota`` requests in ``window`` seconds for each ``key``: ``client``, ``user``, ``all``, ``header:NAME``."""

    quota: Annotated[int, Meta(ge=1)]
    window: Seconds = 1.0
    burst: Annotated[int, Meta(ge=1)] | None = None
    algorithm: Literal["gcra", "token_bucket", "sliding_window", "sliding_log", "fixed_window"] = "gcra"
    key: Annotated[str, Meta(pattern=r"^(client|user|all|header:[!-~]+)$")] = "client"
    shadow: bool = False


class CORSConfig(_Config, frozen=True):
    """Who in a browser may call: see ``framework.middleware.cors``."""

    origins: Annotated[tuple[str, ...], Meta(min_length=1)]
    methods: tuple[str, ...] = ("GET", "HEAD", "POST")
    headers: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    credentials: bool = False
    max_age: Annotated[int, Meta(ge=0)] = 600


class CacheConfig(_Config, frozen=True):
    """Responses kept as RFC 9111 allows. ``default_ttl``: seconds for those that say nothing; 0 keeps none of them."""

    max_bytes: Annotated[int, Meta(ge=1)] = 64 * 1024 * 1024
    max_body: Annotated[int, Meta(ge=1)] = 1024 * 1024
    default_ttl: Annotated[float, Meta(ge=0)] = 0.0
    stale_if_error: Annotated[float, Meta(ge=0)] = 0.0


class MirrorConfig(_Config, frozen=True):
    """A copy of a part of the requests goes to another cluster, whose answers nobody sees."""

    cluster: str
    part: Part = 1.0
    max_body: Annotated[int, Meta(ge=0)] = 65_536
    max_requests: Annotated[int, Meta(ge=1)] = 100


class FaultConfig(_Config, frozen=True):
    """Faults on purpose, off unless ``enabled``: ``delay`` seconds for ``delay_part`` of the requests, ``abort`` for
    ``abort_part`` of them."""

    enabled: bool = False
    delay: Annotated[float, Meta(ge=0, le=60)] = 0.0
    delay_part: Part = 0.0
    abort: Annotated[int, Meta(ge=400, le=599)] = 503
    abort_part: Part = 0.0


class PoliciesConfig(_Config, frozen=True):
    """What stands around a target. On the gateway: for all routes; on a route: instead of the gateway's, one by one.

    Attributes:
        allow, deny: networks of clients.
        jwt, api_keys, basic, forward_auth: who asks; of several any one will do, in this order.
        roles, scopes: any of these roles, all of these scopes.
        max_body: bytes of a request's body; 413 beyond.
        max_in_flight: requests of the route under way at once; 503 beyond.
        compress: responses that are not compressed already.
        maintenance: everybody gets 503 with this text.
    """

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    cors: CORSConfig | None = None
    jwt: JWTConfig | None = None
    api_keys: tuple[APIKey, ...] = ()
    basic: tuple[BasicUser, ...] = ()
    forward_auth: ForwardAuthConfig | None = None
    roles: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    limits: dict[str, LimitConfig] = {}
    max_in_flight: Annotated[int, Meta(ge=1)] | None = None
    max_body: Annotated[int, Meta(ge=0)] | None = None
    request_headers: FieldEdits = FieldEdits()
    response_headers: FieldEdits = FieldEdits()
    cache: CacheConfig | None = None
    compress: bool = False
    mirror: MirrorConfig | None = None
    fault: FaultConfig | None = None
    maintenance: str | None = None


class RouteConfig(_Config, frozen=True):
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


class AdminConfig(_Config, frozen=True):
    """The listener for operators. ``token``: what they show as bearer; required unless the host is a loopback one."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 9901
    token: Secret | None = None
    dashboard: bool = True


class GatewayConfig(_Config, frozen=True):
    """Section ``[gateway]``.

    Attributes:
        clusters, routes: by name. The order of routes says nothing: the most specific match decides.
        policies: for all routes.
        limits_url: where the states of limits are: ``memory://``, ``shared://``, ``redis://...``.
        via: what this gateway calls itself in Via; empty leaves the field out.
        watch: the file is read again when it changes, as on SIGHUP.
        admin: None has no listener for operators.
    """

    clusters: dict[str, ClusterConfig] = {}
    routes: dict[str, RouteConfig] = {}
    policies: PoliciesConfig = PoliciesConfig()
    limits_url: str = "memory://"
    via: Annotated[str, Meta(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]*$")] = "gateway"
    watch: bool = True
    admin: AdminConfig | None = None
