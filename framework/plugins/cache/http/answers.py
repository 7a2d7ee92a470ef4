"""Stored responses made of responses, and responses made of those."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from framework.http.conditions import Conditions, parse_http_date
from framework.http.request import Request
from framework.http.response import Response
from framework.middleware.personal import unshared
from framework.plugins.cache.http.rules import Stored, Terms

__all__ = ["freshened", "respond", "same_fields", "stored_of", "told"]

# RFC 9110 section 7.6.1, RFC 9111 section 3.1; Age and Cache-Status are told anew each time.
_DROPPED: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "content-length",
    }
)
_NOT_KEPT: Final = frozenset({"age", "cache-status"})
# RFC 9110 section 15.4.5: what a 304 tells.
_IN_304: Final = frozenset(
    {"cache-control", "content-location", "date", "etag", "expires", "vary", "last-modified"}
)


def same_fields(response: Response) -> tuple[tuple[str, str], ...]:
    """The fields of a response that are not about this connection."""
    if response.fields is None:
        return ()
    pairs = response.fields.pairs
    named = {
        name.strip(" \t").lower()
        for field, value in pairs
        if field == "connection"
        for name in value.split(",")
    }
    return tuple([pair for pair in pairs if pair[0] not in _DROPPED and pair[0] not in named])


def stored_of(
    status: int,
    fields: Sequence[tuple[str, str]],
    media_type: str | None,
    body: bytes,
    terms: Terms,
    age: float,
    now: float,
) -> Stored:
    """A response as it is kept."""
    kept = tuple([pair for pair in fields if pair[0] not in _NOT_KEPT])
    found = dict(reversed(kept))
    return Stored(
        status=status,
        fields=kept,
        media_type=media_type,
        body=body,
        at=now,
        age=age,
        life=terms.life,
        on_error=terms.on_error,
        behind=terms.behind,
        validate=terms.validate,
        strict=terms.strict,
        etag=found.get("etag"),
        modified=found.get("last-modified"),
    )


def freshened(
    stored: Sequence[tuple[str, str]], told: Sequence[tuple[str, str]]
) -> tuple[tuple[str, str], ...]:
    """The fields of a stored response with those of a 304 in their place (RFC 9111 section 3.2)."""
    names = {name for name, _ in told} - {"content-encoding", "content-type", "content-range"}
    kept = [pair for pair in stored if pair[0] not in names]
    return (*kept, *[pair for pair in told if pair[0] in names])


def respond(stored: Stored, request: Request, now: float, name: str, status: str) -> Response:
    """The response to a request by a stored one: 304 where the client has it already. Raises HTTPError 400 for a list
    of entity tags that cannot be read."""
    age = int(stored.age + max(0.0, now - stored.at))
    if request.field("if-none-match") is not None or request.field("if-modified-since") is not None:
        modified = None if stored.modified is None else parse_http_date(stored.modified)
        if stored.status == 200 and Conditions.of(request).verdict(stored.etag, modified) == 304:
            response = Response(b"", 304)
            response.headers.pairs[:] = [pair for pair in stored.fields if pair[0] in _IN_304]
            response.headers.pairs += [("age", str(age)), ("cache-status", f"{name}; {status}")]
            return response
    response = Response(stored.body, stored.status, media_type=stored.media_type)
    # They were in a response before: nothing in them can break the head.
    response.headers.pairs[:] = [*stored.fields, ("age", str(age)), ("cache-status", f"{name}; {status}")]
    return response


def told(response: Response, name: str | None, status: str) -> Response:
    """The response with what the cache did added to Cache-Status: behind what caches nearer to the origin did (RFC 9211
    section 2). ``name`` None: as parameters of what is there."""
    response = unshared(response)  # a handler may answer everybody with the same object
    headers = response.headers
    before = headers.get_all("cache-status")
    if name is None:
        headers.set("cache-status", "; ".join([", ".join(before), status]))
    else:
        headers.set("cache-status", ", ".join([*before, f"{name}; {status}"]))
    return response
