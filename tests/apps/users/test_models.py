"""The form of what comes in, and what never goes out."""

from __future__ import annotations

import json
import string
import unicodedata
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.users.models import (
    Email,
    Name,
    Page,
    Password,
    User,
    UserCreate,
    UserReplace,
    UserUpdate,
    normalise_email,
)


def accepts(kind: object, value: str) -> bool:
    try:
        msgspec.json.decode(json.dumps(value), type=kind)
    except msgspec.ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    "email",
    [
        "ada@example.com",
        "Ada.Lovelace+tag@Mail.Example.COM",
        "o'brien!#$%&*/=?^_`{|}~-@example.org",
        "a@b.co",
        "x" * 64 + "@example.com",
        "a@xn--bcher-kva.example",
        "1@1.example",
        "a@" + ".".join(["b" * 63] * 3) + "." + "c" * 58 + "de",
    ],
)
def test_addresses_that_are_accepted(email: str) -> None:
    assert accepts(Email, email)


@pytest.mark.parametrize(
    "email",
    [
        "",
        "a@b.c",
        "ada",
        "ada@",
        "@example.com",
        "ada@example",
        "ada@example.com\n",
        "ada@example.com\r\nbcc:x@example.com",
        " ada@example.com",
        "ada@example.com ",
        "a da@example.com",
        "a..da@example.com",
        ".ada@example.com",
        "ada.@example.com",
        "ada@@example.com",
        "ada@a@example.com",
        "ada@-example.com",
        "ada@example-.com",
        "ada@example..com",
        "ada@.example.com",
        "ada@example.com.",
        "ada@example.123",
        "ada@[127.0.0.1]",
        '"ada lovelace"@example.com',
        "x" * 65 + "@example.com",
        "ada@" + "b" * 64 + ".com",
        "a@" + ".".join(["b" * 63] * 4) + ".com",
        "ädä@example.com",
        "ada@bücher.example",
        "ada\u0000@example.com",
        "аda@example.com",
        "ada＠example.com",
    ],
)
def test_addresses_that_are_refused(email: str) -> None:
    assert not accepts(Email, email)


LOCAL = st.text(string.ascii_letters + string.digits + "!#$%&'*+/=?^_`{|}~-", min_size=1, max_size=20)
LABEL = st.from_regex(r"\A[A-Za-z0-9]([A-Za-z0-9-]{0,10}[A-Za-z0-9])?\Z")
EMAILS = st.builds(
    lambda local, labels, top: ".".join(local) + "@" + ".".join([*labels, top]),
    st.lists(LOCAL, min_size=1, max_size=3),
    st.lists(LABEL, min_size=1, max_size=3),
    st.sampled_from(["com", "Example", "XN--P1AI", "org"]),
)


@given(EMAILS)
def test_a_normal_form_is_an_address_and_normal(email: str) -> None:
    assert accepts(Email, email)
    normal = normalise_email(email)
    assert accepts(Email, normal)
    assert normalise_email(normal) == normal
    assert normal.lower() == email.lower()
    assert normal.partition("@")[0] == email.partition("@")[0]
    assert normal.partition("@")[2] == email.partition("@")[2].lower()


@given(st.text(max_size=300))
def test_no_text_is_an_address_by_accident(text: str) -> None:
    if accepts(Email, text):
        assert text.isascii()
        assert text.count("@") == 1
        assert not any(character.isspace() or ord(character) < 33 for character in text)


@pytest.mark.parametrize(
    "name", ["A", "Ada Lovelace", "Zoë", "山田太郎", "x" * 200, "🙂" * 200, "Jean-Luc d’Arc"]
)
def test_names_that_are_accepted(name: str) -> None:
    assert accepts(Name, name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        " Ada",
        "Ada ",
        "Ada\n",
        "A\nda",
        "A\tda",
        "A\0da",
        "A\x85da",
        "A\u202eda",
        "A\u2028da",
        "x" * 201,
    ],
)
def test_names_that_are_refused(name: str) -> None:
    assert not accepts(Name, name)


@given(st.text(min_size=1, max_size=210))
def test_a_name_has_no_control_characters_and_no_space_around_it(name: str) -> None:
    if accepts(Name, name):
        assert name == name.strip()
        assert len(name) <= 200
        assert all(unicodedata.category(character) not in ("Cc", "Zl", "Zp") for character in name)
    elif len(name) <= 200 and name == name.strip():
        assert any(unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp", "Cs") for character in name), (
            name
        )


@pytest.mark.parametrize(
    ("password", "good"), [("x" * 7, False), ("x" * 8, True), ("é" * 128, True), ("x" * 129, False)]
)
def test_the_length_of_a_password(password: str, good: bool) -> None:
    assert accepts(Password, password) is good


def test_a_password_shows_in_no_repr() -> None:
    create = UserCreate(email="ada@example.com", name="Ada", password="correct horse")
    update = UserUpdate(password="correct horse")
    assert "correct" not in f"{create} {create!r} {update} {update!r}"
    assert "password=UNSET" in repr(UserUpdate(name="Ada"))


def test_a_user_has_no_place_for_a_password() -> None:
    now = datetime(2026, 1, 2, 3, 4, 5, 6000, UTC)
    user = User(id=1, email="ada@example.com", name="Ada", version=1, created_at=now, updated_at=now)
    assert msgspec.json.encode(Page(items=[user], next=None)) == (
        b'{"items":[{"id":1,"email":"ada@example.com","name":"Ada","version":1,'
        b'"created_at":"2026-01-02T03:04:05.006000Z","updated_at":"2026-01-02T03:04:05.006000Z"}],"next":null}'
    )


@pytest.mark.parametrize("kind", [UserCreate, UserUpdate, UserReplace])
def test_unknown_fields_are_refused(kind: type[msgspec.Struct]) -> None:
    body = b'{"email":"ada@example.com","name":"Ada","id":7}'
    with pytest.raises(msgspec.ValidationError, match=r"unknown field|required field"):
        msgspec.json.decode(body, type=kind)


def test_a_patch_tells_absent_from_null() -> None:
    assert msgspec.json.decode(b"{}", type=UserUpdate) == UserUpdate()
    with pytest.raises(msgspec.ValidationError, match=r"\$\.name"):
        msgspec.json.decode(b'{"name":null}', type=UserUpdate)
