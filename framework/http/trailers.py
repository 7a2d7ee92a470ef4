"""Trailer fields of a streamed response: which of them go out (RFC 9110 section 6.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

from framework.errors import LocalProtocolError
from framework.http.request import Request
from framework.http.response import StreamingResponse
from framework.wire.chunked import FORBIDDEN_TRAILERS

__all__ = ["may_trail", "trailers_of"]

# What has to be known ahead of the body: how to route, judge, decode or keep the message (RFC 9110 section 6.5.1, with
# the examples of RFC 7230 section 4.1.2).
_TOO_LATE: Final = FORBIDDEN_TRAILERS | {
    "accept-ranges",
    "age",
    "authorization",
    "cache-control",
    "content-encoding",
    "content-language",
    "content-location",
    "content-range",
    "content-type",
    "date",
    "expires",
    "location",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "range",
    "retry-after",
    "set-cookie",
    "vary",
    "warning",
    "www-authenticate",
}


def may_trail(name: str) -> bool:
    """Whether a field of this name, in any case, means something behind a body."""
    return name.lower() not in _TOO_LATE


def trailers_of(request: Request, response: StreamingResponse) -> list[tuple[str, str]]:
    """The trailer fields that go out behind the body, which is over: all of them to a client that asked for trailers
    (``TE: trailers``), to others those that the response's Trailer field names.

    Raises:
        LocalProtocolError: a field that may not stand there.
    """
    if response.trailers is None:
        return []
    made = response.trailers()
    pairs = list(cast("Mapping[str, str]", made).items() if isinstance(made, Mapping) else made)
    for name, _ in pairs:
        if not may_trail(name):
            raise LocalProtocolError(f"the field {name!r} in a trailer section")
    if "trailers" in _tokens(request.headers.get_all("te")):
        return pairs
    declared = _tokens(response.headers.get_all("trailer"))
    return [pair for pair in pairs if pair[0].lower() in declared]


def _tokens(values: list[str]) -> set[str]:
    """The members of list fields, in lower case, without their parameters."""
    return {part.partition(";")[0].strip(" \t").lower() for value in values for part in value.split(",")}
