"""``framework app``: the commands that an app and its plugins bring along."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from framework.app.record import all_apps
from framework.app.runtime import Runtime
from framework.cli.commands import make_command
from framework.cli.failure import Failure
from framework.cli.options import AppCommand, Target, app_options, target_of

__all__ = ["command"]


@click.command("app", cls=AppCommand, context_settings={"allow_interspersed_args": False})
@app_options
@click.argument(
    "words",
    nargs=-1,
    type=click.UNPROCESSED,
    metavar="[COMMAND]...",
    help="What to run, and its own arguments.",
)
@click.pass_context
def command(
    ctx: click.Context, app: str, config: Sequence[Path], set_: Sequence[str], words: Sequence[str]
) -> None:
    """Run a command of an app or of one of its plugins.

    A plugin's commands are in a group of its name, those of a mounted app in a group of its prefix. Without
    a COMMAND they are listed. The app is started for the command and ended after it, but not served. Options
    for the settings come before APP.
    """
    target = target_of(app, config, set_)
    root = _commands(target, target.build())
    if not root.commands:
        raise Failure(f"{target.name} has no commands; Setup.command and App.command add them")
    name = f"{ctx.command_path} {app}"
    code: object = root.main(list(words) or ["--help"], prog_name=name, standalone_mode=False)
    ctx.exit(code if isinstance(code, int) else 0)


def _commands(target: Target, runtime: Runtime) -> click.Group:
    root = click.Group(help=f"The commands of {target.name}.")
    seen: set[int] = set()
    for prefix, each in all_apps(target.app):
        if id(each) in seen:
            continue
        seen.add(id(each))
        for name, function in each.commands.items():
            *groups, last = [*([prefix] if prefix else []), *name.split()]
            place = root
            for group in groups:
                inner = place.commands.get(group)
                if not isinstance(inner, click.Group):
                    inner = click.Group(group)
                    place.add_command(inner)
                place = inner
            place.add_command(make_command(last, function, container=each.container, runtime=runtime))
    return root
