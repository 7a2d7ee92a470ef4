"""``framework config show``: every setting, its value and where that came from; or a template to fill in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from framework.app.record import AppRecord, all_apps
from framework.cli.options import AppCommand, app_options, target_of
from framework.cli.paper import say, table
from framework.cli.toml import template
from framework.net.settings import ServerSettings

__all__ = ["command"]


@click.group("config")
def command() -> None:
    """Look at the settings of an app."""


@command.command("show", cls=AppCommand)
@app_options
@click.option("--toml", is_flag=True, help="Print a commented TOML file with every key and its default.")
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects.")
def show(app: str, config: Sequence[Path], set_: Sequence[str], *, toml: bool, as_json: bool) -> None:
    """Show every setting of an app, its value and its origin.

    Secrets are shown as ***. The template of --toml tells of types and limits, and needs no setting to be
    right: redirect it to a file, and take the # away from what you change.
    """
    target = target_of(app, config, set_)
    if toml:
        say(template(_sections(target.app)))
        return
    rows = target.build().settings.show()
    if as_json:
        found = [{"key": row.key, "value": row.value, "origin": str(row.origin)} for row in rows]
        say(json.dumps(found, indent=2))
        return
    shown = [(row.key, json.dumps(row.value, ensure_ascii=False), str(row.origin)) for row in rows]
    for line in table(["KEY", "VALUE", "ORIGIN"], shown):
        say(line)


def _sections(app: AppRecord) -> dict[str, type[msgspec.Struct]]:
    """The types of all sections, without a build, which would want the settings to be right."""
    sections: dict[str, type[msgspec.Struct]] = {"server": ServerSettings}
    for _, each in all_apps(app):
        sections |= each.sections
        sections |= {plugin.name: plugin.config_type for plugin in each.plugins}
    return sections
