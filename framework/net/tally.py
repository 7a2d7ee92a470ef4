"""What a worker has counted, in a form that can be sent and added up: the numbers of several workers as one.

Pure functions of data. Which metrics there are, and who shows them to whom, is known further up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, TypeAlias

import msgspec

__all__ = ["Family", "Kind", "Labels", "Mode", "Sample", "Tally", "merge", "pack", "remains", "unpack"]

Kind: TypeAlias = Literal[
    "counter", "gauge", "histogram", "summary", "info", "stateset", "gaugehistogram", "unknown"
]
Mode: TypeAlias = Literal["sum", "max", "min", "newest", "each"]
Labels: TypeAlias = tuple[tuple[str, str], ...]

CUMULATIVE: Final = frozenset({"counter", "histogram", "summary"})
WORKER: Final = "worker"
_BOUND: Final = "le"


class Sample(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One number. ``name`` has the suffix (``_total``, ``_bucket``); ``labels`` are sorted by name."""

    name: str
    labels: Labels
    value: float


class Family(msgspec.Struct, frozen=True, array_like=True):
    """A metric with its samples.

    Attributes:
        mode: what several workers' samples become together, for kinds that do not add up by themselves: their ``sum``,
            ``max`` or ``min``, the one of the ``newest`` worker, or ``each`` by itself with a label ``worker``.
    """

    name: str
    kind: Kind
    help: str
    unit: str
    mode: Mode
    samples: tuple[Sample, ...]


class Tally(msgspec.Struct, frozen=True, array_like=True):
    """All metrics of a worker, or of several. ``worker`` names it, "" when there is but one."""

    families: tuple[Family, ...] = ()
    worker: str = ""


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Tally)


def pack(tally: Tally) -> bytes:
    """MessagePack, which unlike JSON has NaN and infinity."""
    return _encoder.encode(tally)


def unpack(data: bytes) -> Tally:
    """Raises msgspec.DecodeError for what is no tally."""
    return _decoder.decode(data)


def merge(tallies: Sequence[Tally]) -> Tally:
    """The numbers of several workers as one.

    Counters, histograms and summaries add up; what else there is goes by its mode. Where workers disagree about what
    a metric is, because they run two versions of an app, the newest is right and the others are left out.

    Args:
        tallies: of workers, from the oldest to the newest.
    """
    newest: dict[str, Family] = {}
    for tally in tallies:
        for family in tally.families:
            newest[family.name] = family
    parts: dict[str, list[tuple[str, Family]]] = {name: [] for name in newest}
    for tally in tallies:
        for family in tally.families:
            if family.kind == newest[family.name].kind:
                parts[family.name].append((tally.worker, family))
    return Tally(
        tuple(
            msgspec.structs.replace(family, samples=_merged(family, parts[name]))
            for name, family in newest.items()
        )
    )


def remains(tally: Tally) -> Tally:
    """What stays of a worker that has ended: what it has counted, not what it was at."""
    return Tally(tuple(family for family in tally.families if family.kind in CUMULATIVE))


def _merged(family: Family, parts: Sequence[tuple[str, Family]]) -> tuple[Sample, ...]:
    samples = [part.samples for _, part in parts]
    if family.kind == "histogram" or family.kind == "gaugehistogram":
        return _sum_histograms(samples)
    if family.kind in CUMULATIVE:
        return _combined(samples, "sum")
    if family.mode == "each":
        return _combined([_marked(worker, part.samples) for worker, part in parts], "newest")
    return _combined(samples, family.mode)


def _marked(worker: str, samples: Iterable[Sample]) -> list[Sample]:
    if not worker:
        return list(samples)
    return [
        Sample(each.name, tuple(sorted({**dict(each.labels), WORKER: worker}.items())), each.value)
        for each in samples
    ]


def _combined(parts: Iterable[Iterable[Sample]], mode: Mode) -> tuple[Sample, ...]:
    values: dict[tuple[str, Labels], float] = {}
    for samples in parts:
        for sample in samples:
            key = sample.name, sample.labels
            if key in values:
                values[key] = _joined(sample.name, values[key], sample.value, mode)
            else:
                values[key] = sample.value
    return tuple(Sample(name, labels, value) for (name, labels), value in values.items())


def _joined(name: str, one: float, other: float, mode: Mode) -> float:
    if name.endswith("_created"):  # when the counting began: a time, not a count
        return min(one, other)
    if mode == "sum":
        return one + other
    if mode == "newest" or one != one:  # NaN: a maximum of nothing
        return other
    if other != other:
        return one
    return max(one, other) if mode == "max" else min(one, other)


def _sum_histograms(parts: Sequence[Iterable[Sample]]) -> tuple[Sample, ...]:
    """Adds histograms. Where their bounds differ, each counts at a bound what it has at its own next lower one, so that
    the buckets still rise and their total is exact."""
    ladders: dict[tuple[str, Labels], list[dict[str, float]]] = {}
    others: list[list[Sample]] = []
    for samples in parts:
        rest: list[Sample] = []
        others.append(rest)
        own: dict[tuple[str, Labels], dict[str, float]] = {}
        for sample in samples:
            bound = dict(sample.labels).get(_BOUND)
            if bound is None:
                rest.append(sample)
            else:
                labels = tuple(pair for pair in sample.labels if pair[0] != _BOUND)
                own.setdefault((sample.name, labels), {})[bound] = sample.value
        for key, ladder in own.items():
            ladders.setdefault(key, []).append(ladder)
    buckets = [
        Sample(name, tuple(sorted((*labels, (_BOUND, bound)))), value)
        for (name, labels), several in ladders.items()
        for bound, value in _sum_ladders(several).items()
    ]
    return (*buckets, *_combined(others, "sum"))


def _sum_ladders(ladders: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Each ladder has the cumulative count by bound."""
    first = ladders[0]
    if all(ladder.keys() == first.keys() for ladder in ladders):
        return {bound: sum(ladder[bound] for ladder in ladders) for bound in first}
    bounds = sorted({bound for ladder in ladders for bound in ladder}, key=float)
    total = dict.fromkeys(bounds, 0.0)
    for ladder in ladders:
        count = 0.0
        for bound in bounds:
            count = ladder.get(bound, count)
            total[bound] += count
    return total
