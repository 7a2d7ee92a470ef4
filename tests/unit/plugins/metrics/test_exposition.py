"""The format is negotiated by the field Accept; nothing that is sent breaks it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.plugins.metrics.exposition import choose_format

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, TEXT),
        ("", TEXT),
        ("*/*", TEXT),
        ("text/html", TEXT),
        ("text/plain", TEXT),
        ("application/openmetrics-text", OPEN),
        ("application/openmetrics-text; version=1.0.0, text/plain;q=0.5", OPEN),
        ("application/openmetrics-text;version=1.0.0;q=0.2, text/plain;q=0.5", TEXT),
        ("application/openmetrics-text; version=2.0.0, text/plain;q=0.5", TEXT),
        ("application/openmetrics-text; version=1.0.0; escaping=dots", f"{OPEN}; escaping=dots"),
        ("application/openmetrics-text; version=abc", TEXT),
    ],
)
def test_the_format_that_is_liked_best(accept: str | None, expected: str) -> None:
    assert choose_format(accept).media_type == expected


@given(
    st.text(max_size=200) | st.from_regex(r"application/openmetrics-text; ?version=.{0,20}", fullmatch=True)
)
def test_any_field_has_a_format(accept: str) -> None:
    assert choose_format(accept).media_type.startswith((TEXT, OPEN))
