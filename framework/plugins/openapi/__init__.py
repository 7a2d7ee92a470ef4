"""OpenAPI 3.1 from the handlers' types, and a docs page that works offline and under a strict policy."""

from framework.plugins.openapi.document import About, build_document
from framework.plugins.openapi.plugin import OpenAPI, OpenAPISettings

__all__ = ["About", "OpenAPI", "OpenAPISettings", "build_document"]
