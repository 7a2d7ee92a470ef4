"""The failure path of binding: every error of a request at once. Speed does not matter here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from framework.app.binding.parameters import REQUIRED, Parameter
from framework.codec import DECODE_ERRORS, Decoder
from framework.errors import CodecError, FieldError, FrameworkError, HTTPError, ValidationError
from framework.http.forms import parse_urlencoded
from framework.http.request import Request
from framework.validation import Schema, locate

__all__ = ["BIND_ERRORS", "Missing", "explain", "read_form"]


class Missing(FrameworkError):
    """A required parameter is not there."""


BIND_ERRORS: Final = (*DECODE_ERRORS, Missing)
MAX_FORM_FIELDS: Final = 1000


def explain(
    parameters: Sequence[Parameter], decoder: Decoder | None, request: Request, raw: bytes, error: Exception
) -> Exception:
    """What to raise for a request that did not bind: 400 for a body that is no JSON, else 422 with all faults."""
    faults: list[FieldError] = []
    for parameter in parameters:
        if parameter.source == "body" and decoder is not None:
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
            faults += _form_faults(parameter, raw)
        elif parameter.source not in ("inject", "request"):
            faults += _value_faults(parameter, _value(parameter, request))
    return ValidationError(faults) if faults else error


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
    pointer = "/" + parameter.key.replace("~", "~0").replace("/", "~1")
    if value is None:
        if parameter.default is not REQUIRED:
            return []
        return [FieldError(parameter.source, pointer, "required, but missing")]
    try:
        msgspec.convert(value, parameter.type, strict=False)
    except msgspec.ValidationError as error:
        detail, inner = locate(str(error))
        return [FieldError(parameter.source, pointer + inner, detail)]
    return []


def read_form(parameter: Parameter, raw: bytes) -> Any:
    """The body's fields as the parameter's Struct; raises msgspec.ValidationError."""
    return msgspec.convert(_form_values(raw), parameter.type, strict=False)


def _form_values(raw: bytes) -> dict[str, Any]:
    form = parse_urlencoded(raw, MAX_FORM_FIELDS)
    values: dict[str, Any] = {}
    for name in form:
        every = form.get_all(name)
        values[name] = every[0] if len(every) == 1 else every
    return values


def _form_faults(parameter: Parameter, raw: bytes) -> list[FieldError]:
    return Schema(parameter.type).value_errors(_form_values(raw), source="form", strict=False)
