"""What is known of an endpoint's health: probes with thresholds, what requests came to, and ejections that end."""

from __future__ import annotations

from enum import Enum

import msgspec

from framework.balancing.endpoint import Endpoint

__all__ = ["Failure", "HealthLedger", "OutlierSettings", "ProbeSettings", "Why"]


class Failure(Enum):
    """How a request failed.

    LOCAL: the endpoint could not be reached, or broke off, or was too late; GATEWAY: it answered 502, 503 or 504;
    STATUS: any other answer of 500 and more.
    """

    LOCAL = "local"
    GATEWAY = "gateway"
    STATUS = "status"


class Why(Enum):
    """Why an endpoint is not picked."""

    PROBES = "its probes fail"
    UNPROBED = "it has not been probed yet"
    EJECTED = "its requests fail"
    DRAINED = "it is being drained"


class ProbeSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Active health checks. Durations in seconds.

    Attributes:
        interval: between the end of one probe and the next, and ``jitter`` the part of it that is added at random.
        timeout: for each probe.
        unhealthy_after: failed probes in a row that take an endpoint out; one alone takes none out.
        healthy_after: good ones in a row that bring it back.
        initially: whether a new endpoint counts as healthy until its probes say otherwise.
    """

    interval: float = 5.0
    jitter: float = 0.2
    timeout: float = 2.0
    unhealthy_after: int = 3
    healthy_after: int = 2
    initially: bool = True

    def __post_init__(self) -> None:
        if not (self.interval > 0 and self.timeout > 0 and 0 <= self.jitter <= 1):
            raise ValueError("interval and timeout are more than 0 seconds, jitter a part from 0 to 1")
        if self.unhealthy_after < 1 or self.healthy_after < 1:
            raise ValueError("unhealthy_after and healthy_after are at least 1")


class OutlierSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Passive health checks, after Envoy's outlier detection. Durations in seconds; 0 turns a detector off.

    Attributes:
        max_consecutive: failures of any kind in a row.
        max_consecutive_local: failures to reach it in a row.
        failure_rate: part of an interval's requests that failed.
        success_deviation: how many standard deviations below the mean of all its success rate may be.
        min_requests: of an endpoint in an interval, for the two rates to be looked at.
        min_endpoints: with as many requests, for the deviation to be looked at.
        interval: between looks at the rates; each good one takes back one of the times it was ejected.
        base_ejection: how long it is ejected, times how often it was in a row; at most ``max_ejection``.
        max_ejected: part of the endpoints that may be ejected at once; one may always be, unless this is 0.
    """

    max_consecutive: int = 5
    max_consecutive_local: int = 3
    failure_rate: float = 0.85
    success_deviation: float = 1.9
    min_requests: int = 50
    min_endpoints: int = 5
    interval: float = 10.0
    base_ejection: float = 30.0
    max_ejection: float = 300.0
    max_ejected: float = 0.5

    def __post_init__(self) -> None:
        if self.max_consecutive < 0 or self.max_consecutive_local < 0 or not self.success_deviation >= 0:
            raise ValueError("max_consecutive, max_consecutive_local and success_deviation are at least 0")
        if not (0 <= self.failure_rate <= 1 and 0 <= self.max_ejected <= 1):
            raise ValueError("failure_rate and max_ejected are parts from 0 to 1")
        if not (self.interval > 0 and 0 < self.base_ejection <= self.max_ejection):
            raise ValueError(
                "interval and base_ejection are more than 0, and max_ejection not less than that"
            )


class HealthLedger:
    """The health of one endpoint as one cluster sees it."""

    __slots__ = (
        "drained",
        "ejected_until",
        "ejections",
        "endpoint",
        "failed",
        "in_a_row",
        "local_in_a_row",
        "probed",
        "probes_good",
        "requests",
        "streak",
        "times",
    )

    def __init__(self, endpoint: Endpoint, *, healthy: bool) -> None:
        self.endpoint = endpoint
        self.probes_good = healthy
        self.probed = healthy
        self.streak = 0
        self.drained = False
        self.in_a_row = 0
        self.local_in_a_row = 0
        self.requests = 0
        self.failed = 0
        self.times = 0
        self.ejections = 0
        self.ejected_until: float | None = None

    @property
    def why(self) -> Why | None:
        """Why it is not picked; None while it can be."""
        if self.drained:
            return Why.DRAINED
        if not self.probes_good:
            return Why.PROBES if self.probed else Why.UNPROBED
        return None if self.ejected_until is None else Why.EJECTED

    def probe(self, settings: ProbeSettings, *, good: bool) -> bool:
        """A probe came to its end; whether that changed what the probes say together."""
        first = not self.probed
        self.probed = True
        if good is self.probes_good:
            self.streak = 0
            return False
        self.streak += 1
        needed = settings.healthy_after if good else settings.unhealthy_after
        if self.streak < needed and not (first and good):
            return False
        self.streak = 0
        self.probes_good = good
        return True

    def result(self, failure: Failure | None) -> None:
        """A request came to its end."""
        self.requests += 1
        if failure is None:
            self.in_a_row = self.local_in_a_row = 0
            return
        self.failed += 1
        self.in_a_row += 1
        self.local_in_a_row = self.local_in_a_row + 1 if failure is Failure.LOCAL else 0

    def is_outlier(self, settings: OutlierSettings) -> bool:
        """Whether the failures in a row are too many."""
        return (
            0 < settings.max_consecutive <= self.in_a_row
            or 0 < settings.max_consecutive_local <= self.local_in_a_row
        )

    def eject(self, settings: OutlierSettings, now: float) -> None:
        """Takes it out, each time for longer."""
        self.times += 1
        self.ejections += 1
        self.ejected_until = now + min(settings.max_ejection, settings.base_ejection * self.times)
        self.in_a_row = self.local_in_a_row = 0

    def readmit(self) -> None:
        """Lets it back in, to be judged by what it does now. How often it was ejected only good intervals take back."""
        self.ejected_until = None
        self.in_a_row = self.local_in_a_row = 0
        self.next_interval()

    def next_interval(self) -> None:
        """The counts begin anew."""
        self.requests = self.failed = 0
