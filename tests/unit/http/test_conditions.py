"""Preconditions, row by row of RFC 9110 section 13, and the dates they compare."""

from __future__ import annotations

import pytest

from framework.errors import HTTPError
from framework.http.conditions import Conditions, parse_http_date
from framework.http.dates import http_date
from framework.testing import fake_request

TAG = '"v1"'
AT = 784111777
NOW = "Sun, 06 Nov 1994 08:49:37 GMT"
BEFORE = "Sun, 06 Nov 1994 08:49:36 GMT"
AFTER = "Sun, 06 Nov 1994 08:49:38 GMT"


@pytest.mark.parametrize(
    "text",
    [NOW, "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"],
    ids=["fixdate", "850", "asctime"],
)
def test_all_three_formats_are_read(text: str) -> None:
    assert parse_http_date(text) == AT


@pytest.mark.parametrize("seconds", [0, 951782400, 1709164800, 4102444799])
def test_reads_what_is_written(seconds: int) -> None:
    assert parse_http_date(http_date(seconds)) == seconds


def test_a_two_digit_year_is_the_nearest_that_is_not_far_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setattr(time, "gmtime", lambda: time.struct_time((2026, 1, 1, 0, 0, 0, 3, 1, 0)))
    for digits, year in (("76", 2076), ("77", 1977), ("26", 2026), ("00", 2000)):
        assert parse_http_date(f"Monday, 01-Jan-{digits} 00:00:00 GMT") == parse_http_date(
            f"Mon, 01 Jan {year} 00:00:00 GMT"
        )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "yesterday",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, \u0660\u0666 Nov 1994 08:49:37 GMT",
    ],
)
def test_what_is_no_date(text: str) -> None:
    assert parse_http_date(text) is None


@pytest.mark.parametrize(
    ("method", "fields", "verdict"),
    [
        ("GET", {}, None),
        ("GET", {"if_match": TAG}, None),
        ("GET", {"if_match": "*"}, None),
        ("GET", {"if_match": '"v2"'}, 412),
        ("GET", {"if_match": f"W/{TAG}"}, 412),
        ("GET", {"if_unmodified_since": NOW}, None),
        ("GET", {"if_unmodified_since": BEFORE}, 412),
        ("GET", {"if_unmodified_since": "soon"}, None),
        ("GET", {"if_match": TAG, "if_unmodified_since": BEFORE}, None),
        ("GET", {"if_none_match": TAG}, 304),
        ("HEAD", {"if_none_match": f'"v0", W/{TAG}'}, 304),
        ("PUT", {"if_none_match": "*"}, 412),
        ("GET", {"if_none_match": '"v2"'}, None),
        ("GET", {"if_none_match": '"v2"', "if_modified_since": NOW}, None),
        ("GET", {"if_modified_since": NOW}, 304),
        ("GET", {"if_modified_since": AFTER}, 304),
        ("GET", {"if_modified_since": BEFORE}, None),
        ("GET", {"if_modified_since": "soon"}, None),
        ("POST", {"if_modified_since": NOW}, None),
        ("GET", {"if_match": TAG, "if_none_match": TAG}, 304),
        ("GET", {"if_match": '"v2"', "if_none_match": TAG}, 412),
    ],
)
def test_the_order_of_section_13_2_2(method: str, fields: dict[str, str], verdict: int | None) -> None:
    assert Conditions(method, **fields).verdict(TAG, AT) == verdict


def test_a_list_that_cannot_be_read_answers_400() -> None:
    for fields in ({"if_match": "v1"}, {"if_none_match": "v1"}):
        with pytest.raises(HTTPError) as caught:
            Conditions(**fields).verdict(TAG, AT)
        assert caught.value.status == 400


@pytest.mark.parametrize(
    ("etag", "if_range", "applies"),
    [
        (TAG, None, True),
        (TAG, TAG, True),
        (TAG, '"v2"', False),
        (f"W/{TAG}", f"W/{TAG}", False),
        (TAG, NOW, True),
        (TAG, AFTER, False),
        (TAG, BEFORE, False),
        (TAG, "v1", False),
    ],
)
def test_if_range_guards_the_range(etag: str, if_range: str | None, applies: bool) -> None:
    conditions = Conditions(if_range=if_range, range="bytes=0-0")
    assert conditions.wanted_range(etag, AT) == ("bytes=0-0" if applies else None)


def test_only_get_has_ranges() -> None:
    assert Conditions("HEAD", range="bytes=0-0").wanted_range(TAG, AT) is None


def test_read_from_a_request() -> None:
    request = fake_request(headers={"If-None-Match": TAG, "Range": "bytes=0-1", "If-Range": NOW})
    assert Conditions.of(request) == Conditions("GET", None, TAG, None, None, NOW, "bytes=0-1")
