"""The chunked coding: RFC 9112 section 7.1."""

from __future__ import annotations

import pytest

from framework.errors import LocalProtocolError, RemoteProtocolError
from framework.wire.chunked import LAST_CHUNK, ChunkedDecoder, encode_chunk
from framework.wire.leaves import Limits


def decode(data: bytes, limits: Limits | None = None) -> ChunkedDecoder:
    decoder = ChunkedDecoder(limits)
    decoder.feed(data)
    return decoder


def payload(data: bytes) -> bytes:
    decoder = ChunkedDecoder()
    pieces = decoder.feed(data)
    assert decoder.complete
    assert decoder.size == sum(map(len, pieces))
    return b"".join(pieces)


def refusal(data: bytes, limits: Limits | None = None) -> int:
    with pytest.raises(RemoteProtocolError) as caught:
        decode(data, limits)
    return caught.value.status


@pytest.mark.parametrize("line", [b"5", b"05", b"0000005", b"00000005", b"000000000000000000000005"])
def test_a_size_is_hexadecimal_with_a_few_leading_zeros(line: bytes) -> None:
    assert payload(line + b"\r\nhello\r\n0\r\n\r\n") == b"hello"


def test_digits_come_in_either_case() -> None:
    assert payload(b"A\r\n0123456789\r\n1a\r\n" + b"x" * 26 + b"\r\n000\r\n\r\n") == b"0123456789" + b"x" * 26


@pytest.mark.parametrize(
    "line",
    [b"", b" ", b"5 ", b" 5", b"\t5", b"5\t", b"+5", b"-5", b"0x5", b"5_0", b"5h", b"g", b"five", b"5\x85", b"\xa05",
     b"5\xa0", b"5\x0b", b"5\x0c", b"5\0", b"\xc2\xb2", b"5,5", b"5.0", b"0" * 25, b"1" + b"0" * 24, b"F" * 17, b"5\r",
     b"\r5"],
)  # fmt: skip
def test_nothing_else_is_a_size(line: bytes) -> None:
    assert refusal(line + b"\r\nhello\r\n0\r\n\r\n") == 400
    assert refusal(b"1\r\nx\r\n" + line + b"\r\nhello\r\n0\r\n\r\n") == 400


@pytest.mark.parametrize("ending", [b"\n", b"\r", b"\r\r\n", b"\n\r\n", b"\r\n\n"])
def test_lines_and_data_end_with_cr_lf_alone(ending: bytes) -> None:
    assert refusal(b"5" + ending + b"hello\r\n0\r\n\r\n") == 400
    assert refusal(b"5\r\nhello" + ending + b"0\r\n\r\n") == 400
    assert refusal(b"5\r\nhello\r\n0" + ending + b"\r\n") == 400


@pytest.mark.parametrize(
    "extension",
    [b";a", b";a=b", b"; some; parameters=stuff", b';foo="bar baz"', b" ; a", b"\t;\ta\t=\tb", b";a;b;c", b';a="";b',
     b";a =b", b'; a="q\\"uo\\\\ted; x=y \xff\t"', b";!#$%&'*+-.^_`|~9=x", b";a ;b"],
)  # fmt: skip
def test_extensions_are_read_by_their_grammar_and_dropped(extension: bytes) -> None:
    assert payload(b"5" + extension + b"\r\nhello\r\n0" + extension + b"\r\n\r\n") == b"hello"


@pytest.mark.parametrize(
    "extension",
    [b";", b"; ", b";a;", b";=", b";=b", b";a=", b";a= ", b"x", b" a", b" erfr", b";a b", b";a=b c", b";a=b ", b";a ",
     b';a="b', b';a="b"c', b';a=b"c"', b';a="\\', b';a="\x00"', b';a="\\\x00"', b";a=\x80", b";\x80", b";a=b\rc",
     b';a="\r"', b';a="\n"', b";a\n", b"\n;a", b";a\r", b"\r;a", b";a=b,c", b";;a", b';a="\x7f"', b";a\x0b"],
)  # fmt: skip
def test_any_other_extension_is_refused(extension: bytes) -> None:
    assert refusal(b"5" + extension + b"\r\nhello\r\n0\r\n\r\n") == 400
    assert refusal(b"5\r\nhello\r\n0" + extension + b"\r\n\r\n") == 400


@pytest.mark.parametrize("after", [b"0\r\n\r\n", b"X\r\n", b"\n", b"\r0", b" \r\n"])
def test_data_longer_than_its_size_is_refused(after: bytes) -> None:
    assert refusal(b"5\r\nhello" + after) == 400


def test_a_line_of_extensions_is_bounded() -> None:
    assert decode(b"5;" + b"a" * 4000).complete is False
    assert refusal(b"5;" + b"a" * 4096) == 400
    assert refusal(b"5;" + b"a" * 4096 + b"\r\n") == 400


def test_an_endless_stream_of_small_chunks_with_fat_extensions_is_refused() -> None:
    chunk = b"1;" + b"a" * 1000 + b"\r\nx\r\n"
    assert refusal(chunk * 20) == 400
    assert decode(chunk * 10).size == 10


def test_an_endless_stream_of_small_chunks_is_not() -> None:
    assert decode(b"1\r\nx\r\n" * 10000).size == 10000


