"""What only the pure twin has: a memory for field blocks, and two ways to read a head."""

from __future__ import annotations

import pytest

from framework.wire import _pure
from framework.wire._pure import Limits, RequestHead, parse_request, parse_response
from framework.wire._pure_exact import read_request, read_response


def request(number: int, size: int = 10) -> bytes:
    return f"GET / HTTP/1.1\r\nHost: h\r\nA: {number:0{size}}\r\n\r\n".encode()


def test_a_repeated_block_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = Limits()
    first = parse_request(request(1), 0, limits, RequestHead)
    monkeypatch.delattr(_pure, "_facts")
    again = parse_request(request(1).replace(b"GET /", b"POST /other"), 0, limits, RequestHead)
    assert first is not None
    assert again is not None
    assert (again.method, again.target, again.host) == ("POST", "/other", "h")
    assert again.fields() == first.fields()


def test_the_memory_is_bounded() -> None:
    limits = Limits()
    for number in range(1000):
        parse_request(request(number), 0, limits, RequestHead)
        assert len(limits.memo) <= 128
    parse_request(request(1, size=5000), 0, limits, RequestHead)
    assert sum(map(len, limits.memo)) < 256 * 1024


def test_each_server_has_its_own() -> None:
    """The bounds are part of what is remembered."""
    data = request(1)
    assert parse_request(data, 0, Limits(), RequestHead) is not None
    with pytest.raises(Exception, match="too many"):
        parse_request(data, 0, Limits(max_fields=1), RequestHead)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /a//b?c HTTP/1.1\r\nhost: H \r\nConnection: close\r\n\r\n",
        b"POST / HTTP/1.0\r\nContent-Length: 007\r\nConnection: Keep-Alive\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost:\r\nTransfer-Encoding: Chunked\r\nExpect: 100-continue\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"GET / HTTP/1.9\r\nHost: h\r\nContent-Length: 0\r\n\r\nbody",
    ],
    ids=repr,
)
def test_both_ways_read_the_same(data: bytes) -> None:
    limits = Limits()
    quick = parse_request(data, 0, limits, RequestHead)
    assert limits.memo
    exact = read_request(data, 0, Limits(), RequestHead)
    names = [*RequestHead.__slots__, *_pure.Head.__slots__]
    names.remove("block")
    assert [getattr(quick, name) for name in names] == [getattr(exact, name) for name in names]
    assert quick is not None
    assert exact is not None
    assert quick.fields() == exact.fields()


def test_both_ways_read_the_same_response() -> None:
    data = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
    quick, exact = parse_response(data, 0, Limits()), read_response(data, 0, Limits())
    assert quick is not None
    assert exact is not None
    names = [*_pure.ResponseHead.__slots__, *_pure.Head.__slots__]
    assert [getattr(quick, name) for name in names] == [getattr(exact, name) for name in names]
