"""Which fields go on, and which are made here: hop-by-hop rules, forwarding fields, Via.

A field of the client's is dropped where it is about this hop (RFC 9110 section 7.6.1), where Connection names it, and
where it speaks in the gateway's name. It is dropped under every spelling that a server behind may take for the same:
``X_Forwarded_For`` and ``X.Forwarded.For`` too (CVE-2026-39858). What Connection names is looked at with suspicion:
it can remove nothing that routing, framing or trust hangs on (traefik#12690).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from framework.http.request import Request

__all__ = ["HOP_BY_HOP", "Forwarding", "alias_of", "request_fields", "response_fields", "says_more"]

Pairs = list[tuple[str, str]]

HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "proxy-authenticate",
    }
)
"""Fields about one connection. Proxy-Authorization is for this gateway as well, and never goes on."""

_FORWARDED: Final = frozenset(
    {
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-prefix",
        "x-forwarded-proto",
        "x-forwarded-scheme",
        "x-forwarded-server",
        "x-forwarded-ssl",
        "x-real-ip",
        "x-original-url",
        "x-rewrite-url",
        "x-client-cert",
    }
)
_OURS: Final = frozenset(
    {"host", "content-length", "via", "expect", "proxy-authorization", "traceparent", "tracestate"}
)
_NEVER_GO: Final = HOP_BY_HOP | _FORWARDED | _OURS
_NOT_BY_CONNECTION: Final = frozenset(
    {
        "host",
        "content-length",
        "content-type",
        "authorization",
        "cookie",
        "set-cookie",
        "cache-control",
        "date",
        "vary",
    }
)


_NOTHING: Final[frozenset[str]] = frozenset()
_USUAL: Final = frozenset({"close", "keep-alive", "Keep-Alive", "upgrade", "Upgrade"})


def alias_of(name: str) -> str:
    """One name for all spellings of a field."""
    return name.replace("_", "-").replace(".", "-") if "_" in name or "." in name else name


def says_more(connection: str | None) -> frozenset[str]:
    """The fields that Connection names as its own, but for those that no client may take away."""
    if connection is None:
        return _NOTHING
    if connection in _USUAL:
        return _NOTHING
    named = {option.strip(" \t").lower() for option in connection.split(",")}
    return frozenset(named) - _NOT_BY_CONNECTION - {"", "close", "keep-alive", "upgrade"}


class Forwarding:
    """What the gateway says about whom it speaks for.

    Where the server trusts the proxy in front of it, that one's ``X-Forwarded-For`` goes on with the proxy's own
    address behind it; from all others it is replaced by theirs.

    Args:
        append: False tells of the client alone, whoever stood between.
        via: the pseudonym in Via; empty for none.
    """

    __slots__ = ("_append", "_via")

    def __init__(self, *, append: bool, via: str) -> None:
        self._append = append
        self._via = f"1.1 {via}" if via else ""

    def fields(self, request: Request) -> Pairs:
        """The forwarding fields of a request that goes on."""
        origin, peer = request.origin, request.exchange.peer
        chain = "unknown" if origin.client is None else origin.client.host
        if self._append and peer is not None and origin.client != peer:
            told = request.headers.combined("x-forwarded-for")
            chain = peer.host if told is None else f"{told}, {peer.host}"
        pairs = [
            ("x-forwarded-for", chain),
            ("x-forwarded-proto", origin.scheme),
            ("x-forwarded-host", origin.host),
        ]
        if self._via:
            pairs.append(("via", self._with_via(request)))
        return pairs

    def _with_via(self, request: Request) -> str:
        if request.field("via") is None:
            return self._via
        return f"{request.headers.combined('via')}, {self._via}"


def request_fields(request: Request, dropped: Callable[[str], bool] | None = None) -> Pairs:
    """The client's fields that go on. ``dropped``: says which more do not, by alias: identity that only policies
    give."""
    fields = request.fields()
    hop = says_more(_connection(fields))
    kept: Pairs = []
    aliased = False
    for pair in fields:
        name = pair[0]
        if name in _NEVER_GO or (hop and name in hop):
            continue
        if "_" in name or "." in name:
            aliased = True
        kept.append(pair)
    if aliased:
        kept = [pair for pair in kept if alias_of(pair[0]) not in _NEVER_GO]
    if dropped is not None:
        kept = [pair for pair in kept if not dropped(pair[0])]
    return kept


def _connection(fields: Pairs) -> str | None:
    """What all Connection lines say together."""
    first: str | None = None
    for pair in fields:
        if pair[0] == "connection":
            first = pair[1] if first is None else f"{first},{pair[1]}"
    return first


def response_fields(fields: Pairs) -> Pairs:
    """An upstream's fields that go on: all but those about its connection, and the framing, which is made anew."""
    hop = says_more(_connection(fields))
    kept: Pairs = []
    for pair in fields:
        if pair[0] not in _NOT_PASSED and not (hop and pair[0] in hop):
            kept.append(pair)
    return kept


_NOT_PASSED: Final = HOP_BY_HOP | {"content-length", "date"}
