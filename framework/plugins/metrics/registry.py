"""A registry of one app that knows how each of its metrics is to be merged with those of other workers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, cast

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from framework.net.tally import Family, Kind, Mode, Sample, Tally

__all__ = ["Registry", "as_metrics", "count"]

# By prometheus_client's words. Dead workers' gauges are always left out, as the modes that begin with "live" say.
_MODES: Final[dict[str, Mode]] = {
    "sum": "sum",
    "max": "max",
    "min": "min",
    "mostrecent": "newest",
    "all": "each",
}
_KNOWN: Final[dict[str, Mode]] = {
    "framework_background_tasks": "sum",
    "framework_build_info": "max",
    "framework_connections": "sum",
    "framework_handlers_suspended": "sum",
    "framework_tasks_parked": "sum",
    "http_requests_in_progress": "sum",
    "process_max_fds": "min",
    "process_open_fds": "sum",
    "process_resident_memory_bytes": "sum",
    "process_start_time_seconds": "min",
    "process_virtual_memory_bytes": "sum",
}


class Registry(CollectorRegistry):
    """A registry that no other app shares. Names that are taken are refused, whoever registers them."""

    def __init__(self) -> None:
        super().__init__(auto_describe=True)
        self.modes = dict(_KNOWN)

    def register(self, collector: Collector) -> None:
        """Adds a collector, and notes the ``multiprocess_mode`` of a gauge."""
        super().register(collector)
        mode = getattr(collector, "_multiprocess_mode", None)
        if isinstance(mode, str):
            for metric in collector.collect():
                self.modes[metric.name] = _MODES.get(mode.removeprefix("live"), "each")


def count(registry: CollectorRegistry) -> Tally:
    """All metrics of a registry as of now. Exemplars and native histograms are left out: they do not add up."""
    modes: dict[str, Mode] = registry.modes if isinstance(registry, Registry) else {}
    return Tally(tuple(_family(metric, modes.get(metric.name, "each")) for metric in registry.collect()))


def _family(metric: Metric, mode: Mode) -> Family:
    samples = tuple(
        Sample(each.name, tuple(sorted(each.labels.items())), each.value)
        for each in metric.samples
        if each.native_histogram is None
    )
    kind = cast("Kind", metric.type)
    mode = "newest" if kind == "info" else mode
    return Family(metric.name, kind, metric.documentation, metric.unit, mode, samples)


def as_metrics(tally: Tally) -> Iterable[Metric]:
    """The metrics of a tally, for the exposition."""
    for family in tally.families:
        metric = Metric(family.name, family.help, family.kind, family.unit)
        for sample in family.samples:
            metric.add_sample(sample.name, dict(sample.labels), sample.value)
        yield metric
