"""Dates on the wire."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

from hypothesis import given
from hypothesis import strategies as st

from framework.http.dates import http_date


def test_the_example_of_the_rfc() -> None:
    assert http_date(784111777) == "Sun, 06 Nov 1994 08:49:37 GMT"


@given(st.integers(0, 4_102_444_800))
def test_it_reads_back_as_the_same_second(seconds: int) -> None:
    assert int(parsedate_to_datetime(http_date(seconds)).timestamp()) == seconds
