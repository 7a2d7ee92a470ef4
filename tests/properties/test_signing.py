"""Signed texts, whatever they hold and whatever is done to them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from framework.middleware.signing import Signer

KEYS = st.binary(min_size=32, max_size=80)
SIGNER = Signer([b"n" * 32, b"o" * 32], "test")


@given(st.binary(max_size=2000), st.lists(KEYS, min_size=1, max_size=3), st.text(max_size=20))
def test_what_was_signed_comes_back(payload: bytes, keys: list[bytes], purpose: str) -> None:
    signer = Signer(keys, purpose)
    token = signer.sign(payload)
    assert token.isascii()
    assert signer.unsign(token) == (payload, True)


@given(st.binary(max_size=100), st.data())
def test_a_token_changed_anywhere_is_none(payload: bytes, data: st.DataObject) -> None:
    token = SIGNER.sign(payload)
    at = data.draw(st.integers(0, len(token)))
    cut = data.draw(st.integers(0, len(token) - at))
    put = data.draw(st.text(max_size=5))
    changed = token[:at] + put + token[at + cut :]
    assert (SIGNER.unsign(changed) is None) is (changed != token)


@given(st.text(max_size=200))
def test_no_text_from_elsewhere_is_a_token(text: str) -> None:
    assert SIGNER.unsign(text) is None
