"""Route patterns as OpenAPI writes them: paths without converters, the converters as schemas, hosts as servers."""

from __future__ import annotations

import re
from typing import Any, Final

from framework.plugins.openapi.schemas import Json
from framework.routing.converters import NARROW, WIDE, Converter, takes_rest
from framework.routing.pattern import Host, Param, Pattern

__all__ = [
    "converter_schema",
    "is_built_in",
    "path_of",
    "refuses_text",
    "server_of",
    "shape_of",
    "takes_slashes",
]

_BUILT_IN: Final[dict[str, Json]] = {
    "int": {"type": "integer", "format": "int64", "minimum": 0, "maximum": 2**63 - 1},
    "float": {"type": "number", "minimum": 0},
    "uuid": {"type": "string", "format": "uuid"},
    "str": {"type": "string", "minLength": 1},
    "path": {"type": "string"},
    "escaped": {"type": "string"},
}
# Python's regular expressions have what those of JSON Schema (ECMA 262) do not: better no pattern than a wrong one.
_PYTHON_ONLY: Final = re.compile(r"\(\?[^:=!<]|\(\?<[^=!]|[*+?}]\+|\\[AZ]")


def path_of(pattern: Pattern) -> str:
    """``/users/{id:int}`` as ``/users/{id}``."""
    return "".join(f"/{{{one.name}}}" if isinstance(one, Param) else f"/{one}" for one in pattern.segments)


def shape_of(pattern: Pattern) -> str:
    """The path without the names of its parameters: OpenAPI holds paths of one shape to be the same path."""
    return "".join("/{}" if isinstance(one, Param) else f"/{one}" for one in pattern.segments)


def converter_schema(converter: Converter) -> Json:
    """What the text of a path parameter may be."""
    if is_built_in(converter):
        return dict(_BUILT_IN[converter.name])
    schema: Json = {"type": "string"}
    if not _PYTHON_ONLY.search(converter.regex):
        schema["pattern"] = f"^(?:{converter.regex})$"
    return schema


def takes_slashes(converter: Converter) -> bool:
    """Whether the parameter is all that remains of the path."""
    return takes_rest(converter)


def refuses_text(converter: Converter) -> bool:
    """Whether some text at its place leads nowhere: then the route answers 404 there."""
    return not (is_built_in(converter) and converter.name in WIDE)


def server_of(host: Host) -> Json:
    """A Server Object for the host of a route; what stands before a wildcard's suffix becomes a variable."""
    if host.is_wild or host.name is not None:
        name = host.name or "subdomain"
        return {"url": f"//{{{name}}}.{host.suffix}", "variables": {name: {"default": "www"}}}
    return {"url": f"//{host.suffix}"}


def is_built_in(converter: Any) -> bool:
    """Whether it is one of the house: then what it makes of a text looks like the text."""
    return converter is NARROW.get(converter.name) or converter is WIDE.get(converter.name)
