"""Markers say where a parameter comes from."""

from __future__ import annotations

import pytest

from framework import Body, Cookie, Form, Header, Inject, Path, Query
from framework.app.binding.markers import Marker


@pytest.mark.parametrize(
    ("marker", "source"),
    [
        (Path, "path"),
        (Query, "query"),
        (Header, "header"),
        (Cookie, "cookie"),
        (Body, "body"),
        (Form, "form"),
        (Inject, "inject"),
    ],
)
def test_a_marker_has_a_source_and_perhaps_a_name(marker: type[Marker], source: str) -> None:
    assert marker.source == source
    assert marker().name == ""
    assert marker("x") == marker("x") != marker("y")
