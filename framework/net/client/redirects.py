"""Whether and how a redirect is followed (RFC 9110 section 15.4): decisions alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple
from urllib.parse import urljoin

from framework.errors import LocalProtocolError, RemoteProtocolError
from framework.net.client.url import URL, parse_url

__all__ = ["CREDENTIALS", "Step", "redirected"]

STATUSES: Final = frozenset({301, 302, 303, 307, 308})
# What speaks for the user at one origin must not be told to another.
CREDENTIALS: Final = frozenset({"authorization", "cookie", "proxy-authorization"})
# What describes a body that is not sent again.
ABOUT_BODY: Final = frozenset(
    {"content-type", "content-encoding", "content-language", "content-location", "content-length", "expect"}
)


class Step(NamedTuple):
    """The next request of a chain of redirects. ``with_body``: it has the body of the last one again; ``leaves``: it
    goes to another origin."""

    method: str
    url: str
    fields: list[tuple[str, str]]
    with_body: bool
    leaves: bool


def redirected(
    method: str,
    url: str,
    status: int,
    location: str | None,
    fields: Sequence[tuple[str, str]],
    *,
    replayable: bool,
) -> Step | None:
    """The request that follows a response; None where the response is the answer.

    303, and 301 and 302 to a POST, are followed by GET without a body, as browsers do. A body that was streamed cannot
    be sent again: then the redirect is the answer. To another origin go no credentials, nor is https left for http
    with them.

    Raises RemoteProtocolError (502) for a Location that leads to no http URL.
    """
    if status not in STATUSES or location is None:
        return None
    to_get = (status == 303 and method not in ("GET", "HEAD")) or (status in (301, 302) and method == "POST")
    if not to_get and not replayable:
        return None
    target = urljoin(url, location)
    try:
        parsed = parse_url(target)
    except LocalProtocolError as error:
        raise RemoteProtocolError(f"a redirect that cannot be followed: {error.reason}", 502) from None
    kept = list(fields)
    if to_get:
        kept = [pair for pair in kept if pair[0].lower() not in ABOUT_BODY]
    leaves = not _same_origin(parse_url(url), parsed)
    if leaves:
        kept = [pair for pair in kept if pair[0].lower() not in CREDENTIALS and pair[0].lower() != "host"]
    return Step("GET" if to_get else method, target, kept, not to_get, leaves)


def _same_origin(one: URL, other: URL) -> bool:
    return one[:3] == other[:3]
