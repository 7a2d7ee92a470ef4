"""Metrics as text: OpenMetrics for those who ask for it, else the format of Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from prometheus_client import exposition
from prometheus_client.core import Metric
from prometheus_client.openmetrics import exposition as openmetrics

from framework.http.media import best_match

__all__ = ["Format", "choose_format", "render"]

_OPENMETRICS: Final = "application/openmetrics-text"


class Format(NamedTuple):
    """A format. ``escaping``: how names are written that have other characters than the old ones."""

    media_type: str
    openmetrics: bool
    escaping: str


# The escapings are offered by name: a range that names one fits no offer that does not (RFC 9110 section 12.5.1).
_FORMATS: Final[dict[str, Format]] = {
    "text/plain; version=0.0.4": Format("text/plain; version=0.0.4; charset=utf-8", False, "underscores"),
    f"{_OPENMETRICS}; version=1.0.0": Format(
        f"{_OPENMETRICS}; version=1.0.0; charset=utf-8", True, "underscores"
    ),
    **{
        f"{_OPENMETRICS}; version=1.0.0; escaping={escaping}": Format(
            f"{_OPENMETRICS}; version=1.0.0; charset=utf-8; escaping={escaping}", True, escaping
        )
        for escaping in ("allow-utf-8", "underscores", "dots", "values")
    },
}


class _Collected:
    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def choose_format(accept: str | None) -> Format:
    """The format that an Accept field likes best; the old one for those who like none, or do not say."""
    offers = list(_FORMATS)
    return _FORMATS[best_match(accept, offers) or offers[0]]


def render(metrics: Iterable[Metric], wanted: Format) -> bytes:
    """The metrics as text. Takes some milliseconds for each thousand samples."""
    collected = _Collected(list(metrics))
    module: Any = openmetrics if wanted.openmetrics else exposition
    text: bytes = module.generate_latest(collected, escaping=wanted.escaping)
    return text
