"""Problem documents (RFC 9457). Only what the caller passes gets in: no exception, no traceback, no repr."""

from __future__ import annotations

from typing import Any, Final

from framework.codec import encode_json
from framework.http.status import phrase

__all__ = ["PROBLEM_JSON", "problem"]

PROBLEM_JSON: Final = "application/problem+json"


def problem(
    status: int,
    title: str | None = None,
    detail: str | None = None,
    type: str = "about:blank",
    instance: str | None = None,
    **extensions: Any,
) -> bytes:
    """A problem document as JSON, to be sent as ``PROBLEM_JSON``.

    Args:
        status: the response's status code (RFC 9457 section 3.1.2).
        title: names the kind of problem; the status phrase unless given (section 4.2.1).
        detail: what went wrong this time, written for the client to read (section 3.1.4).
        type: a URI that names the kind of problem (section 3.1.1).
        instance: a URI that names this occurrence (section 3.1.5).
        extensions: further members (section 3.2).

    Raises:
        CodecError: an extension has no JSON form.
    """
    document: dict[str, Any] = {"type": type, "title": title or phrase(status), "status": status}
    if detail is not None:
        document["detail"] = detail
    if instance is not None:
        document["instance"] = instance
    return encode_json(document | extensions)
