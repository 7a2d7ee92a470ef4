"""The numbers of several workers become one."""

from __future__ import annotations

import math

import msgspec
import pytest

from framework.net.tally import Family, Kind, Mode, Sample, Tally, merge, pack, remains, unpack


def family(kind: Kind, *samples: Sample, mode: Mode = "each", name: str = "m", help: str = "") -> Family:
    return Family(name, kind, help, "", mode, samples)


def one(kind: Kind, value: float, *, mode: Mode = "each", worker: str = "", name: str = "m") -> Tally:
    return Tally((family(kind, Sample(name, (), value), mode=mode, name=name),), worker)


def values(tally: Tally) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {(each.name, each.labels): each.value for part in tally.families for each in part.samples}


def histogram(**buckets: float) -> Tally:
    bounds = [
        Sample("h_bucket", (("le", bound.replace("_", ".")),), value) for bound, value in buckets.items()
    ]
    total = list(buckets.values())[-1]
    return Tally(
        (family("histogram", *bounds, Sample("h_count", (), total), Sample("h_sum", (), 1.5), name="h"),)
    )


def test_counters_add_up_by_their_labels() -> None:
    first = Tally(
        (family("counter", Sample("m_total", (("a", "1"),), 2), Sample("m_total", (("a", "2"),), 3)),)
    )
    second = Tally(
        (family("counter", Sample("m_total", (("a", "2"),), 4), Sample("m_total", (("a", "3"),), 5)),)
    )
    assert values(merge([first, second])) == {
        ("m_total", (("a", "1"),)): 2,
        ("m_total", (("a", "2"),)): 7,
        ("m_total", (("a", "3"),)): 5,
    }


def test_a_counter_began_when_the_first_of_them_did() -> None:
    parts = [Tally((family("counter", Sample("m_created", (), at)),)) for at in (5.0, 3.0, 4.0)]
    assert values(merge(parts)) == {("m_created", ()): 3.0}


@pytest.mark.parametrize(("mode", "expected"), [("sum", 6.0), ("max", 3.0), ("min", 1.0), ("newest", 2.0)])
def test_gauges_go_by_their_mode(mode: Mode, expected: float) -> None:
    assert values(merge([one("gauge", value, mode=mode) for value in (1, 3, 2)])) == {("m", ()): expected}


def test_a_gauge_of_each_worker_is_told_by_a_label() -> None:
    merged = merge([one("gauge", 1, worker="1"), one("gauge", 2, worker="2"), one("gauge", 3, worker="1")])
    assert values(merged) == {("m", (("worker", "1"),)): 3, ("m", (("worker", "2"),)): 2}


def test_of_one_worker_without_a_name_there_is_no_label() -> None:
    assert values(merge([one("gauge", 1)])) == {("m", ()): 1}


def test_nothing_is_no_maximum() -> None:
    for order in ([math.nan, 2.0], [2.0, math.nan]):
        assert values(merge([one("gauge", value, mode="max") for value in order])) == {("m", ()): 2.0}


def test_histograms_add_up_bucket_by_bucket() -> None:
    merged = merge(
        [histogram(**{"0_1": 1, "1_0": 3, "+Inf": 4}), histogram(**{"0_1": 2, "1_0": 2, "+Inf": 2})]
    )
    assert values(merged) == {
        ("h_bucket", (("le", "0.1"),)): 3,
        ("h_bucket", (("le", "1.0"),)): 5,
        ("h_bucket", (("le", "+Inf"),)): 6,
        ("h_count", ()): 6,
        ("h_sum", ()): 3.0,
    }


def test_histograms_with_other_bounds_still_rise() -> None:
    merged = merge([histogram(**{"0_1": 1, "1_0": 3, "+Inf": 4}), histogram(**{"0_5": 2, "+Inf": 2})])
    assert [(dict(each.labels).get("le"), each.value) for each in merged.families[0].samples] == [
        ("0.1", 1),
        ("0.5", 3),
        ("1.0", 5),
        ("+Inf", 6),
        (None, 6),
        (None, 3.0),
    ]


def test_where_two_versions_disagree_the_newest_is_right() -> None:
    old = Tally((family("gauge", Sample("m", (), 7), mode="sum", help="old"),))
    new = Tally((family("counter", Sample("m_total", (), 1), help="new"),))
    merged = merge([old, new, new])
    assert values(merged) == {("m_total", ()): 2}
    assert merged.families[0].help == "new"


def test_of_a_dead_worker_its_counts_remain() -> None:
    tally = Tally((*one("counter", 3, name="c").families, *one("gauge", 4, name="g").families), "2")
    left = remains(tally)
    assert [each.name for each in left.families] == ["c"]
    assert values(merge([left, one("counter", 1, name="c", worker="1")])) == {("c", ()): 4}


def test_a_tally_travels_with_all_numbers_there_are() -> None:
    tally = Tally(
        (family("gauge", *(Sample("m", (("n", str(v)),), v) for v in (math.inf, -math.inf, 0.1, 3))),), "1"
    )
    assert unpack(pack(tally)) == tally
    nan = unpack(pack(one("gauge", math.nan))).families[0].samples[0].value
    assert math.isnan(nan)


@pytest.mark.parametrize("data", [b"", b"x", b"\x92\x90", b"\x92\x90\x01", pack(Tally())[:-1]])
def test_nonsense_is_no_tally(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        unpack(data)
