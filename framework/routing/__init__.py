"""Routing: patterns, converters, and the router they compile to. Knows no HTTP class."""

from framework.routing.builder import RouterBuilder
from framework.routing.conflicts import Route
from framework.routing.converters import Converter
from framework.routing.pattern import Host, Param, Pattern, join, parse
from framework.routing.reverse import reverse
from framework.routing.router import Router

__all__ = [
    "Converter",
    "Host",
    "Param",
    "Pattern",
    "Route",
    "Router",
    "RouterBuilder",
    "join",
    "parse",
    "reverse",
]
