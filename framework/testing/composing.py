"""What a test says of a request, made into its bytes. It knows no connection."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterable, Container, Iterable, Mapping
from typing import Final, NamedTuple, TypeAlias, TypedDict, cast
from urllib.parse import urlencode

from framework.codec import encode_json
from framework.errors import LocalProtocolError
from framework.wire.leaves import encode_fields

__all__ = ["ComposedRequest", "FileField", "HeaderFields", "RequestOptions", "compose", "join_fields"]

HeaderFields: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]
FileField: TypeAlias = bytes | tuple[str, bytes] | tuple[str, bytes, str]

_OCTETS: Final = "application/octet-stream"


class RequestOptions(TypedDict, total=False):
    """What can be said of a request. At most one of ``content``, ``json`` and ``form`` with ``files`` is its body.

    params: added to the target's query; a list gives a name several times.
    headers: a mapping, or pairs where a name comes twice.
    content: bytes, text, or pieces that are sent chunked, each as soon as it is there.
    json: any value that ``framework.codec`` encodes, Structs included.
    form: as a browser sends a form.
    files: by field: the bytes, or (file name, bytes), or (file name, bytes, media type); sent as multipart/form-data.
    expect: the status, or the statuses, the answer is to have; any other raises UnexpectedAnswer, which shows it.
    """

    params: Mapping[str, object] | None
    headers: HeaderFields | None
    content: bytes | str | AsyncIterable[bytes] | None
    json: object
    form: Mapping[str, object] | None
    files: Mapping[str, FileField] | None
    expect: int | Container[int] | None


class ComposedRequest(NamedTuple):
    """A request: its head, and the body to send behind it."""

    method: str
    target: str
    head: bytes
    body: bytes | AsyncIterable[bytes]

    def __str__(self) -> str:
        return f"{self.method} {self.target}"


def compose(
    method: str, target: str, base: Mapping[str, str], options: RequestOptions, cookies: Mapping[str, str]
) -> ComposedRequest:
    """The bytes of a request.

    Args:
        base: fields that are sent unless ``options`` has them.
        cookies: sent unless the fields have some already.

    Raises:
        LocalProtocolError: more than one body is given.
    """
    given: HeaderFields | None = options.get("headers")
    always = {"host": "testserver"} | {name.lower(): value for name, value in base.items()}
    fields = join_fields(always, given or {})
    names = {name for name, _ in fields}
    media, body = _body(options)
    if body is None:
        extra: dict[str, str] = {}
    elif isinstance(body, bytes):
        extra = {"content-length": str(len(body))}
    else:
        extra = {"transfer-encoding": "chunked"}
    if media is not None:
        extra["content-type"] = media
    if cookies:
        extra["cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
    fields += [pair for pair in extra.items() if pair[0] not in names]
    params = options.get("params")
    if params:
        target += ("&" if "?" in target else "?") + urlencode(params, doseq=True)
    line = f"{method} {target} HTTP/1.1\r\n".encode("ascii")
    return ComposedRequest(
        method, target, line + encode_fields(fields) + b"\r\n", b"" if body is None else body
    )


def join_fields(base: Mapping[str, str], more: HeaderFields) -> list[tuple[str, str]]:
    """``more``, and what of ``base`` (in lower case) it does not name; all names in lower case."""
    pairs = cast("Mapping[str, str]", more).items() if isinstance(more, Mapping) else more
    said = [(name.lower(), value) for name, value in pairs]
    names = {name for name, _ in said}
    return [pair for pair in base.items() if pair[0] not in names] + said


def _body(options: RequestOptions) -> tuple[str | None, bytes | AsyncIterable[bytes] | None]:
    """The media type and the body."""
    content, form, files = options.get("content"), options.get("form"), options.get("files")
    there = {
        "content": content is not None,
        "json": "json" in options,
        "form": form is not None or files is not None,
    }
    given = [name for name, is_there in there.items() if is_there]
    if len(given) > 1:
        raise LocalProtocolError(f"a request has one body, not {' and '.join(given)}")
    if files is not None:
        boundary = secrets.token_hex(16)
        return f"multipart/form-data; boundary={boundary}", _multipart(boundary, form or {}, files)
    if form is not None:
        return "application/x-www-form-urlencoded", urlencode(form, doseq=True).encode()
    if "json" in options:
        return "application/json", encode_json(options["json"])
    return None, content.encode() if isinstance(content, str) else content


def _multipart(boundary: str, form: Mapping[str, object], files: Mapping[str, FileField]) -> bytes:
    """The body of a form with files (RFC 7578), names escaped as browsers do."""
    parts: list[tuple[str, bytes]] = []
    for name, value in form.items():
        values = cast("Iterable[object]", value) if isinstance(value, list | tuple) else (value,)
        parts += [(f'name="{_escaped(name)}"', str(one).encode()) for one in values]
    for name, file in files.items():
        file_name, data, media = _named(name, file)
        about = f'name="{_escaped(name)}"; filename="{_escaped(file_name)}"\r\nContent-Type: {media}'
        parts.append((about, data))
    disposition = f"--{boundary}\r\nContent-Disposition: form-data; "
    written = [f"{disposition}{about}\r\n\r\n".encode() + data for about, data in parts]
    return b"\r\n".join([*written, f"--{boundary}--\r\n".encode()])


def _named(name: str, file: FileField) -> tuple[str, bytes, str]:
    if isinstance(file, bytes):
        return name, file, _OCTETS
    return file if len(file) == 3 else (*file, _OCTETS)


def _escaped(name: str) -> str:
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
