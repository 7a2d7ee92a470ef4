"""``framework routes``: every route with what handles it and the chain of layers around that."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import click

from framework.app.built import BuiltRoute
from framework.cli.options import AppCommand, app_options, target_of
from framework.cli.paper import say, table

__all__ = ["command", "describe", "name_of"]


@click.command("routes", cls=AppCommand)
@app_options
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects.")
def command(app: str, config: Sequence[Path], set_: Sequence[str], *, as_json: bool) -> None:
    """List the routes of an app.

    Layers are named from the outermost to the handler. HEAD is served wherever GET is, OPTIONS everywhere.
    """
    target = target_of(app, config, set_)
    routes = target.build().routes
    if as_json:
        say(json.dumps([describe(route) for route in routes], indent=2))
    elif routes:
        header = ["METHODS", "PATTERN", "HOST", "HANDLER", "LAYERS"]
        for line in table(header, [_row(route) for route in routes]):
            say(line)
    else:
        say(f"{target.name} has no routes")


def _row(route: BuiltRoute) -> Sequence[str]:
    layers = " > ".join(layer.name for layer in route.layers)
    host = "" if route.host is None else route.host.text
    methods = ",".join(route.record.methods) if route.record.websocket is None else "WEBSOCKET"
    return methods, route.pattern.text, host, name_of(route.record.handler), layers


def describe(route: BuiltRoute) -> dict[str, object]:
    """A route as JSON has it: methods, pattern, host, handler, layers, name, and ``websocket`` for one of those."""
    described: dict[str, object] = {
        "methods": list(route.record.methods),
        "pattern": route.pattern.text,
        "host": None if route.host is None else route.host.text,
        "handler": name_of(route.record.handler),
        "layers": [layer.name for layer in route.layers],
        "name": route.record.options.get("name"),
    }
    if route.record.websocket is not None:
        described["websocket"] = handshake(route)
    return described


def handshake(route: BuiltRoute) -> dict[str, object]:
    """What a route of WebSockets says of its handshake and its limits, beside the section ``[websocket]``."""
    options = cast("dict[str, Any]", route.record.websocket or {})
    told = (str, int, float, tuple, type(None))
    return {name: value for name, value in options.items() if isinstance(value, told)}


def name_of(handler: Callable[..., Any]) -> str:
    """``module.function`` of a handler; an object that is called goes by its class."""
    named: Any = handler if hasattr(handler, "__qualname__") else type(handler)
    return f"{named.__module__}.{named.__qualname__}"
