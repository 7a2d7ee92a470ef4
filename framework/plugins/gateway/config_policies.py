"""The configuration of policies: what stands around a route's target."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from framework.app.secret import Secret
from framework.plugins.auth import APIKey, BasicUser
from framework.plugins.gateway.config_base import Part, Record, Seconds

__all__ = [
    "CORSConfig",
    "CacheConfig",
    "FaultConfig",
    "FieldEdits",
    "ForwardAuthConfig",
    "JWTConfig",
    "LimitConfig",
    "MirrorConfig",
    "PoliciesConfig",
]


class FieldEdits(Record, frozen=True):
    """Changes of fields: removed first, then set, then added. ``{client}``, ``{host}``, ``{method}``, ``{path}``,
    ``{scheme}``, ``{request_id}``, ``{subject}`` and the pattern's parameters stand for the request's."""

    remove: tuple[str, ...] = ()
    set: dict[str, str] = {}
    add: dict[str, str] = {}


class JWTConfig(Record, frozen=True):
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


class ForwardAuthConfig(Record, frozen=True):
    """Another service decides: the cluster and the path that are asked, what it is shown, what is copied."""

    cluster: str
    path: Annotated[str, Meta(pattern=r"^/")] = "/"
    send: tuple[str, ...] = ("authorization", "cookie")
    copy: tuple[str, ...] = ()
    subject: str | None = None
    timeout: Seconds = 2.0


class LimitConfig(Record, frozen=True):
    """``quota`` requests in ``window`` seconds for each ``key``: ``client``, ``user``, ``all``, ``header:NAME``."""

    quota: Annotated[int, Meta(ge=1)]
    window: Seconds = 1.0
    burst: Annotated[int, Meta(ge=1)] | None = None
    algorithm: Literal["gcra", "token_bucket", "sliding_window", "sliding_log", "fixed_window"] = "gcra"
    key: Annotated[str, Meta(pattern=r"^(client|user|all|header:[!-~]+)$")] = "client"
    shadow: bool = False


class CORSConfig(Record, frozen=True):
    """Who in a browser may call: see ``framework.middleware.cors``."""

    origins: Annotated[tuple[str, ...], Meta(min_length=1)]
    methods: tuple[str, ...] = ("GET", "HEAD", "POST")
    headers: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    credentials: bool = False
    max_age: Annotated[int, Meta(ge=0)] = 600


class CacheConfig(Record, frozen=True):
    """Responses kept as RFC 9111 allows. ``default_ttl``: seconds for those that say nothing; 0 keeps none of them."""

    max_bytes: Annotated[int, Meta(ge=1)] = 64 * 1024 * 1024
    max_body: Annotated[int, Meta(ge=1)] = 1024 * 1024
    default_ttl: Annotated[float, Meta(ge=0)] = 0.0
    stale_if_error: Annotated[float, Meta(ge=0)] = 0.0


class MirrorConfig(Record, frozen=True):
    """A copy of a part of the requests goes to another cluster, whose answers nobody sees."""

    cluster: str
    part: Part = 1.0
    max_body: Annotated[int, Meta(ge=0)] = 65_536
    max_requests: Annotated[int, Meta(ge=1)] = 100
    timeout: Seconds = 10.0


class FaultConfig(Record, frozen=True):
    """Faults on purpose, off unless ``enabled``: ``delay`` seconds for ``delay_part`` of the requests, ``abort`` for
    ``abort_part`` of them."""

    enabled: bool = False
    delay: Annotated[float, Meta(ge=0, le=60)] = 0.0
    delay_part: Part = 0.0
    abort: Annotated[int, Meta(ge=400, le=599)] = 503
    abort_part: Part = 0.0


class PoliciesConfig(Record, frozen=True):
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
