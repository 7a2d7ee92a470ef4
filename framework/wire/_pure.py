"""The pure-Python twin of the compiled leaves, always there: the same names, results and faults.

The usual head is read by two regular expressions that validate all of it, line and field block; what a block says
is remembered, because clients repeat it. Every other head goes the exact way (``_pure_exact.py``).
"""

from __future__ import annotations

from typing import Final, TypeVar

from framework.wire._pure_encode import encode_fields, encode_response
from framework.wire._pure_exact import read_request, read_response
from framework.wire._pure_grammar import DIGITS
from framework.wire._pure_head import Facts, Head, Limits, RequestHead, ResponseHead
from framework.wire._pure_lines import AUTHORITY, BLOCK, FACTUAL, REQUEST_LINE, STATUS_LINE

__all__ = [
    "TWIN",
    "Head",
    "Limits",
    "RequestHead",
    "ResponseHead",
    "encode_fields",
    "encode_response",
    "parse_request",
    "parse_response",
]

R = TypeVar("R", bound=RequestHead)

TWIN: Final[str] = "pure"

# At most 256 kB of blocks per Limits, thus per server.
_MEMO_BLOCKS = 128
_MEMO_BLOCK_SIZE = 2048

_ZERO = ord("0")


def parse_request(data: bytes, start: int, limits: Limits, cls: type[R]) -> R | None:
    """Parses the request head that begins at ``start`` of ``data`` into a ``cls``, a subclass of RequestHead.

    Returns None while the head is incomplete; ``end`` of the result is where the body begins.
    Raises RemoteProtocolError with the status that answers the fault, as early as the bytes show it.
    """
    stop = data.find(b"\r\n\r\n", start, start + limits.max_head) if start >= 0 else -1
    minor = data.find(b"\r\n", start) - 1
    match = REQUEST_LINE(data[start:minor].decode("latin-1")) if stop >= 0 else None
    if match is None:
        return read_request(data, start, limits, cls)
    method, target, plain, rough, query = match.groups()
    block = data[minor : stop + 2]
    facts = limits.memo.get(block) or _facts(block, limits)
    if facts is None or len(target) > limits.max_target:
        return read_request(data, start, limits, cls)
    head = cls.__new__(cls)
    head.exchange = head.received = head.source = head.made = None
    head.deadline = head.endpoint = head.params = None
    head.method = method
    head.target = target
    head.plain_path = rough is None
    head.raw_path = rough or plain
    head.query_string = query or ""
    head.minor = 0 if block[0] == _ZERO else 1
    (
        head.content_length,
        head.chunked,
        head.keep_alive,
        head.upgrade,
        head.expect_continue,
        head.host,
    ) = facts
    head.block = block
    head.end = stop + 4
    return head


def parse_response(data: bytes, start: int, limits: Limits) -> ResponseHead | None:
    """Parses the response head that begins at ``start`` of ``data``; None while it is incomplete.

    Raises RemoteProtocolError, always with status 502: the fault lies upstream, not with the client.
    """
    stop = data.find(b"\r\n\r\n", start, start + limits.max_head) if start >= 0 else -1
    line = data.find(b"\r\n", start)
    match = STATUS_LINE(data[start:line].decode("latin-1")) if stop >= 0 else None
    if match is None:
        return read_response(data, start, limits)
    minor, status, reason = match.groups()
    block = b"%b%b" % (minor.encode(), data[line : stop + 2])
    facts = _glance(block, limits, request=False)
    if facts is None:
        return read_response(data, start, limits)
    head = ResponseHead()
    head.status = int(status)
    head.reason = reason
    head.minor = 0 if minor == "0" else 1
    facts.tell(head)
    head.block = block
    head.end = stop + 4
    return head


def _facts(block: bytes, limits: Limits) -> Facts | None:
    """What the field block of a request says, remembered; None where only the exact way can tell."""
    facts = _glance(block, limits, request=True)
    if facts is not None and len(block) <= _MEMO_BLOCK_SIZE:
        if len(limits.memo) >= _MEMO_BLOCKS:
            limits.memo.clear()
        limits.memo[block] = facts
    return facts


def _glance(block: bytes, limits: Limits, *, request: bool) -> Facts | None:
    """The facts of a block that has each factual field once and plain; None for any other, good or bad."""
    if block.count(b"\n") > limits.max_fields + 1 or BLOCK(block) is None:
        return None
    low = block.lower()
    found: list[tuple[bytes, bytes]] = FACTUAL(low)
    said = {name: value.rstrip(b" \t").decode("latin-1") for name, value in found}
    old = low[0] == _ZERO
    length = said.get(b"content-length")
    codings = said.get(b"transfer-encoding")
    tokens = said.get(b"connection", "")
    host = said.get(b"host", "" if old else None) if request else ""
    expect = said.get(b"expect") if request and not old else None
    if (
        len(said) != len(found)
        or host is None
        or not AUTHORITY(host)
        or (length is not None and (len(length) > 18 or not DIGITS(length)))
        or (codings is not None and (old or length is not None or codings != "chunked"))
        or expect not in (None, "100-continue")
        or "," in tokens
    ):
        return None
    if host:
        at = low.index(b"\nhost:") + 6
        host = block[at : block.index(b"\r", at)].strip(b" \t").decode("latin-1")
    return Facts(
        -1 if length is None else int(length),
        codings is not None,
        tokens == "keep-alive" if old else tokens != "close",
        tokens == "upgrade" and b"upgrade" in said and not old,
        expect is not None,
        host,
    )
