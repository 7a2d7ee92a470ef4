"""The compiled leaves and their pure twin are one: the same results, the same first fault, for any bytes."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from framework.errors import LocalProtocolError, RemoteProtocolError
from framework.wire import _pure, leaves

LEAVES = ("_head", "_request", "_response", "_encode")
FACTS = (
    "minor",
    "content_length",
    "chunked",
    "keep_alive",
    "upgrade",
    "expect_continue",
    "end",
    "host",
)
OF_REQUEST = (*FACTS, "method", "target", "raw_path", "query_string", "plain_path")
OF_RESPONSE = (*FACTS, "status", "reason")

Outcome = tuple[Any, ...] | None
Bounds = tuple[int, int, int]
ROOMY: Bounds = (400, 8, 100)


@pytest.fixture(scope="module")
def compiled() -> SimpleNamespace:
    """The names of the compiled leaves."""
    modules: list[ModuleType] = []
    try:
        modules += [importlib.import_module(f"framework.wire.{name}") for name in LEAVES]
    except ImportError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI compares the twins, but the leaves are not compiled: {error}")
        pytest.skip(f"there is nothing to compare with: {error}")
    names: dict[str, Any] = {}
    for module in modules:
        names.update(vars(module))
    return SimpleNamespace(**names)


def outcome_of_request(twin: Any, data: bytes, start: int = 0, bounds: Bounds = ROOMY) -> Outcome:
    limits = twin.Limits(*bounds)
    return outcome(OF_REQUEST, lambda: twin.parse_request(data, start, limits, twin.RequestHead))


def outcome_of_response(twin: Any, data: bytes, start: int = 0, bounds: Bounds = ROOMY) -> Outcome:
    limits = twin.Limits(*bounds)
    return outcome(OF_RESPONSE, lambda: twin.parse_response(data, start, limits))


def outcome(names: tuple[str, ...], parse: Callable[[], Any]) -> Outcome:
    try:
        head = parse()
    except RemoteProtocolError as error:
        return "fault", error.status, error.reason
    if head is None:
        return None
    fields = head.fields()
    assert head.raw_fields() == [(name.encode(), value.encode("latin-1")) for name, value in fields]
    return (*(getattr(head, name) for name in names), tuple(fields), head.field("cookie"))


def kind(outcome: Outcome) -> str:
    """For Hypothesis' statistics: what the examples reached."""
    if outcome is None:
        return "incomplete"
    return f"{outcome[1]} {outcome[2]}" if outcome[0] == "fault" else "good"


# Heads from the grammar, with every word that means something to the parser; then spoilt in a few places.

USUAL = st.sampled_from([True] * 9 + [False])


