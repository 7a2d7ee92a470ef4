"""The converters of the house: what they accept, refuse and write."""

from __future__ import annotations

import enum
from uuid import UUID

import pytest

from framework.routing.converters import NARROW, WIDE, Converter, matcher

ID = UUID("12345678-1234-5678-9abc-def012345678")
INT, UUID_, FLOAT = NARROW["int"], NARROW["uuid"], NARROW["float"]
STR, PATH, ESCAPED = WIDE["str"], WIDE["path"], WIDE["escaped"]


def accepts(converter: Converter, text: str) -> bool:
    try:
        converter.to_python(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    ("converter", "text", "value"),
    [
        (INT, "0", 0),
        (INT, "42", 42),
        (INT, "007", 7),
        (INT, "9223372036854775807", 2**63 - 1),
        (UUID_, "12345678-1234-5678-9abc-def012345678", ID),
        (UUID_, "12345678-1234-5678-9ABC-DEF012345678", ID),
        (FLOAT, "1.5", 1.5),
        (FLOAT, "2", 2.0),
        (STR, "a b", "a b"),
        (STR, "a%2Fb", "a/b"),
        (STR, "a%252Fb", "a%2Fb"),
        (STR, "100%25", "100%"),
        (PATH, "a/b.txt", "a/b.txt"),
        (PATH, "a/", "a/"),
        (PATH, "", ""),
        (PATH, "100%25/a", "100%/a"),
        (ESCAPED, "a%2Fb/100%25", "a%2Fb/100%25"),
        (ESCAPED, "", ""),
    ],
)
def test_values(converter: Converter, text: str, value: object) -> None:
    found = converter.to_python(text)
    assert found == value
    assert type(found) is converter.type


@pytest.mark.parametrize("text", ["١", "٤٢", "४", "\uff14\uff12", "²", "½", "Ⅷ", "一"])
@pytest.mark.parametrize("converter", [INT, FLOAT])
def test_unicode_digits_are_no_number(converter: Converter, text: str) -> None:
    assert not accepts(converter, text)


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", " 1", "1 ", "1\n", "1_000", "0x1", "1e3", "1L", "nan", "inf", "a"]
)
def test_what_int_alone_would_accept_is_no_int(text: str) -> None:
    assert not accepts(INT, text)


@pytest.mark.parametrize("text", ["9223372036854775808", "9" * 19, "0" * 20, "9" * 5000, "9" * 1_000_000])
def test_huge_ints_are_refused_and_cost_nothing(text: str) -> None:
    assert not accepts(INT, text)


@pytest.mark.parametrize(
    "text", ["", ".5", "5.", "-1.5", "+1.5", "1e3", "1_0.0", "nan", "inf", " 1.5", "1" * 400]
)
def test_what_float_alone_would_accept_is_no_float(text: str) -> None:
    assert not accepts(FLOAT, text)


@pytest.mark.parametrize(
    "text",
    [
        "12345678123456789abcdef012345678",
        "{12345678-1234-5678-9abc-def012345678}",
        "urn:uuid:12345678-1234-5678-9abc-def012345678",
        "12345678-1234-5678-9abc-def01234567",
        "12345678-1234-5678-9abc-def01234567g",
        "1234567-81234-5678-9abc-def012345678",
    ],
)
def test_a_uuid_has_one_form(text: str) -> None:
    assert not accepts(UUID_, text)


def test_a_str_is_not_empty() -> None:
    assert not accepts(STR, "")


@pytest.mark.parametrize(
    "rest",
    [
        "a%2Fb/c",
        "..%2F..%2Fetc",
        "%2Fetc%2Fpasswd",
        "a%2F..%2Fb",
        "a%2F%2Fb",
        "a/%2Fb",
        "%2F",
        "a%2F.",
        "x/..%2F",
    ],
)
def test_an_encoded_slash_makes_no_other_path_of_a_catch_all(rest: str) -> None:
    assert not accepts(PATH, rest)


class Colour(str, enum.Enum):  # noqa: UP042 - the kind whose str() is its name
    RED = "red"


class Level(int, enum.Enum):
    HIGH = 3


@pytest.mark.parametrize(
    ("converter", "value", "text"),
    [
        (INT, 42, "42"),
        (INT, Level.HIGH, "3"),
        (UUID_, ID, "12345678-1234-5678-9abc-def012345678"),
        (FLOAT, 1.5, "1.5"),
        (FLOAT, 2, "2.0"),
        (FLOAT, 1e16, "10000000000000000.0000000000000000000"),
        (FLOAT, 1e-7, "0.0000001000000000000"),
        (STR, "a/b", "a/b"),
        (STR, Colour.RED, "red"),
        (PATH, "a/b", "a/b"),
        (ESCAPED, "a%2Fb/%25", "a%2Fb/%25"),
    ],
)
def test_texts(converter: Converter, value: object, text: str) -> None:
    assert converter.to_text(value) == text


@pytest.mark.parametrize(
    ("converter", "value"),
    [
        (INT, "42"),
        (INT, True),
        (INT, 4.0),
        (INT, None),
        (UUID_, str(ID)),
        (FLOAT, "1.5"),
        (FLOAT, True),
        (FLOAT, 1.2345678901234567e-05),
        (FLOAT, float("nan")),
        (STR, 42),
        (STR, b"a"),
        (PATH, 42),
        (ESCAPED, "100%"),
        (ESCAPED, "a%2fb"),
    ],
)
def test_values_of_another_type_have_no_text(converter: Converter, value: object) -> None:
    with pytest.raises(ValueError, match=r"no |canonical path"):
        converter.to_text(value)


class Hex:
    name, regex, type = "hex", "[0-9a-f]+", int

    def to_python(self, text: str) -> int:
        if text == "dead":
            raise ValueError(text)
        return int(text, 16)

    def to_text(self, value: int) -> str:
        return f"{value:x}"


def test_the_applications_own() -> None:
    match = matcher(Hex())
    assert match("ff") == 255
    refused = match("dead")
    assert refused is match("xyz") is match("") is match("ff\n")
    assert not isinstance(refused, int)


class Anything:
    name, regex, type = "any", ".*", str

    def to_python(self, text: str) -> str:
        return text

    def to_text(self, value: str) -> str:
        return value


def test_the_applications_own_get_their_text_unescaped_and_never_empty() -> None:
    match = matcher(Anything())
    assert match("a%2Fb%25") == "a/b%"
    assert match("") != ""
