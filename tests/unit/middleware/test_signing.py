"""Signed texts."""

from __future__ import annotations

import base64
import hashlib
import hmac
import sys

import pytest

from framework.errors import SetupError
from framework.middleware.signing import Signer

OLD, NEW = "o" * 32, b"n" * 32


def test_what_was_signed_comes_back() -> None:
    signer = Signer([NEW], "test")
    for payload in (b"", b"a", b'{"user": 1}', bytes(range(256))):
        token = signer.sign(payload)
        assert signer.unsign(token) == (payload, True)


def test_the_signature_is_hmac_sha256_of_a_derived_key() -> None:
    """Known answer, by the standard library alone."""
    key = hmac.digest(NEW, b"test", hashlib.sha256)
    text = base64.urlsafe_b64encode(b"hello").rstrip(b"=")
    signature = base64.urlsafe_b64encode(hmac.digest(key, text, hashlib.sha256)).rstrip(b"=")
    assert Signer([NEW], "test").sign(b"hello") == f"{text.decode()}.{signature.decode()}"


def test_keys_rotate() -> None:
    before = Signer([OLD], "test").sign(b"x")
    both = Signer([NEW, OLD], "test")
    assert both.unsign(before) == (b"x", False)
    assert both.unsign(both.sign(b"x")) == (b"x", True)
    assert Signer([NEW], "test").unsign(before) is None
    assert Signer([OLD], "test").unsign(both.sign(b"x")) is None


def test_a_token_of_one_purpose_is_none_of_another() -> None:
    assert Signer([NEW], "csrf").unsign(Signer([NEW], "session").sign(b"x")) is None


@pytest.mark.parametrize(
    "token", ["", ".", "a", "a.", ".a", "a.b", "\N{SNOWMAN}.a", "a" * 5000, "\x00.\x00", "a.b.c"]
)
def test_what_is_no_token_is_none(token: str) -> None:
    assert Signer([NEW], "test").unsign(token) is None


def test_a_signed_text_that_is_no_base64_is_none() -> None:
    key = hmac.digest(NEW, b"test", hashlib.sha256)
    signature = base64.urlsafe_b64encode(hmac.digest(key, b"a", hashlib.sha256)).rstrip(b"=").decode()
    assert Signer([NEW], "test").unsign(f"a.{signature}") is None


def test_two_spellings_of_one_signature_are_two_tokens() -> None:
    """43 base64 characters hold two bits more than 32 bytes do."""
    signer = Signer([NEW], "test")
    token = signer.sign(b"x")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = token[:-1] + alphabet[alphabet.index(token[-1]) ^ 1]
    assert signer.unsign(twin) is None
    assert signer.unsign(token + "=") is None


@pytest.mark.parametrize("keys", [[], [""], ["k" * 31], ["k" * 32, "short"], "short"])
def test_weak_keys_are_refused_and_not_repeated(keys: list[str]) -> None:
    with pytest.raises(SetupError, match="at least 32 bytes") as caught:
        Signer(keys, "test")
    assert "kkk" not in str(caught.value)


def test_one_key_may_stand_alone() -> None:
    assert Signer("k" * 32, "test").unsign(Signer(["k" * 32], "test").sign(b"x")) == (b"x", True)


def test_the_extra_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "itsdangerous", None)
    with pytest.raises(SetupError, match=r"install the extra framework\[sessions\]"):
        Signer([NEW], "test")
