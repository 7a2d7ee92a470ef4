"""Builds an app with the plugin and hands out its document, checked against the OpenAPI 3.1 meta schema."""

from __future__ import annotations

import json
from typing import Any

from openapi_spec_validator import OpenAPIV31SpecValidator

from framework import App
from framework.plugins.openapi import OpenAPI

__all__ = ["describe", "operation"]


def describe(app: App, **about: Any) -> dict[str, Any]:
    """The document of ``app``; ``about`` are arguments of the plugin."""
    plugin = OpenAPI(**about)
    app.install(plugin)
    document: dict[str, Any] = json.loads(plugin.document(app.build(environ={}).routes))
    OpenAPIV31SpecValidator(document).validate()
    return document


def operation(app: App, **about: Any) -> dict[str, Any]:
    """The only operation of ``app``."""
    (item,) = describe(app, **about)["paths"].values()
    (found,) = item.values()
    only: dict[str, Any] = found
    return only
