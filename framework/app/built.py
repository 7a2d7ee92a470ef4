"""A route as it came out of the build, for what describes an app: its document, its listing."""

from __future__ import annotations

from typing import Any

import msgspec

from framework.app.binding.parameters import Parameter
from framework.app.record import AppRecord
from framework.app.routes import RouteRecord
from framework.middleware.chain import Layer
from framework.routing.pattern import Host, Pattern

__all__ = ["BuiltRoute"]


class BuiltRoute(msgspec.Struct, frozen=True):
    """One route.

    Args:
        app: whose it is; a mounted app's routes are its own.
        prefix: where that app is mounted; ``pattern`` starts with it.
        record: the route as it was declared: handler, options, owner.
        pattern: the whole path.
        host: the hosts it serves; None for all.
        parameters: how the handler is called.
        returns: the handler's return annotation; ``inspect.Parameter.empty`` without one.
        layers: those around the handler, outermost first.
    """

    app: AppRecord
    prefix: str
    record: RouteRecord
    pattern: Pattern
    host: Host | None
    parameters: tuple[Parameter, ...]
    returns: Any
    layers: tuple[Layer, ...]
