"""The section ``[ratelimit]``, and the engine that its URL names."""

from __future__ import annotations

import os
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from framework.errors import ConfigError
from framework.plugins.ratelimit.engine import Engine, MemoryEngine
from framework.plugins.ratelimit.fields import HeaderStyle
from framework.plugins.ratelimit.policy import MAX_WINDOW, Algorithm, Policy

__all__ = ["PolicySettings", "RateLimitSettings", "engine_of"]


class PolicySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Section ``[ratelimit.policies.NAME]``; see ``Policy`` for what is not told here.

    Attributes:
        quota: units in ``window`` seconds.
        key: whose units: client, user, route, all, ``header:NAME`` or a name that the plugin was given; several are
            joined by ``+``.
        routes: patterns of the routes it holds for, ``/api/*`` for all that begin so; all routes when not given.
    """

    quota: Annotated[int, Meta(ge=1, le=10**15)]
    window: Annotated[float, Meta(ge=0.001, le=MAX_WINDOW)]
    algorithm: Algorithm = "gcra"
    burst: Annotated[int, Meta(ge=1, le=10**15)] | None = None
    shadow: bool = False
    near: Annotated[float, Meta(gt=0, le=1)] = 0.8
    key: str = "client"
    routes: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        problems = self.policy("policy").problems()
        if problems:
            raise ValueError("; ".join(problems))

    def policy(self, name: str) -> Policy:
        """The policy of these settings."""
        return Policy(
            name=name,
            quota=self.quota,
            window=self.window,
            algorithm=self.algorithm,
            burst=self.burst,
            shadow=self.shadow,
            near=self.near,
        )


class RateLimitSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Section ``[ratelimit]``.

    Attributes:
        url: where states are: ``memory://`` (this process), ``shared://`` (the workers of one supervisor) or
            ``shared:///path/prefix`` (all who name that path), ``redis://...``, ``rediss://...``, ``unix://...``.
        policies: by name.
        headers: the version of the fields that tell clients about their limits.
        on_failure: what decides while the engine cannot be asked: this process alone ("local"), or everybody is
            admitted ("open") or refused ("closed").
        deadline: seconds that Redis may take for a decision; then ``on_failure`` decides.
        required: the start fails when Redis cannot be reached.
        instances: processes on all machines that share the limits, for "local" and leases; the workers here when
            not given.
        lease: units that are taken from Redis at a time; 0 asks for each decision. The policies must then hold for
            different routes, one each.
        max_keys: that are remembered of each policy; of no matter in Redis.
        prefix: of the keys in Redis.
        clock: "client" where Redis refuses TIME in scripts.
        skip: patterns of routes that are never limited.
    """

    enabled: bool = True
    url: str = "memory://"
    policies: dict[str, PolicySettings] = {}
    headers: HeaderStyle = "draft-11"
    on_failure: Literal["local", "open", "closed"] = "local"
    deadline: Annotated[float, Meta(gt=0, le=60)] = 0.005
    required: bool = True
    instances: Annotated[int, Meta(ge=1)] | None = None
    lease: Annotated[int, Meta(ge=0)] = 0
    max_keys: Annotated[int, Meta(ge=8, le=100_000_000)] = 100_000
    prefix: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._:-]{1,64}$")] = "limit"
    clock: Literal["server", "client"] = "server"
    skip: tuple[str, ...] = ("/healthz", "/readyz", "/metrics")

    def __post_init__(self) -> None:
        scheme, separator, rest = self.url.partition("://")
        if not separator or scheme not in ("memory", "shared", "redis", "rediss", "unix"):
            raise ValueError("url: known are memory://, shared://, redis://, rediss:// and unix://")
        if scheme == "memory" and rest:
            raise ValueError("url: memory:// stands alone")
        if scheme == "shared" and rest and not rest.startswith("/"):
            raise ValueError("url: shared:// is followed by an absolute path, or nothing")
        if self.lease and scheme in ("memory", "shared"):
            raise ValueError(f"lease: {scheme}:// needs none")
        if scheme in ("redis", "rediss", "unix"):
            from framework.redis.url import parse_url

            try:
                parse_url(self.url)
            except ConfigError as error:
                raise ValueError(f"url: {error}") from None


def engine_of(settings: RateLimitSettings, worker_count: int) -> Engine:
    """The engine that the URL names, not opened.

    Raises:
        ImportError: hiredis is not installed.
    """
    scheme, _, rest = settings.url.partition("://")
    if scheme == "memory":
        return MemoryEngine(max_keys=settings.max_keys)
    if scheme == "shared":
        from framework.plugins.ratelimit.shared import SharedEngine, workers_path

        path = rest or workers_path(os.getppid() if worker_count > 1 else None)
        return SharedEngine(path, max_keys=settings.max_keys)
    from framework.plugins.ratelimit.remote import RedisEngine

    return RedisEngine(
        settings.url,
        prefix=settings.prefix,
        deadline=settings.deadline,
        required=settings.required,
        clock=settings.clock,
    )
