"""What several workers have counted is what one would have counted, in whatever order and however often it is added."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from framework.net.tally import Family, Kind, Labels, Mode, Sample, Tally, merge, pack, remains, unpack

BOUNDS = ("0.1", "0.5", "1.0", "+Inf")
Values = dict[tuple[str, Labels], float]

labels: st.SearchStrategy[Labels] = st.sampled_from(
    [(), (("a", "1"),), (("a", "2"),), (("a", "1"), ("b", "1"))]
)
counts = st.integers(0, 1000)


@st.composite
def counters(draw: st.DrawFn, name: str = "c") -> Family:
    taken = draw(st.dictionaries(labels, counts, max_size=3))
    samples = tuple(Sample(f"{name}_total", key, value) for key, value in taken.items())
    return Family(name, "counter", "", "", "each", samples)


@st.composite
def histograms(draw: st.DrawFn, bounds: tuple[str, ...] | None = None) -> Family:
    samples: list[Sample] = []
    for key in draw(st.lists(labels, unique=True, max_size=2)):
        own = bounds or (*draw(st.lists(st.sampled_from(BOUNDS[:-1]), unique=True).map(sorted)), "+Inf")
        total = 0
        for bound in own:
            total += draw(counts)
            samples.append(Sample("h_bucket", tuple(sorted((*key, ("le", bound)))), total))
        samples += [Sample("h_count", key, total), Sample("h_sum", key, draw(counts))]
    return Family("h", "histogram", "", "", "each", tuple(samples))


@st.composite
def gauges(draw: st.DrawFn) -> Family:
    mode: Mode = draw(st.sampled_from(("sum", "max", "min")))
    taken = draw(st.dictionaries(labels, counts, max_size=3))
    return Family(
        f"g_{mode}", "gauge", "", "", mode, tuple(Sample("g", key, value) for key, value in taken.items())
    )


@st.composite
def tallies(draw: st.DrawFn) -> Tally:
    parts = [draw(counters()), draw(histograms(BOUNDS)), draw(gauges())]
    return Tally(tuple(draw(st.permutations(parts))), draw(st.sampled_from(("1", "2", "3"))))


def values(tally: Tally, *kinds: Kind) -> dict[str, Values]:
    return {
        part.name: {(each.name, each.labels): each.value for each in part.samples}
        for part in tally.families
        if part.kind in kinds or not kinds
    }


@given(st.lists(tallies(), max_size=5), st.randoms())
def test_the_order_of_the_workers_does_not_count(several: list[Tally], random: Random) -> None:
    shuffled = list(several)
    random.shuffle(shuffled)
    assert values(merge(shuffled)) == values(merge(several))


@given(st.lists(tallies(), max_size=6), st.integers(0, 6))
def test_parts_may_be_added_first(several: list[Tally], at: int) -> None:
    parts = merge([merge(several[:at]), merge(several[at:])])
    assert values(parts) == values(merge(several))


@given(st.lists(tallies(), max_size=5))
def test_counters_are_the_sum_of_all(several: list[Tally]) -> None:
    expected: Counter[Labels] = Counter()
    for tally in several:
        for part in tally.families:
            if part.kind == "counter":
                for sample in part.samples:
                    expected[sample.labels] += int(sample.value)
    found = {labels: value for (_, labels), value in values(merge(several), "counter").get("c", {}).items()}
    assert found == dict(expected)


@given(st.lists(histograms(), min_size=1, max_size=5))
def test_histograms_rise_to_their_count_whatever_their_bounds(several: list[Family]) -> None:
    merged = merge([Tally((each,)) for each in several]).families[0]
    ladders: dict[Labels, list[tuple[float, float]]] = {}
    totals: dict[Labels, float] = {}
    for sample in merged.samples:
        rest = tuple(pair for pair in sample.labels if pair[0] != "le")
        if sample.name == "h_bucket":
            ladders.setdefault(rest, []).append((float(dict(sample.labels)["le"]), sample.value))
        elif sample.name == "h_count":
            totals[rest] = sample.value
    for key, ladder in ladders.items():
        assert all(low[0] < high[0] and low[1] <= high[1] for low, high in pairwise(ladder))
        assert ladder[-1] == (float("inf"), totals[key])


@given(st.lists(tallies(), min_size=1, max_size=5), st.data())
def test_a_total_never_falls_when_a_worker_ends(several: list[Tally], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(several) - 1))
    alive = [*several[:index], *several[index + 1 :]]
    after = merge([remains(several[index]), *alive])
    assert values(after, "counter", "histogram") == values(merge(several), "counter", "histogram")


@given(tallies())
def test_one_worker_is_itself(tally: Tally) -> None:
    assert values(merge([tally])) == values(tally)
    assert unpack(pack(tally)) == tally
