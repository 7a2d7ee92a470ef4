"""``framework openapi``: the OpenAPI document of an app, without serving it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from framework.app.built import BuiltRoute
from framework.app.record import all_apps
from framework.app.runtime import Runtime
from framework.cli.failure import Failure
from framework.cli.options import AppCommand, Target, app_options, target_of
from framework.cli.paper import say, warn
from framework.errors import SetupError
from framework.plugins.openapi import OpenAPI

__all__ = ["command"]


@click.command("openapi", cls=AppCommand)
@app_options
@click.option("--compact", is_flag=True, help="Print one line, as it is served.")
def command(app: str, config: Sequence[Path], set_: Sequence[str], *, compact: bool) -> None:
    """Print the OpenAPI 3.1 document of an app.

    The title, version and the rest that routes do not tell come from the OpenAPI plugin, if the app has
    installed it.
    """
    target = target_of(app, config, set_)
    plugin, routes = _plugin(target, target.build())
    try:
        document = plugin.document(routes)
    except SetupError as error:
        raise Failure(error.problems) from error
    say((document if compact else msgspec.json.format(document)).decode())


def _plugin(target: Target, runtime: Runtime) -> tuple[OpenAPI, Sequence[BuiltRoute]]:
    """The plugin that describes the app, and the routes that it describes."""
    for _, each in all_apps(target.app):
        for plugin in each.plugins:
            if isinstance(plugin, OpenAPI):
                inside = {id(one) for _, one in all_apps(each)}
                return plugin, [route for route in runtime.routes if id(route.app) in inside]
    warn(f"{target.name} has not installed framework.plugins.openapi.OpenAPI: title and version are made up")
    return OpenAPI(target.name), runtime.routes
