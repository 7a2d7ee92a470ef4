"""Secrets do not show, however they are spelled and however deep they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.app.secret import Secret
from framework.plugins.logs.redaction import Redaction, plain


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "PASSWORD",
        "db_password",
        "userPassword",
        "passwd",
        "X-Api-Key",
        "apikey",
        "api_keys",
        "authorization",
        "Proxy-Authorization",
        "cookie",
        "Set-Cookie",
        "accessToken",
        "refresh_token",
        "tokens",
        "client_secret",
        "privateKey",
        "aws_credentials",
        "pin_code",
    ],
)
def test_names_that_tell_of_secrets(name: str) -> None:
    assert Redaction(["pin-code"]).fields({name: "hunter2"}) == {name: "***"}


@pytest.mark.parametrize(
    "name", ["tokenizer", "secretary", "passwordless", "keyboard", "pin", "cookie_count", "author"]
)
def test_names_that_do_not(name: str) -> None:
    assert Redaction().fields({name: "x"}) == {name: "x"}


def test_numbers_are_no_secrets() -> None:
    fields = {"max_tokens": 512, "token": True, "cookie": None}
    assert Redaction().fields(fields) == fields


class Account(msgspec.Struct):
    name: str
    password: str


@dataclass
class Card:
    token: str


def test_all_that_is_inside_is_looked_at() -> None:
    fields: dict[str, Any] = {
        "headers": {"Cookie": "a=b", "accept": "x"},
        "rows": [{"secret": "x"}, ({"pwd": b"x"},)],
        "account": Account("ann", "hunter2"),
        "card": Card("4711"),
        "credentials": ["a", "b"],
        "raw": b"bytes",
    }
    assert Redaction().fields(fields) == {
        "headers": {"Cookie": "***", "accept": "x"},
        "rows": [{"secret": "***"}, [{"pwd": "***"}]],
        "account": {"name": "ann", "password": "***"},
        "card": {"token": "***"},
        "credentials": "***",
        "raw": b"bytes",
    }


def test_a_circle_ends() -> None:
    circle: dict[str, Any] = {}
    circle["self"] = circle
    assert "..." in repr(Redaction().fields(circle))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://:hunter2@cache:6379/0", "redis://***@cache:6379/0"),
        (
            "cannot reach postgres://ann:hunter2@db/x, will retry",
            "cannot reach postgres://***@db/x, will retry",
        ),
        ("https://example.com/a@b", "https://example.com/a@b"),
        ("a@b.example", "a@b.example"),
    ],
)
def test_passwords_in_urls(text: str, shown: str) -> None:
    assert Redaction().text(text) == shown
    assert Redaction().fields({"url": text, "urls": [text]}) == {"url": shown, "urls": [shown]}


def test_a_secret_stays_one() -> None:
    assert plain(Secret("hunter2")) == "***"


def test_anything_becomes_text() -> None:
    class Broken:
        def __repr__(self) -> str:
            raise ValueError

    assert "Broken" in plain(Broken())
    assert plain("as it is") == "as it is"
    assert plain(ValueError("x")) == "ValueError('x')"


@given(st.dictionaries(st.text(max_size=12), st.text(max_size=8), max_size=5))
def test_names_and_harmless_values_stay(fields: dict[str, str]) -> None:
    shown = Redaction().fields(fields)
    assert list(shown) == list(fields)
    assert all(value in (fields[name], "***") or "://" in fields[name] for name, value in shown.items())
