"""The configuration of clusters: where endpoints are, how one is picked, how their health is found out."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from framework.balancing import OutlierSettings, ProbeSettings
from framework.plugins.gateway.config_base import Part, Record, Seconds
from framework.resilience import BreakerSettings, RetryBudgetSettings

__all__ = [
    "ClusterConfig",
    "EndpointConfig",
    "ProbeConfig",
    "SlowStartConfig",
    "TLSConfig",
]

Url = Annotated[str, Meta(pattern=r"^https?://[^/?#\s]+$|^unix:/.+$|^(dns|srv)\+https?://[^/?#\s]+$")]


class EndpointConfig(Record, frozen=True):
    """One place that serves: ``http://host:port``, ``https://...``, ``unix:/path``; ``dns+http://name:port`` for all
    addresses of a name, ``srv+http://_name`` for those its SRV records name."""

    url: Url
    weight: Annotated[int, Meta(ge=1, le=1000)] = 1
    priority: Annotated[int, Meta(ge=0, le=15)] = 0


class ProbeConfig(Record, frozen=True):
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


class SlowStartConfig(Record, frozen=True):
    """A new or recovered endpoint gets its share back over ``window`` seconds."""

    window: Seconds = 30.0
    aggression: Annotated[float, Meta(gt=0)] = 1.0
    min_part: Annotated[float, Meta(gt=0, le=1)] = 0.1


class TLSConfig(Record, frozen=True):
    """TLS to the endpoints of a cluster. ``ca``: a file with the certificates trusted instead of the system's;
    ``certificate`` and ``key``: files for who wants to see a client's; ``server_name``: what is checked instead of the
    endpoint's host. ``verify`` false believes anybody: for development."""

    ca: str | None = None
    certificate: str | None = None
    key: str | None = None
    server_name: str | None = None
    verify: bool = True


class ClusterConfig(Record, frozen=True):
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