def mostly(usual: str, others: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Nine times in ten what is good, so that whole heads are good more often than not."""
    return USUAL.flatmap(lambda is_usual: st.just(usual) if is_usual else others)


def one_of(listed: str) -> st.SearchStrategy[str]:
    """One of the words that stand between the bars."""
    return st.sampled_from(listed.split("|"))


OWS = one_of("| |\t| \t |  ")
CASED: st.SearchStrategy[Callable[[str], str]] = st.sampled_from([str, str.lower, str.upper, str.title])
WORDS = one_of("a|x-y|cookie|accept|te|hosts|Transfer_Encoding|expec|~!")
TARGETS = one_of(
    '/|/a|/a/b?c=d|/a?|/?a?b|/a#f|/a?b#f|//a|/.|/a/../b|/%41|/a%|/"<>|/a/.b|*|http://h|http://h/|HTTPS://h:80/a?b'
    "|http://h?q|http://u:p@h/a|http://u@v@h/|http:///a|http://:80/|http://[::1]:8/x|http://[1::|ftp://h/|a|h:80"
    f"|:80|[::1]:443|h:|http://|http://a%4|http://a%12:b!&*$@h:1234/t|{'/' * 120}"
)
METHODS = one_of(f"GET|POST|CONNECT|OPTIONS|M-SEARCH|get|{'X' * 32}|{'X' * 33}|!")
VERSIONS = one_of("HTTP/1.1|HTTP/1.0|HTTP/1.2|HTTP/2.0|HTTP/0.9|HTTP/11|http/1.1")
HOSTS = one_of(
    "h||h:80|:80|h:|h:x|h:123456|a b|a,b|u@h|[::1]|[::1]:80|[::1]x|[::1|[1:2:3:4:5:6:7:8]|[1:2:3:4:5:6:7::]"
    "|[::1.2.3.4]|[::1.2.3.256]|[g::]|[]|a%41|a%4|a=b|é"
)
ADDRESSES = st.text("01af:.", max_size=24).map("[{}]".format) | st.lists(
    one_of("1|abcd||::|1.2.3.4|255.0.0.1"), max_size=9
).map(lambda groups: f"[{':'.join(groups)}]")
LENGTHS = one_of(f"0|5|007||-1|+5|5, 5|5 5|0x5|1_0|²|{'9' * 18}|{'9' * 19}|{'0' * 20}1|{'9' * 30}x")
CODINGS = one_of(
    "chunked|gzip, chunked|chunked, gzip|gzip|identity||,chunked|chunked,|x-gzip|pigeons|chunkedchunked"
    "|\xa0chunked|chunked\x85|chunked, chunked"
)
TOKENS = one_of("close|keep-alive|upgrade|close, upgrade|Keep-Alive ,x|,,||closed|upgrade,\tclose")
EXPECTATIONS = one_of("100-Continue||200-ok|100-continue, x")
STATUSES = one_of("204 |099 x|101 é|200|20x y|d00 z|999  \t")
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=12)


@st.composite
def field_lines(draw: st.DrawFn) -> str:
    name, values = draw(
        st.sampled_from(
            [
                ("content-length", mostly("5", LENGTHS)),
                ("transfer-encoding", mostly("chunked", CODINGS)),
                ("connection", TOKENS),
                ("upgrade", one_of("websocket||h2c")),
                ("expect", mostly("100-continue", EXPECTATIONS)),
                ("", VALUES),
                ("", VALUES),
                ("", VALUES),
            ]
        )
    )
    name = draw(CASED)(name) if name else draw(WORDS)
    return f"{name}:{draw(OWS)}{draw(values)}{draw(OWS)}\r\n"


@st.composite
def blocks(draw: st.DrawFn) -> str:
    lines = draw(st.lists(field_lines(), max_size=4))
    for _ in range(draw(st.sampled_from([1, 1, 1, 1, 1, 1, 1, 1, 0, 2]))):
        line = f"{draw(CASED)('host')}:{draw(OWS)}{draw(mostly('h', HOSTS | ADDRESSES))}\r\n"
        lines.insert(draw(st.integers(0, len(lines))), line)
    return "".join(lines) + "\r\n"


@st.composite
def request_heads(draw: st.DrawFn) -> bytes:
    method = draw(mostly("GET", METHODS))
    target = draw(mostly("/a?b", TARGETS))
    version = draw(mostly("HTTP/1.1", VERSIONS))
    before = draw(mostly("", st.sampled_from(["\r\n", "\r\n\r\n"])))
    return f"{before}{method} {target} {version}\r\n{draw(blocks())}".encode("latin-1")


@st.composite
def response_heads(draw: st.DrawFn) -> bytes:
    status = draw(mostly("200 OK", STATUSES))
    version = draw(mostly("HTTP/1.1", VERSIONS))
    return f"{version} {status}\r\n{draw(blocks())}".encode("latin-1")


ODD = st.sampled_from(
    [bytes([byte]) for byte in b"\r\n \t\0\x0b\x0c\x7f\x80\x85\xa0\xff:,;%#?/.@[]0-_A"]
    + [b"\r\n", b"\r\n\r\n", b"\r\n ", b"\r\n\t", b"a" * 40, b"a: b\r\n" * 9]
    + [b"Host: x\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"]
)


@st.composite
def spoilt(draw: st.DrawFn, heads: st.SearchStrategy[bytes]) -> bytes:
    """A head with something inserted, deleted, replaced or cut off in a few places."""
    data = draw(heads)
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 1, 2, 3]))):
        at = draw(st.integers(0, len(data)))
        size = draw(st.sampled_from([0, 0, 1, 1, 2, 5]))
        data = (
            data[:at]
            + draw(st.one_of(st.just(b""), ODD, st.binary(min_size=1, max_size=1)))
            + data[at + size :]
        )
    return data[: len(data) - draw(st.sampled_from([0] * 9 + [1, 2, 3, 4, 7]))]


BOUNDS = st.tuples(st.integers(60, 300), st.integers(1, 4), st.integers(1, 50))


@given(data=st.binary(max_size=80))
def test_any_bytes(compiled: SimpleNamespace, data: bytes) -> None:
    assert outcome_of_request(compiled, data) == outcome_of_request(_pure, data)
    assert outcome_of_response(compiled, data) == outcome_of_response(_pure, data)


@settings(max_examples=300)
@given(data=spoilt(request_heads()))
def test_request_heads(compiled: SimpleNamespace, data: bytes) -> None:
    expected = outcome_of_request(compiled, data)
    event(kind(expected))
    assert outcome_of_request(_pure, data) == expected


@settings(max_examples=300)
@given(data=spoilt(response_heads()))
def test_response_heads(compiled: SimpleNamespace, data: bytes) -> None:
    expected = outcome_of_response(compiled, data)
    event(kind(expected))
    assert outcome_of_response(_pure, data) == expected


@settings(max_examples=300)
@given(data=spoilt(request_heads()), bounds=BOUNDS)
def test_small_limits(compiled: SimpleNamespace, data: bytes, bounds: Bounds) -> None:
    expected = outcome_of_request(compiled, data, bounds=bounds)
    event(kind(expected))
    assert outcome_of_request(_pure, data, bounds=bounds) == expected
    assert outcome_of_response(_pure, data, bounds=bounds) == outcome_of_response(
        compiled, data, bounds=bounds
    )


@settings(max_examples=300)
@given(address=ADDRESSES)
def test_ip_literals(compiled: SimpleNamespace, address: str) -> None:
    data = f"GET / HTTP/1.1\r\nHost: {address}\r\n\r\n".encode()
    assert outcome_of_request(_pure, data) == outcome_of_request(compiled, data)


@given(before=st.binary(max_size=20), heads=st.lists(spoilt(request_heads()), min_size=1, max_size=3))
def test_any_start(compiled: SimpleNamespace, before: bytes, heads: list[bytes]) -> None:
    data = before + b"".join(heads)
    for start in {0, len(before), len(before) + len(heads[0]), len(data)}:
        assert outcome_of_request(_pure, data, start) == outcome_of_request(compiled, data, start)


@given(data=request_heads())
def test_the_pure_twin_remembers_nothing_wrong(data: bytes) -> None:
    """One Limits for many heads, as in a server: what the memo holds must not change an outcome."""
    limits = _pure.Limits()
    for version in (b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.1"):
        again = data.replace(b"HTTP/1.1", version)

        def parse(kept: _pure.Limits, again: bytes = again) -> Outcome:
            return outcome(OF_REQUEST, lambda: _pure.parse_request(again, 0, kept, _pure.RequestHead))

        assert parse(limits) == parse(_pure.Limits()) == parse(limits)


@given(data=spoilt(request_heads()), reads=st.sampled_from(["request", "response"]))
def test_a_prefix_is_incomplete_or_has_the_fault_of_the_whole(data: bytes, reads: str) -> None:
    """However the bytes are split over reads, a head ends the same way, and never as another head."""
    read = outcome_of_request if reads == "request" else outcome_of_response
    whole = read(leaves, data)
    for size in range(len(data)):
        early = read(leaves, data[:size])
        assert early is None or early == whole


# What is written.

NAMES = st.one_of(
    st.sampled_from(["x-a", "content-length", "Transfer-Encoding", "", "a b", "a:", "a\r\nb", "é", "κ"]),
    st.text(max_size=4),
)
PAIRS = st.lists(
    st.tuples(
        NAMES,
        st.one_of(
            VALUES, st.sampled_from(["a\r\nb: c", "a\rb", "a\nb", "\0", "κ", "\t x "]), st.text(max_size=4)
        ),
    ),
    max_size=3,
)


def encoded(twin: Any, pairs: list[tuple[str, str]], body: bytes, with_body: bool) -> list[Any]:
    outcomes: list[Any] = []
    writers: list[Callable[[], bytes]] = [
        lambda: twin.encode_fields(pairs),
        lambda: twin.encode_response(b"HTTP/1.1 200 OK\r\n", pairs, body, b"\r\n", with_body),
    ]
    for write in writers:
        try:
            outcomes.append(write())
        except LocalProtocolError as error:
            outcomes.append((error.status, error.reason))
    return outcomes


@given(pairs=PAIRS, body=st.binary(max_size=12), with_body=st.booleans())
def test_what_they_write(
    compiled: SimpleNamespace, pairs: list[tuple[str, str]], body: bytes, with_body: bool
) -> None:
    assert encoded(_pure, pairs, body, with_body) == encoded(compiled, pairs, body, with_body)


TOKENS_ONLY = st.text("!#$%&'*+-.^_`|~09azAZ", min_size=1, max_size=8)


@given(pairs=st.lists(st.tuples(TOKENS_ONLY, VALUES), max_size=5), body=st.binary(max_size=12))
def test_what_is_written_is_read_back(pairs: list[tuple[str, str]], body: bytes) -> None:
    data = leaves.encode_response(b"HTTP/1.1 200 OK\r\n", pairs, body, b"connection: close\r\n\r\n", True)
    head = leaves.parse_response(data, 0, leaves.Limits())
    assert head is not None
    assert (head.status, head.content_length, head.keep_alive, data[head.end :]) == (
        200,
        len(body),
        False,
        body,
    )
    assert head.fields()[1:-1] == [(name.lower(), value.strip(" \t")) for name, value in pairs]
