"""How the body of a message ends (RFC 9112 section 6.3): decisions shared by server and client, sans I/O."""

from __future__ import annotations

from enum import Enum

from framework.wire.leaves import RequestHead, ResponseHead

__all__ = ["Framing", "request_body_framing", "response_body_framing"]


class Framing(Enum):
    """What ends a body. The heads themselves are consistent: the leaves refuse those that say two things."""

    NONE = "no body"
    LENGTH = "head.content_length bytes"
    CHUNKED = "the last chunk"
    UNTIL_CLOSE = "the end of the connection"


def request_body_framing(head: RequestHead) -> Framing:
    """A request without Transfer-Encoding and Content-Length has no body."""
    if head.chunked:
        return Framing.CHUNKED
    return Framing.LENGTH if head.content_length > 0 else Framing.NONE


def response_body_framing(method: str, head: ResponseHead) -> Framing:
    """The framing of the response to a request with ``method``.

    After a 2xx to CONNECT, and after 101, there is no body but a tunnel: whatever follows belongs to it.
    """
    status = head.status
    if method == "HEAD" or status < 200 or status in (204, 304):
        return Framing.NONE
    if method == "CONNECT" and status < 300:
        return Framing.NONE
    if head.chunked:
        return Framing.CHUNKED
    if head.content_length < 0:
        return Framing.UNTIL_CLOSE
    return Framing.LENGTH if head.content_length > 0 else Framing.NONE
