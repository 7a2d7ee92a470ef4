"""Accept-Encoding."""

from __future__ import annotations

import pytest

from framework.http.encodings import preferred_encodings

OFFERS = ("zstd", "br", "gzip")


@pytest.mark.parametrize(
    ("field", "codings"),
    [
        (None, []),
        ("", []),
        ("gzip", ["gzip"]),
        ("gzip, deflate, br, zstd", ["zstd", "br", "gzip"]),
        ("gzip, br;q=0.5", ["gzip", "br"]),
        ("GZIP ; Q=1.000", ["gzip"]),
        ("x-gzip", ["gzip"]),
        ("*", ["zstd", "br", "gzip"]),
        ("*;q=0.1, br", ["br", "zstd", "gzip"]),
        ("*, zstd;q=0", ["br", "gzip"]),
        ("gzip;q=0", []),
        ("identity", []),
        ("gzip;q=0.5, identity", []),
        ("gzip;q=0.5, br, identity;q=0.7", ["br"]),
        ("gzip;q=2, br;q=, zstd;level=3", []),
        ("gzip;q=0, gzip", []),
        ("nope, , gzip", ["gzip"]),
        ("a," * 40 + "gzip", []),
    ],
)
def test_the_choice(field: str | None, codings: list[str]) -> None:
    assert preferred_encodings(field, OFFERS) == codings
