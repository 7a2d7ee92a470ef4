"""W3C Trace Context (Level 2): which trace a request belongs to, read strictly, and told to those who are called next.

https://www.w3.org/TR/trace-context-2/
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from framework.http.ids import random_id
from framework.http.request import Request, StateKey

__all__ = ["TRACE", "TraceContext", "parse_traceparent", "parse_tracestate", "trace_of"]

_SAMPLED: Final = 0x01
_RANDOM: Final = 0x02
_KNOWN_FLAGS: Final = _SAMPLED | _RANDOM
_MAX_MEMBERS: Final = 32

_traceparent = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
).fullmatch
_is_random = re.compile(r"(?!0{16})[0-9a-f]{16}(?!0{16})[0-9a-f]{16}").fullmatch
_member = re.compile(
    r"([a-z0-9][a-z0-9_\-*/@]{0,255})=([ -+\--<>-~]{0,255}[!-+\--<>-~])"  # visible ASCII but "," and "="
).fullmatch


class TraceContext(msgspec.Struct, frozen=True, gc=False):
    """Where a request stands in its trace.

    Attributes:
        trace_id: 32 hex digits, shared by all that happens because of the first request.
        span_id: 16 hex digits; this request's own.
        flags: of the traceparent: 1 is sampled, 2 says that the trace id is random.
        parent_id: the caller's span id; None where the trace begins here.
        state: what tracing systems along the way have to say, as one tracestate field.
    """

    trace_id: str
    span_id: str
    flags: int = 0
    parent_id: str | None = None
    state: str = ""

    @property
    def sampled(self) -> bool:
        """The caller may have recorded the trace."""
        return self.flags & _SAMPLED == _SAMPLED

    @property
    def traceparent(self) -> str:
        """The field that tells whoever is called next."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"

    def fields(self) -> dict[str, str]:
        """The fields to send with a request that is made on behalf of this one."""
        fields = {"traceparent": self.traceparent}
        if self.state:
            fields["tracestate"] = self.state
        return fields


TRACE: Final[StateKey[TraceContext]] = StateKey("trace")
"""Where ``trace_of`` keeps what it has read, and a tracer puts what it has decided instead."""


def parse_traceparent(value: str) -> tuple[str, str, int] | None:
    """Trace id, parent id and flags; None for what has to be ignored (section 3.2).

    Of a version that is not known yet only what version 00 has is read, and of the flags those that have a meaning.
    """
    found = _traceparent(value)
    if found is None or (found[1] == "00" and found[5] is not None):
        return None
    return found[2], found[3], int(found[4], 16) & _KNOWN_FLAGS


def parse_tracestate(lines: Sequence[str]) -> str:
    """The lines as one field, "" when they break the grammar or have more than 32 members (section 3.3).

    Of members with one key the first is kept.
    """
    members: dict[str, str] = {}
    count = 0
    for line in lines:
        for text in line.split(","):
            member = text.strip(" \t")
            if not member:
                continue
            found = _member(member)
            count += 1
            if found is None or count > _MAX_MEMBERS:
                return ""
            members.setdefault(found[1], member)
    return ",".join(members.values())


def trace_of(request: Request) -> TraceContext:
    """Where ``request`` stands: in its caller's trace, or at the beginning of one. Read when first asked for.

    What a stranger sends is taken as it is: ids and flags name things, and decide nothing here. Where they should not
    even do that, remove the fields at the edge of your network.
    """
    trace = request.get(TRACE)
    if trace is None:
        trace = request[TRACE] = _read(request)
    return trace


def _read(request: Request) -> TraceContext:
    # The request's own id is random already: a part of it names its span, all of it a trace that begins here.
    own = request.id
    if not _is_random(own):
        own = random_id()
    sent = request.field("traceparent")
    if sent is not None:
        headers = request.headers
        parent = parse_traceparent(sent) if len(headers.get_all("traceparent")) == 1 else None
        if parent is not None:
            state = parse_tracestate(headers.get_all("tracestate"))
            return TraceContext(parent[0], own[:16], parent[2], parent[1], state)
    return TraceContext(own, own[16:], _RANDOM)
