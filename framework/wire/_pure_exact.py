"""The exact way of the pure twin: walks a head as the compiled leaves do, and so finds the first fault.

``_pure.py`` comes here with every head that is not plainly good: incomplete, faulty, or seldom seen. The
rules are those of ``_head.pyx``, ``_request.pyx`` and ``_response.pyx``, in the same order.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NoReturn, TypeVar

from framework.errors import RemoteProtocolError
from framework.wire._pure_grammar import DIGITS, TCHAR, VCHARS
from framework.wire._pure_head import Facts, Limits, RequestHead, ResponseHead
from framework.wire._pure_lines import AUTHORITY, PLAIN_PATH, USERINFO

__all__ = ["read_request", "read_response"]

R = TypeVar("R", bound=RequestHead)

_TOKENS = re.compile(rf"{TCHAR}*+".encode("latin-1")).match
_VALUES = re.compile(rf"{VCHARS}*+".encode("latin-1")).match
_VISIBLE = re.compile(rb"[!-~]*+").match
_AUTHORITY_PART = re.compile(r"[^/?#]*+").match

_Match = Callable[[bytes, int, int], re.Match[bytes] | None]

_CODINGS = frozenset({"gzip", "deflate", "compress", "x-gzip", "x-compress", "identity"})
_CR, _LF, _SP, _DOT, _COLON, _ZERO, _ONE, _NINE, _DIGIT = b"\r\n .:019d"


class _Incomplete(Exception):
    """The bytes end before the head does."""


def _fault(reason: str, status: int = 400) -> NoReturn:
    raise RemoteProtocolError(reason, status)


def read_request(data: bytes, start: int, limits: Limits, cls: type[R]) -> R | None:
    """As parse_request, for any bytes."""
    window = _Window(data, start, limits)
    try:
        return _request(window, limits, cls)
    except _Incomplete:
        window.refuse_if_over()
        return None


def read_response(data: bytes, start: int, limits: Limits) -> ResponseHead | None:
    """As parse_response, for any bytes."""
    window = _Window(data, start, limits)
    try:
        try:
            return _response(window, limits)
        except _Incomplete:
            window.refuse_if_over()
            return None
    except RemoteProtocolError as error:
        raise RemoteProtocolError(error.reason, 502) from None


class _Window:
    """The bytes a head may take, and how far it has been read."""

    __slots__ = ("at", "data", "end", "over")

    def __init__(self, data: bytes, start: int, limits: Limits) -> None:
        if not 0 <= start <= len(data):
            raise IndexError(f"a head that starts at byte {start} of {len(data)}")
        self.data = data
        self.at = start
        self.over = len(data) - start > limits.max_head
        self.end = start + limits.max_head if self.over else len(data)

    def refuse_if_over(self) -> None:
        """The head goes on: a fault where no more of it may come."""
        if self.over:
            _fault("the head is too large", 431)

    def peek(self, ahead: int = 0) -> int:
        if self.at + ahead >= self.end:
            raise _Incomplete
        return self.data[self.at + ahead]

    def run(self, match: _Match) -> bytes:
        """Takes the bytes of one class, perhaps none."""
        found = match(self.data, self.at, self.end)
        assert found is not None
        self.at = found.end()
        return found[0]

    def newline(self, reason: str) -> None:
        """Takes CRLF."""
        if self.peek() != _CR or self.peek(1) != _LF:
            _fault(reason)
        self.at += 2


def _request(window: _Window, limits: Limits, cls: type[R]) -> R:
    while window.at < window.end and window.peek() == _CR:
        window.newline("a bare CR before the request line")
    method = window.run(_TOKENS)
    if len(method) > 32:
        _fault("the method is too long", 501)
    if window.peek() != _SP or not method:
        _fault("an invalid method")
    window.at += 1
    target = window.run(_VISIBLE)
    if len(target) > limits.max_target:
        _fault("the request target is too long", 414)
    if window.peek() != _SP or not target:
        _fault("an invalid request target")
    window.at += 1
    head = cls.__new__(cls)
    head.exchange = head.received = head.source = head.made = None
    head.deadline = head.endpoint = head.params = None
    head.minor = _version(window)
    head.method = method.decode("ascii")
    host = _take_target(head, target.decode("ascii"))
    notes = _Notes(head.minor, request=True)
    head.block = _field_block(window, limits, notes)
    if notes.host is None and head.minor >= 1:
        _fault("the Host field is missing")
    notes.settle().tell(head)
    if host is not None:
        head.host = host
    head.end = window.at
    return head


def _response(window: _Window, limits: Limits) -> ResponseHead:
    """status-line = HTTP-version SP status-code SP [ reason-phrase ] CRLF (RFC 9112 section 4)."""
    digits: list[int] = []
    for form in b"HTTP/1.d ddd ":
        byte = window.peek()
        if form == _DIGIT and _ZERO <= byte <= _NINE:
            digits.append(byte - _ZERO)
        elif form == _DIGIT or byte != form:
            _fault("an invalid status line")
        window.at += 1
    if digits[1] == 0:
        _fault("an invalid status line")
    reason = window.run(_VALUES)
    window.newline("an invalid status line")
    head = ResponseHead()
    head.minor = 0 if digits[0] == 0 else 1
    head.status = digits[1] * 100 + digits[2] * 10 + digits[3]
    head.reason = reason.decode("latin-1")
    notes = _Notes(head.minor, request=False)
    head.block = _field_block(window, limits, notes)
    notes.settle().tell(head)
    head.end = window.at
    return head


def _version(window: _Window) -> int:
    """HTTP-version CRLF (RFC 9112 section 2.3). A later minor version is read as 1.1."""
    for expected in b"HTTP/":
        if window.peek() != expected:
            _fault("an invalid HTTP version")
        window.at += 1
    major = window.peek()
    if not _ZERO <= major <= _NINE:
        _fault("an invalid HTTP version")
    minor = window.peek(2)
    if window.peek(1) != _DOT or not _ZERO <= minor <= _NINE:
        _fault("an invalid HTTP version")
    if major != _ONE:
        _fault("an HTTP version this server does not speak", 505)
    window.at += 3
    window.newline("an invalid HTTP version")
    return 0 if minor == _ZERO else 1


def _take_target(head: RequestHead, target: str) -> str | None:
    """Tells the four forms apart (RFC 9112 section 3.2); returns the host of a form that has one."""
    head.target = target
    head.query_string = ""
    head.plain_path = False
    if head.method == "CONNECT":
        name, _, port = target.rpartition(":")
        if not AUTHORITY(target) or not name or not DIGITS(port):
            _fault("CONNECT needs host and port")
        head.raw_path = ""
        return target
    if target == "*":
        if head.method not in ("OPTIONS", "M-SEARCH"):
            _fault("the target * belongs to OPTIONS")
        head.raw_path = "*"
        head.plain_path = True
        return None
    host: str | None = None
    rest = target
    if target[0] != "/":
        host, rest = _absolute(target)
    path, _, head.query_string = rest.partition("#")[0].partition("?")
    head.raw_path = path or "/"
    head.plain_path = PLAIN_PATH(path) is not None
    return host


def _absolute(target: str) -> tuple[str, str]:
    """The host of an absolute-form, which goes before the Host field's, and what follows the authority."""
    scheme, _, rest = target.partition("://")
    if scheme.lower() not in ("http", "https") or not rest:
        _fault("an invalid request target")
    found = _AUTHORITY_PART(rest)
    assert found is not None
    user, mark, host = found[0].partition("@")
    if not mark:
        user, host = "", user
    if not USERINFO(user) or not host or host[0] == ":" or not AUTHORITY(host):
        _fault("an invalid authority in the request target")
    return host, rest[found.end() :]


