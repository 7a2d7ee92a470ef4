"""The failure path of binding: every error of a request at once. Speed does not matter here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from framework.app.binding.parameters import REQUIRED, Parameter
from framework.codec import DECODE_ERRORS, Decoder
from framework.errors import CodecError, FieldError, FrameworkError, HTTPError, ValidationError
from framework.http.forms import parse_urlencoded
from framework.http.media import is_json
from framework.http.multipart_form import MultipartForm, UploadedFile
from framework.http.request import Request
from framework.validation import Schema, locate

__all__ = ["BIND_ERRORS", "Missing", "check_form", "check_json", "chosen_files", "explain", "read_form"]


class Missing(FrameworkError):
    """A required parameter is not there."""


BIND_ERRORS: Final = (*DECODE_ERRORS, Missing)
MAX_FORM_FIELDS: Final = 1000
FORM: Final = "application/x-www-form-urlencoded"


def explain(
    parameters: Sequence[Parameter],
    decoder: Decoder | None,
    request: Request,
    raw: bytes | MultipartForm,
    error: Exception,
) -> HTTPError:
    """What to raise for a request that did not bind: 400 for a body that is no JSON, else 422 with all faults.

    The faults come in the order of the parameters; within the body, in that of its type.
    """
    faults: list[FieldError] = []
    for parameter in parameters:
        if parameter.source == "body" and decoder is not None and isinstance(raw, bytes):
            if not raw and parameter.default is not REQUIRED:
                continue
            try:
                decoder.decode(raw)
            except DECODE_ERRORS as refusal:
                found = decoder.explain(raw, refusal)
                if isinstance(found, CodecError):
                    return HTTPError(400, f"malformed JSON: {found}" if raw else "the body is missing")
                faults += found.errors
        elif parameter.source == "form":
            if raw or parameter.default is REQUIRED:
                faults += Schema(parameter.type).value_errors(
                    _form_values(parameter, raw), source="form", strict=False
                )
        elif parameter.source == "file" and isinstance(raw, MultipartForm):
            if parameter.default is REQUIRED and not chosen_files(parameter, raw):
                faults.append(FieldError("file", pointer_of(parameter.key), "required, but missing"))
        elif parameter.source in ("path", "query", "header", "cookie"):
            faults += _value_faults(parameter, _value(parameter, request))
    if not faults:  # the walk is of another opinion than the binder: what stopped the binder has to do
        detail, pointer = locate(str(error))
        faults.append(FieldError("request", pointer, detail))
    return ValidationError(faults)


def _value(parameter: Parameter, request: Request) -> Any:
    """The text of a parameter as the request has it; None where it is not there."""
    match parameter.source:
        case "path":
            return request.params.get(parameter.key)
        case "query":
            if parameter.many:
                return request.query.get_all(parameter.key) or None
            return request.query.get(parameter.key)
        case "header":
            if parameter.many:
                return request.headers.get_all(parameter.key) or None
            return request.headers.get(parameter.key)
        case _:
            return request.cookies.get(parameter.key)


def _value_faults(parameter: Parameter, value: Any) -> list[FieldError]:
    pointer = pointer_of(parameter.key)
    if value is None:
        if parameter.default is not REQUIRED:
            return []
        return [FieldError(parameter.source, pointer, "required, but missing")]
    found = Schema(parameter.type).value_errors(value, source=parameter.source, strict=False)
    return [FieldError(fault.source, pointer + fault.pointer, fault.detail) for fault in found]


def pointer_of(name: str) -> str:
    """The JSON Pointer (RFC 6901) of a member."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


def chosen_files(parameter: Parameter, form: MultipartForm) -> list[UploadedFile]:
    """The files of the parameter's name, without what browsers send where nobody chose one (WHATWG HTML, constructing
    the entry list): no name and no bytes."""
    return [file for file in form.files if file.name == parameter.key and (file.filename or file.size)]


def read_form(parameter: Parameter, raw: bytes | MultipartForm) -> Any:
    """The body's fields as the parameter's type; raises msgspec.ValidationError."""
    return msgspec.convert(_form_values(parameter, raw), parameter.type, strict=False)


def _form_values(parameter: Parameter, raw: bytes | MultipartForm) -> dict[str, Any]:
    """One text for each field, the first of its values; all of them where the type has a list."""
    form = raw.fields if isinstance(raw, MultipartForm) else parse_urlencoded(raw, MAX_FORM_FIELDS)
    return {name: form.get_all(name) if name in parameter.lists else form[name] for name in form}


def check_json(request: Request, media_type: str | None) -> None:
    """Raises HTTPError 415 for a body that is not called JSON. No body needs no name."""
    if not is_json(media_type or "") and (media_type or _has_body(request)):
        raise _unsupported(media_type, "JSON")


def check_form(request: Request, media_type: str | None) -> None:
    """The same for a form."""
    essence = (media_type or "").partition(";")[0].strip(" \t").lower()
    if essence != FORM and (media_type or _has_body(request)):
        raise _unsupported(media_type, FORM)


def _has_body(request: Request) -> bool:
    return request.content_length > 0 or request.chunked


def _unsupported(media_type: str | None, wanted: str) -> HTTPError:
    return HTTPError(415, f"expected {wanted}, not {media_type or 'a body without Content-Type'}")
