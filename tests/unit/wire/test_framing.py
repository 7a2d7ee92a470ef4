"""Content-Length and Transfer-Encoding: RFC 9112 sections 6.1 to 6.3."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from framework.wire.leaves import RequestHead

Read = Callable[..., RequestHead]
Refusal = Callable[..., int]

POST = "POST / HTTP/1.1"
CHUNKED = "Transfer-Encoding: chunked"


def test_a_request_without_either_field_has_no_body(read: Read) -> None:
    head = read(POST)
    assert (head.content_length, head.chunked) == (-1, False)


@pytest.mark.parametrize(
    ("value", "length"),
    [
        ("0", 0),
        ("5", 5),
        (" \t5\t ", 5),
        ("003", 3),
        ("0" * 40, 0),
        ("0" * 40 + "7", 7),
        ("9" * 18, 10**18 - 1),
    ],
)
def test_a_length_is_ascii_digits(read: Read, value: str, length: int) -> None:
    assert read(POST, f"conTENT-Length:{value}").content_length == length


@pytest.mark.parametrize(
    "value",
    ["", "-1", "-0", "+1", "0x5", "1_0", "0_1", "5 5", "4 2", "5,5", "5, 5", "5;", "1e3", "5.0", "\u00b2", "\xb95",
     "5\xa0", "\x855", "five", "0b1", '"5"', "9" * 30 + "x"],
)  # fmt: skip
def test_nothing_else_is_a_length(refusal: Refusal, value: str) -> None:
    assert refusal(POST, f"Content-Length: {value}") == 400
    assert refusal("POST / HTTP/1.0", f"Content-Length: {value}") == 400


@pytest.mark.parametrize("value", ["1" + "0" * 18, "18446744073709551617", "0" + "9" * 400])
def test_a_length_past_all_limits_is_too_large(refusal: Refusal, value: str) -> None:
    assert refusal(POST, f"Content-Length: {value}") == 413


@pytest.mark.parametrize("second", ["5", "6", "", "5, 5"])
def test_a_second_length_is_refused_even_if_equal(refusal: Refusal, second: str) -> None:
    assert refusal(POST, "Content-Length: 5", "A: b", f"content-length: {second}") == 400
    assert refusal(POST, "Content-Length: 0", f"content-length: {second}") == 400


@pytest.mark.parametrize(
    "field", ["Content_Length: 5", "Content-Length-: 5", "X-Content-Length: 5", "Content-Lengtn: 5"]
)
def test_no_other_field_is_taken_for_a_length(read: Read, field: str) -> None:
    assert read(POST, field).content_length == -1


@pytest.mark.parametrize(
    "fields",
    [
        ["Transfer-Encoding: chunked"],
        ["TRANSFER-ENCODING:\tCHUNKED \t"],
        ["Transfer-Encoding: gzip, chunked"],
        ["Transfer-Encoding: gzip ,\tchunked"],
        ["Transfer-Encoding: deflate", "A: b", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: identity", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: x-gzip,compress,x-compress,chunked"],
    ],
)
def test_a_body_is_chunked_when_that_coding_comes_last(read: Read, fields: list[str]) -> None:
    head = read(POST, *fields)
    assert (head.chunked, head.content_length) == (True, -1)


@pytest.mark.parametrize(
    "fields",
    [
        ["Transfer-Encoding: "],
        ["Transfer-Encoding: gzip"],
        ["Transfer-Encoding: identity"],
        ["Transfer-Encoding: chunked, gzip"],
        ["Transfer-Encoding: chunked, identity"],
        ["Transfer-Encoding: chunked, chunked"],
        ["Transfer-Encoding: chunked,"],
        ["Transfer-Encoding: ,chunked"],
        ["Transfer-Encoding: gzip,,chunked"],
        ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked", "Transfer-Encoding: gzip"],
        ["Transfer-Encoding: chunked", "Transfer-Encoding:"],
        ["Transfer-Encoding: identity, chunked, identity, chunked"],
    ],
)
def test_any_other_order_of_codings_is_refused(refusal: Refusal, fields: list[str]) -> None:
    assert refusal(POST, *fields) == 400


@pytest.mark.parametrize(
    "coding",
    ["pigeons", "chunkedchunked", "xchunked", "chunked;a", "chunked x", '"chunked"', "chunke", "\xa0chunked",
     "chunked\x85", "chun\xadked", "cow, chunked", "chunked;q=0.5", "'chunked'"],
)  # fmt: skip
def test_an_unknown_coding_is_not_implemented(refusal: Refusal, coding: str) -> None:
    assert refusal(POST, f"Transfer-Encoding: {coding}") == 501


@pytest.mark.parametrize("length", ["Content-Length: 5", "Content-Length: 0"])
@pytest.mark.parametrize(
    "coding", [CHUNKED, "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: identity"]
)
def test_both_fields_are_refused_in_either_order(refusal: Refusal, length: str, coding: str) -> None:
    assert refusal(POST, length, coding) == 400
    assert refusal(POST, coding, length) == 400
    assert refusal("GET / HTTP/1.1", coding, "A: b", length) == 400


@pytest.mark.parametrize("coding", [CHUNKED, "Transfer-Encoding: gzip", "Transfer-Encoding: identity"])
def test_http_1_0_has_no_transfer_codings(refusal: Refusal, coding: str) -> None:
    assert refusal("POST / HTTP/1.0", coding) == 400
    assert refusal("POST / HTTP/1.0", "Connection: keep-alive", coding, "Content-Length: 5") == 400


@pytest.mark.parametrize(
    "field", ["Transfer_Encoding: chunked", "X-Transfer-Encoding: x", "Transfer-Encodinh: chunked"]
)
def test_no_other_field_is_taken_for_the_codings(read: Read, field: str) -> None:
    head = read(POST, field, "Content-Length: 5")
    assert (head.chunked, head.content_length) == (False, 5)