def test_extensions_in_proportion_to_the_data_are_not() -> None:
    """As AWS signs its chunks."""
    chunk = b"400;chunk-signature=" + b"a" * 64 + b"\r\n" + b"x" * 1024 + b"\r\n"
    assert decode(chunk * 1000).size == 1024000


def test_trailers_are_kept_apart_in_order_and_not_merged() -> None:
    decoder = decode(b"5\r\nhello\r\n0\r\nVary: *\r\nX: 1 \r\nx:2\r\nContent-Type:\ttext/plain\r\n\r\nrest")
    assert decoder.complete
    assert decoder.trailers == [("vary", "*"), ("x", "1"), ("x", "2"), ("content-type", "text/plain")]
    assert decoder.leftover == b"rest"


@pytest.mark.parametrize(
    "name",
    [
        "Content-Length",
        "TRANSFER-ENCODING",
        "Host",
        "Trailer",
        "TE",
        "Connection",
        "Upgrade",
        "Expect",
        "Keep-Alive",
    ],
)
def test_a_trailer_cannot_frame_or_route(name: str) -> None:
    assert refusal(b"0\r\n" + name.encode() + b": 5\r\n\r\n") == 400


@pytest.mark.parametrize(
    "line",
    [
        b"A : b",
        b" A: b",
        b"A",
        b": b",
        b"A: b\rc",
        b"A: b\nc: d",
        b"A: b\n",
        b"A: \0",
        b"\tfold",
        b"A\x85: b",
        b"\r",
        b"\n",
    ],
)
def test_a_trailer_is_a_field_line(line: bytes) -> None:
    assert refusal(b"0\r\n" + line + b"\r\n\r\n") == 400
    assert refusal(b"0\r\nB: c\r\n" + line + b"\r\n\r\n") == 400


def test_the_trailer_section_is_bounded() -> None:
    limits = Limits(max_head=100, max_fields=3, max_target=10)
    assert decode(b"0\r\n" + b"A: b\r\n" * 3 + b"\r\n", limits).complete
    assert refusal(b"0\r\n" + b"A: b\r\n" * 4, limits) == 431
    assert refusal(b"0\r\nA: " + b"b" * 100, limits) == 431
    assert refusal(b"0\r\nA: " + b"b" * 100 + b"\r\n\r\n", limits) == 431
    assert refusal(b"0\r\nA: " + b"b" * 60 + b"\r\nA: " + b"b" * 60, limits) == 431


def test_an_incomplete_body_waits() -> None:
    data = b"5;a=b\r\nhello\r\n0;c\r\nX: y\r\n\r\n"
    for size in range(len(data)):
        decoder = decode(data[:size])
        assert not decoder.complete
        assert decoder.size == min(5, max(0, size - 7))


def test_a_line_may_come_in_several_reads() -> None:
    decoder = ChunkedDecoder()
    parts = (b"5", b";a", b"\r", b"\nhel", b"lo\r", b"\n0\r\nX", b": y\r\n\r", b"\n")
    assert [b"".join(decoder.feed(part)) for part in parts] == [b"", b"", b"", b"hel", b"lo", b"", b"", b""]
    assert (decoder.complete, decoder.trailers) == (True, [("x", "y")])


def test_what_follows_the_body_is_left_over() -> None:
    decoder = ChunkedDecoder()
    assert decoder.feed(b"2\r\nab\r\n0\r\n") == [b"ab"]
    assert decoder.feed(b"\r\nGET / HTTP/1.1\r\n") == []
    assert (decoder.complete, decoder.leftover) == (True, b"GET / HTTP/1.1\r\n")


def test_data_that_is_all_payload_is_not_copied() -> None:
    decoder = decode(b"100000\r\n")
    data = b"x" * 65536
    (piece,) = decoder.feed(data)
    assert piece is data


def test_many_small_pieces_come_as_one() -> None:
    """Or a peer could make the server hold an object for every two bytes."""
    decoder = ChunkedDecoder()
    assert decoder.feed(b"2\r\nab\r\n" * 1000) == [b"ab" * 1000]
    assert decoder.feed(b"2\r\nab\r\n2\r\ncd\r\n") == [b"ab", b"cd"]


def test_a_broken_body_stays_broken() -> None:
    decoder = ChunkedDecoder()
    for data in (b"zz\r\n", b"0\r\n\r\n", b"5\r\nhello"):
        with pytest.raises(RemoteProtocolError, match="invalid chunk line"):
            decoder.feed(data)
    assert not decoder.complete


def test_a_complete_body_takes_no_more() -> None:
    decoder = decode(LAST_CHUNK)
    assert decoder.feed(b"") == []
    with pytest.raises(LocalProtocolError):
        decoder.feed(b"x")


@pytest.mark.parametrize("size", [1, 9, 10, 255, 256, 70000])
def test_a_chunk_is_written_with_its_size(size: int) -> None:
    assert encode_chunk(b"x" * size) == f"{size:x}\r\n{'x' * size}\r\n".encode()
    assert payload(encode_chunk(b"x" * size) + LAST_CHUNK) == b"x" * size


def test_no_data_is_no_chunk_because_an_empty_one_would_end_the_body() -> None:
    assert encode_chunk(b"") == b""
