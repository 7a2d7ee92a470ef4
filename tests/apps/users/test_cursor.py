"""Cursors come back unchanged or not at all."""

from __future__ import annotations

import base64
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.users.cursor import decode_cursor, encode_cursor
from apps.users.errors import BadCursor

IDS = st.integers(0, 2**63 - 1)


@given(IDS)
def test_an_id_comes_back(after_id: int) -> None:
    cursor = encode_cursor(after_id)
    assert len(cursor) == 16
    assert set(cursor) <= set(string.ascii_letters + string.digits + "-_")
    assert decode_cursor(cursor) == after_id


@given(IDS, st.integers(0, 15), st.characters())
def test_a_changed_character_is_found(after_id: int, place: int, character: str) -> None:
    cursor = encode_cursor(after_id)
    changed = cursor[:place] + character + cursor[place + 1 :]
    if changed != cursor:
        with pytest.raises(BadCursor) as caught:
            decode_cursor(changed)
        assert caught.value.cursor == changed


@given(st.text(max_size=40))
def test_no_text_is_a_cursor_by_accident(text: str) -> None:
    with pytest.raises(BadCursor):
        decode_cursor(text)


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        encode_cursor(7)[:-1],
        encode_cursor(7) + "=",
        encode_cursor(7) + "====",
        encode_cursor(7) + "\n",
        " " + encode_cursor(7),
        encode_cursor(7) * 2,
        base64.urlsafe_b64encode(bytes(12)).decode(),
        base64.urlsafe_b64encode(b"\xff" * 12).decode(),
        "٠" * 16,
    ],
)
def test_what_no_service_gave_is_refused(cursor: str) -> None:
    with pytest.raises(BadCursor):
        decode_cursor(cursor)


def test_only_one_spelling_of_an_id_is_a_cursor() -> None:
    spelled = next(cursor for cursor in map(encode_cursor, range(10_000)) if "-" in cursor or "_" in cursor)
    with pytest.raises(BadCursor):
        decode_cursor(spelled.replace("-", "+").replace("_", "/"))
