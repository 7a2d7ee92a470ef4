"""Writes the head of a request (RFC 9112 section 3), checked against all that could end a line early. Sans I/O."""

from __future__ import annotations

import re
from collections.abc import Sequence

from framework.errors import LocalProtocolError
from framework.wire.leaves import encode_fields

__all__ = ["encode_request_head", "request_line"]

_is_line = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++ [!-~]++ HTTP/1\.1\r\n").fullmatch


def request_line(method: str, target: str) -> bytes:
    """Raises LocalProtocolError where the method is no token, or the target holds a blank or is not ASCII."""
    line = f"{method} {target} HTTP/1.1\r\n"
    if _is_line(line) is None:
        raise LocalProtocolError(f"{method!r} {target!r} is not a method and a request target")
    return line.encode("ascii")


def encode_request_head(method: str, target: str, fields: Sequence[tuple[str, str]]) -> bytes:
    """Request line, field lines and the empty line.

    The fields are sent as they are, in order: Host and the framing among them are the caller's to see to. Raises
    LocalProtocolError for what breaks the grammar: see ``request_line`` and ``encode_fields``.
    """
    return request_line(method, target) + encode_fields(list(fields)) + b"\r\n"
