"""What a request says beside its URL: options, fields and the body's media type. It does no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, TypedDict
from urllib.parse import urlencode

import msgspec

from framework.codec import encode_json
from framework.errors import LocalProtocolError
from framework.net.client.outgoing import BodySource, OnInformational, Trailers
from framework.net.client.settings import Timeouts

__all__ = ["Fields", "RequestOptions", "content", "pairs"]

Fields: TypeAlias = Mapping[str, str] | Sequence[tuple[str, str]]


class RequestOptions(TypedDict, total=False):
    """What ``HTTPClient.send`` takes beside method and URL; it says what each is."""

    params: Mapping[str, object] | None
    headers: Fields | None
    body: BodySource | None
    length: int | None
    json: Any
    form: Mapping[str, object] | None
    trailers: Trailers | None
    timeouts: Timeouts | None
    deadline: float | None
    idempotent: bool | None
    expect_continue: bool
    on_informational: OnInformational | None
    follow_redirects: bool | None
    upgrade: bool


def pairs(fields: Fields | None) -> list[tuple[str, str]]:
    """Fields as a list that is the caller's own."""
    if fields is None:
        return []
    return list(fields.items()) if isinstance(fields, Mapping) else list(fields)


def content(
    body: BodySource | None, json: Any, form: Mapping[str, object] | None, fields: list[tuple[str, str]]
) -> tuple[BodySource | None, list[tuple[str, str]]]:
    """The body, and the fields with its media type among them. Raises LocalProtocolError, CodecError."""
    if json is msgspec.UNSET and form is None:
        if isinstance(body, str):
            raise LocalProtocolError("a body is bytes: encode the text")
        if isinstance(body, (bytearray, memoryview)):
            body = bytes(body)
        return body, fields
    if body is not None or (json is not msgspec.UNSET and form is not None):
        raise LocalProtocolError("a request has one body: body, json or form")
    if form is not None:
        media_type, data = "application/x-www-form-urlencoded", urlencode(form, doseq=True).encode()
    else:
        media_type, data = "application/json", encode_json(json)
    if any(name.lower() == "content-type" for name, _ in fields):
        return data, fields
    return data, [*fields, ("content-type", media_type)]
