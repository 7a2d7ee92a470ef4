"""Media types by extension."""

from __future__ import annotations

import pytest

from framework.http.extensions import MEDIA_TYPES, media_type_of
from framework.http.media import parse_media_type


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("index.html", "text/html; charset=utf-8"),
        ("APP.JS", "text/javascript; charset=utf-8"),
        ("data.json", "application/json"),
        ("all.tar.gz", "application/gzip"),
        ("LICENSE", "application/octet-stream"),
        (".html", "application/octet-stream"),
        ("page.", "application/octet-stream"),
        ("", "application/octet-stream"),
        ("a.unheard-of", "application/octet-stream"),
    ],
)
def test_by_extension(name: str, media_type: str) -> None:
    assert media_type_of(name) == media_type


def test_ones_own_types_go_first() -> None:
    own = {"ts": "text/typescript", "sky": "image/x-sky"}
    assert media_type_of("a.ts", own) == "text/typescript"
    assert media_type_of("a.sky", own) == "image/x-sky"
    assert media_type_of("a.png", own) == "image/png"


def test_the_table_is_in_order_and_well_formed() -> None:
    assert list(MEDIA_TYPES) == sorted(MEDIA_TYPES)
    for extension, media_type in MEDIA_TYPES.items():
        assert extension == extension.lower()
        assert parse_media_type(media_type).essence == media_type.partition(";")[0]
