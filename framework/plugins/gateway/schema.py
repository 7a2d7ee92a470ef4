"""The JSON Schema of a gateway's file."""

from __future__ import annotations

from typing import Any

import msgspec

from framework.app.secret import Secret
from framework.plugins.gateway.config import GatewayConfig

__all__ = ["file_schema"]


def file_schema() -> dict[str, Any]:
    """Of a file with the section ``[gateway]``; what the other sections are is left open."""
    (schema,), components = msgspec.json.schema_components(
        [GatewayConfig], schema_hook=_hook, ref_template="#/$defs/{name}"
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Gateway",
        "type": "object",
        "properties": {"gateway": schema},
        "$defs": components,
    }


def _hook(kind: type[Any]) -> dict[str, Any]:
    if kind is Secret:
        return {"type": "string", "writeOnly": True}
    raise NotImplementedError(f"{kind.__name__} has no schema")
