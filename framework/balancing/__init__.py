"""Load balancing: policies that pick among endpoints, and clusters that keep the books on their health.

Usable alone: a policy needs ``update`` and ``pick``; a ``Cluster`` adds health, ejection, slow start, panic and
priorities; a ``Prober`` makes the probes. Nothing here opens a connection."""

from framework.balancing.cluster import Attempt, Change, Cluster, EndpointReport, NoEndpoint
from framework.balancing.endpoint import Endpoint, SlowStart
from framework.balancing.hashed import Maglev, RingHash
from framework.balancing.health import Failure, OutlierSettings, ProbeSettings, Why
from framework.balancing.loaded import LeastRequest, PeakEWMA, TwoChoices
from framework.balancing.policy import LoadBalancer
from framework.balancing.prober import Prober
from framework.balancing.sticky import Sticky
from framework.balancing.weighted import RandomChoice, RoundRobin

__all__ = [
    "Attempt",
    "Change",
    "Cluster",
    "Endpoint",
    "EndpointReport",
    "Failure",
    "LeastRequest",
    "LoadBalancer",
    "Maglev",
    "NoEndpoint",
    "OutlierSettings",
    "PeakEWMA",
    "ProbeSettings",
    "Prober",
    "RandomChoice",
    "RingHash",
    "RoundRobin",
    "SlowStart",
    "Sticky",
    "TwoChoices",
    "Why",
]
