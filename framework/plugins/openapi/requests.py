"""What a route asks for: its parameters and its body, from how the binder reads them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import msgspec

from framework.app.binding.parameters import REQUIRED, Parameter
from framework.app.built import BuiltRoute
from framework.plugins.openapi.schemas import Json, Schemas, builtin, without_null
from framework.plugins.openapi.templates import converter_schema, is_built_in, refuses_text, takes_slashes
from framework.routing.converters import Converter
from framework.routing.pattern import Param

__all__ = ["describe_body", "describe_parameters", "refusals"]

_SOURCES: Final = ("path", "query", "header", "cookie")
_BODIES: Final = {"body": "application/json", "form": "application/x-www-form-urlencoded"}
_FILES: Final = "multipart/form-data"
# OpenAPI has other places for these (section 4.8.12.1): they would be ignored.
_IGNORED: Final = frozenset({("header", "accept"), ("header", "content-type"), ("header", "authorization")})


def describe_parameters(route: BuiltRoute, schemas: Schemas) -> list[Json]:
    """The Parameter Objects: those of the path in its order, then query, header and cookie as the handler has them."""
    taken = {one.key: one for one in route.parameters if one.source == "path"}
    found = [_path_parameter(param, taken.get(param.name), schemas) for param in route.pattern.params]
    found += [
        _parameter(parameter, schemas)
        for parameter in sorted(route.parameters, key=_order)
        if parameter.source in _SOURCES[1:] and (parameter.source, parameter.key) not in _IGNORED
    ]
    for each in found:
        schemas.then(partial(_lift_description, each))
    return found


def _order(parameter: Parameter) -> int:
    return _SOURCES.index(parameter.source) if parameter.source in _SOURCES else len(_SOURCES)


def _path_parameter(param: Param, parameter: Parameter | None, schemas: Schemas) -> Json:
    described: Json = {"name": param.name, "in": "path", "required": True}
    if takes_slashes(param.converter):
        described["description"] = "All that remains of the path, slashes included; it may be empty."
        described["x-slashes"] = True
    described["schema"] = {} if parameter is None else schemas.of(parameter.type)
    schemas.then(partial(_join_converter, described["schema"], param.converter))
    return described


def _join_converter(schema: Json, converter: Converter) -> None:
    """The text that the converter takes, and of the handler's type what is said of the same text."""
    without_null(schema)
    base = converter_schema(converter)
    own = dict(schema)
    if not is_built_in(converter):
        own = {"description": own["description"]} if "description" in own else {}
    elif own and own.get("type") != base["type"]:
        return
    schema.clear()
    schema.update(base | own)


def _parameter(parameter: Parameter, schemas: Schemas) -> Json:
    described: Json = {"name": parameter.key, "in": parameter.source}
    if parameter.default is REQUIRED:
        described["required"] = True
    schema = described["schema"] = schemas.of(parameter.type)

    def finish() -> None:
        without_null(schema)
        if parameter.default is not REQUIRED and parameter.default is not None:
            schema["default"] = builtin(parameter.default)
        if parameter.many and parameter.source == "header":
            _one_field_each(described)

    schemas.then(finish)
    return described


def _one_field_each(described: Json) -> None:
    """A list of header values is one field line for each, where OpenAPI's arrays would be one line with commas."""
    described["schema"] = described["schema"].get("items", {"type": "string"})
    described["description"] = "May be sent more than once."


def _lift_description(described: Json) -> None:
    """The type's description is that of the parameter."""
    text = described["schema"].pop("description", "")
    both = [part for part in (text, described.pop("description", "")) if part]
    if both:
        schema = described.pop("schema")
        described["description"] = " ".join(both)
        described["schema"] = schema


def describe_body(route: BuiltRoute, schemas: Schemas) -> Json | None:
    """The Request Body Object, if the handler reads the body."""
    whole = next((one for one in route.parameters if one.source in _BODIES), None)
    files = [one for one in route.parameters if one.source == "file"]
    if whole is None and not files:
        return None
    schema = schemas.of(whole.type) if whole is not None else {}
    media_type = _BODIES[whole.source] if whole is not None else _FILES
    if files:
        media_type = _FILES
        described = _describe_files(files)
        schema = {"allOf": [schema, described]} if whole is not None else described
    if route.record.options.get("strict_unknown"):
        schemas.then(partial(_close, schema))
    body: Json = {"content": {media_type: {"schema": schema}}}
    needed = any(one.default is REQUIRED for one in files) or (whole is not None and _needs_bytes(whole))
    return {"required": True, **body} if needed else body


def _describe_files(files: Sequence[Parameter]) -> Json:
    """The parts of a form that are files: bytes as they are (OpenAPI 3.1.1, section 4.8.14.4)."""
    described: Json = {"type": "object", "properties": {one.key: _file(one) for one in files}}
    required = [one.key for one in files if one.default is REQUIRED]
    return {**described, "required": required} if required else described


def _file(parameter: Parameter) -> Json:
    one: Json = {"type": "string", "contentMediaType": "application/octet-stream"}
    if not parameter.many:
        return one
    # Without a default a list has at least one: none at all is refused as missing.
    return {"type": "array", "items": one, **({"minItems": 1} if parameter.default is REQUIRED else {})}


def _needs_bytes(parameter: Parameter) -> bool:
    """A form without fields is an empty body, which is right where every field has a default."""
    kind = parameter.type
    if parameter.source == "form" and isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return any(one.required for one in msgspec.structs.fields(kind))
    return parameter.default is REQUIRED


def _close(schema: Json) -> None:
    if "$ref" in schema or "allOf" in schema or schema.get("type") == "object":
        schema["unevaluatedProperties"] = False


def refusals(route: BuiltRoute) -> dict[int, str]:
    """The statuses that the framework itself answers to requests of this route that do not fit it."""
    found: dict[int, str] = {}
    sources = {parameter.source for parameter in route.parameters}
    if "body" in sources:
        found[400] = "The body is no JSON"
    if "file" in sources:
        found[400] = "The body is no form"
    if any(refuses_text(param.converter) for param in route.pattern.params):
        found[404] = "Nothing is at this path"
    if sources & {*_BODIES, "file"}:
        found[413] = "The body is too large"
        found[415] = "The body is of another media type"
    if any(_can_fail(parameter, _converted(route)) for parameter in route.parameters):
        found[422] = "Parameters or body do not fit"
    return found


def _converted(route: BuiltRoute) -> dict[str, Any]:
    types: dict[str, Any] = {param.name: param.converter.type for param in route.pattern.params}
    if route.host is not None and route.host.name is not None:
        types[route.host.name] = str
    return types


def _can_fail(parameter: Parameter, converted: dict[str, Any]) -> bool:
    match parameter.source:
        case "body" | "form":
            return True
        case "file":
            return parameter.default is REQUIRED
        case "path":
            return parameter.type not in (converted.get(parameter.key), Any)
        case "query" | "header" | "cookie":
            return parameter.default is REQUIRED or not _takes_any_text(parameter.type)
        case _:
            return False


def _takes_any_text(hint: Any) -> bool:
    info = _plain(msgspec.inspect.type_info(hint))
    options = info.types if isinstance(info, msgspec.inspect.UnionType) else (info,)
    return any(_plain(option) in (msgspec.inspect.StrType(), msgspec.inspect.AnyType()) for option in options)


def _plain(info: msgspec.inspect.Type) -> msgspec.inspect.Type:
    """Without what only describes it."""
    while isinstance(info, msgspec.inspect.Metadata):
        info = info.type
    return info