def _field_block(window: _Window, limits: Limits, notes: _Notes) -> bytes:
    """Takes field lines up to and with the empty line."""
    start = window.at
    count = 0
    while window.peek() != _CR:
        name = window.run(_TOKENS)
        if window.peek() != _COLON or not name:
            _fault("an invalid field line")
        window.at += 1
        value = window.run(_VALUES)
        if window.peek() != _CR:
            _fault("an invalid character in a field value")
        window.newline("a bare CR in a field value")
        count += 1
        if count > limits.max_fields:
            _fault("too many header fields", 431)
        notes.take(name.lower(), value.decode("latin-1").strip(" \t"))
    lines = window.data[start : window.at]
    window.newline("a bare CR in the head")
    return b"%d\r\n%b" % (notes.minor, lines)


class _Notes:
    """The fields that decide about framing, routing and the connection's life, taken up one by one."""

    __slots__ = (
        "chunked",
        "close_token",
        "coded",
        "content_length",
        "expect_continue",
        "host",
        "keep_token",
        "minor",
        "request",
        "upgrade_field",
        "upgrade_token",
    )

    def __init__(self, minor: int, *, request: bool) -> None:
        self.minor = minor
        self.request = request
        self.content_length = -1
        self.host: str | None = None
        self.chunked = self.coded = self.expect_continue = False
        self.close_token = self.keep_token = self.upgrade_token = self.upgrade_field = False

    def take(self, name: bytes, value: str) -> None:
        if name == b"host" and self.request:
            self._host(value)
        elif name == b"expect" and self.request and self.minor >= 1:
            if value.lower() != "100-continue":
                _fault("an expectation this server does not know", 417)
            self.expect_continue = True
        elif name == b"upgrade":
            self.upgrade_field = True
        elif name == b"connection":
            self._connection(value)
        elif name == b"content-length":
            self._length(value)
        elif name == b"transfer-encoding":
            self._codings(value)

    def _host(self, value: str) -> None:
        if self.host is not None:
            _fault("more than one Host field")
        if not AUTHORITY(value):
            _fault("an invalid Host field")
        self.host = value

    def _length(self, value: str) -> None:
        """One number of ASCII digits; no list, no second field, even if equal (RFC 9112 section 6.3)."""
        if self.content_length >= 0:
            _fault("more than one Content-Length field")
        if not DIGITS(value):
            _fault("an invalid Content-Length")
        value = value.lstrip("0")
        if len(value) > 18:
            _fault("the Content-Length is past all limits", 413)
        self.content_length = int(value or "0")

    def _connection(self, value: str) -> None:
        """The tokens of the list that a server acts on, in any case (RFC 9110 section 7.6.1)."""
        for part in value.split(","):
            token = part.strip(" \t").lower()
            if token == "close":
                self.close_token = True
            elif token == "keep-alive":
                self.keep_token = True
            elif token == "upgrade":
                self.upgrade_token = True

    def _codings(self, value: str) -> None:
        """Codings in order, over all lines; "chunked" may stand once and last (RFC 9112 section 6.1)."""
        self.coded = True
        for part in value.split(","):
            coding = part.strip(" \t").lower()
            if not coding:
                _fault("an empty transfer coding")
            if self.chunked:
                _fault("a transfer coding after chunked")
            if coding == "chunked":
                self.chunked = True
            elif coding not in _CODINGS:
                _fault("an unknown transfer coding", 501)

    def settle(self) -> Facts:
        """What only the whole block can tell.

        A response whose last coding is not chunked ends with its connection (RFC 9112 section 6.3).
        """
        if self.coded:
            if self.request and not self.chunked:
                _fault("a transfer coding other than chunked comes last")
            if self.minor == 0:
                _fault("Transfer-Encoding in an HTTP/1.0 message")
            if self.content_length >= 0:
                _fault("both Transfer-Encoding and Content-Length")
        return Facts(
            self.content_length,
            self.chunked,
            not self.close_token and (self.minor >= 1 or self.keep_token),
            self.upgrade_field and self.upgrade_token and self.minor >= 1,
            self.expect_continue,
            self.host or "",
        )
