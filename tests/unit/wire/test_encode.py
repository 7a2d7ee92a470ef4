"""What is written: no field may break out of its line, no response may have two framings."""

from __future__ import annotations

import pytest

from framework.errors import LocalProtocolError
from framework.wire.leaves import encode_fields, encode_response

PREFIX = b"HTTP/1.1 200 OK\r\nserver: x\r\n"
TAIL = b"date: now\r\n\r\n"


def test_fields_are_written_in_order() -> None:
    assert encode_fields([("b", "1"), ("A", "2"), ("b", "")]) == b"b: 1\r\nA: 2\r\nb: \r\n"
    assert encode_fields([]) == b""


def test_values_are_iso_8859_1() -> None:
    assert encode_fields([("a", "caf\xe9\xff\t\x80")]) == b"a: caf\xe9\xff\t\x80\r\n"


@pytest.mark.parametrize(
    "value",
    [
        "a\r\nb: c",
        "a\rb",
        "a\nb",
        "\r",
        "\n",
        "a\r\n\r\n<html>",
        "a\0b",
        "\x7f",
        "\x1b[0m",
        "a\r\n",
        "\x0b",
        "\x0c",
    ],
)
def test_no_value_breaks_out_of_its_line(value: str) -> None:
    for write in (encode_fields, lambda pairs: encode_response(PREFIX, pairs, b"", TAIL, True)):
        with pytest.raises(LocalProtocolError, match="value of 'a'"):
            write([("b", "c"), ("a", value)])


@pytest.mark.parametrize(
    "name", ["", "a b", "a:", "a: b\r\nc", "a\r\nb", "a\n", " a", "a ", "\xe9", "a\0", '"a"', "(a)"]
)
def test_no_name_is_anything_but_a_token(name: str) -> None:
    for write in (encode_fields, lambda pairs: encode_response(PREFIX, pairs, b"", TAIL, True)):
        with pytest.raises(LocalProtocolError, match="name"):
            write([(name, "value")])


@pytest.mark.parametrize(("name", "value"), [("a", "κ"), ("a", "\u2028"), ("κ", "a"), ("a", "\u010d\u010a")])
def test_no_character_is_cut_down_to_a_byte(name: str, value: str) -> None:
    """U+010D U+010A would become CR LF where only the low byte of each was kept."""
    with pytest.raises(LocalProtocolError, match="ISO-8859-1"):
        encode_fields([(name, value)])


def test_a_field_that_is_no_text_is_a_mistake_of_the_caller() -> None:
    for pair in ((b"a", "b"), ("a", b"b"), ("a", None), ("a", 1)):
        with pytest.raises(TypeError):
            encode_fields([pair])  # type: ignore[list-item]


def test_a_local_fault_is_answered_by_500() -> None:
    with pytest.raises(LocalProtocolError) as caught:
        encode_fields([("a", "\n")])
    assert caught.value.status == 500


@pytest.mark.parametrize("size", [0, 1, 9, 10, 99, 100, 65536, 1234567])
def test_a_response_is_one_buffer_with_its_length(size: int) -> None:
    body = b"x" * size
    expected = b"%bcontent-length: %d\r\na: b\r\n%b" % (PREFIX, size, TAIL)
    assert encode_response(PREFIX, [("a", "b")], body, TAIL, True) == expected + body
    assert encode_response(PREFIX, [("a", "b")], body, TAIL, False) == expected


@pytest.mark.parametrize("pairs", [None, []])
def test_a_response_without_own_fields(pairs: list[tuple[str, str]] | None) -> None:
    assert encode_response(PREFIX, pairs, b"b", TAIL, True) == PREFIX + b"content-length: 1\r\n" + TAIL + b"b"


@pytest.mark.parametrize(
    "name", ["content-length", "Content-Length", "transfer-encoding", "TRANSFER-ENCODING"]
)
def test_a_second_framing_is_refused(name: str) -> None:
    with pytest.raises(LocalProtocolError, match="framing"):
        encode_response(PREFIX, [("a", "b"), (name, "5")], b"hello", TAIL, True)
    assert encode_fields([(name, "5")]) == f"{name}: 5\r\n".encode()
