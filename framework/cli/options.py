"""What the commands that take an app have in common: the app, its settings, and how they are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from framework.app.application import App
from framework.app.record import all_apps
from framework.app.runtime import Runtime
from framework.cli.failure import Failure, user_traceback
from framework.cli.flags import SettingOption, read_flags
from framework.cli.locate import locate
from framework.errors import ConfigError, SetupError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = ["AppCommand", "Target", "app_options", "target_of"]

F = TypeVar("F", bound=Callable[..., Any])


_WITH_VALUE = ("-c", "--config", "-s", "--set")


class Target(NamedTuple):
    """The app that a command works on, and what it was told about its settings.

    Args:
        app: the app, not built.
        name: where it was found, ``module:name``.
        files: the TOML files of ``--config``; later ones are stronger.
        flags: texts by dotted key.
    """

    app: App
    name: str
    files: Sequence[Path]
    flags: dict[str, str]

    def build(self) -> Runtime:
        """The built app.

        Raises:
            Failure: with every problem found, or the traceback when the user's code raised.
        """
        try:
            return self.app.build(files=self.files, flags=self.flags)
        except SetupError as error:
            raise Failure(error.problems, mendable=not isinstance(error, ConfigError)) from error
        except Exception as error:
            detail = user_traceback(error)
            raise Failure(f"building {self.name} failed", detail=detail, mendable=True) from error


class AppCommand(click.Command):
    """A command that takes an app. ``--section.key value`` is short for ``--set section.key=value``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Spells the short form out, as far as the options of this command go."""
        plain: list[str] = []
        rest = iter(args)
        for arg in rest:
            name, equals, value = arg.partition("=")
            if arg == "--" or not (arg.startswith("-") or ctx.allow_interspersed_args):
                plain += [arg, *rest]
            elif name.startswith("--") and "." in name:
                text = value if equals else next(rest, None)
                if text is None:
                    raise click.UsageError(f"option {name} needs a value", ctx)
                plain += ["--set", f"{name[2:]}={text}"]
            else:
                plain.append(arg)
                if arg in _WITH_VALUE:
                    plain += [value for value in (next(rest, None),) if value is not None]
        return super().parse_args(ctx, plain)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options of the command, then those that are settings."""
        own: list[tuple[str, str]] = []
        settings: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if isinstance(param, SettingOption) and record is not None:
                settings.setdefault(param.key.partition(".")[0], []).append(record)
            elif isinstance(param, click.Option) and record is not None:
                own.append(record)
        with formatter.section("Options"):
            formatter.write_dl(own)
        for section, records in settings.items():
            with formatter.section(f"Settings of [{section}], with their defaults"):
                formatter.write_dl(records)


def _complete_app(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    import pkgutil

    from click.shell_completion import CompletionItem

    return [
        CompletionItem(found.name)
        for found in pkgutil.iter_modules([str(Path.cwd())])
        if found.name.startswith(incomplete)
    ]


def app_options(function: F) -> F:
    """Adds ``APP``, ``--config`` and ``--set`` to a command, whose function then gets app, config and set_."""
    for decorate in (
        click.option(
            "--set",
            "-s",
            "set_",
            multiple=True,
            metavar="KEY=VALUE",
            help="Set one setting, as section.key=value. Short: --section.key value",
        ),
        click.option(
            "--config",
            "-c",
            multiple=True,
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Read settings from this TOML file. May be given several times; later ones are stronger.",
        ),
        click.argument(
            "app", shell_complete=_complete_app, help="The app: module:app, module:factory or module."
        ),
    ):
        function = decorate(function)
    return function


def target_of(
    app: str, config: Sequence[Path], set_: Sequence[str], *, debug: bool = False, **settings: Any
) -> Target:
    """Finds the app and gathers its settings, from the values of ``app_options``.

    Args:
        app: what was typed for APP.
        config: the files.
        set_: the assignments.
        debug: turns development mode on in the app and in all that is mounted in it.
        settings: the values of the ``SettingOption``s of the running command.

    Raises:
        Failure: there is no such app.
        click.UsageError: an assignment that is none.
    """
    params = click.get_current_context().command.params
    options = [param for param in params if isinstance(param, SettingOption)]
    flags = read_flags(options, settings, set_)
    found = locate(app, Path.cwd())
    if debug:
        for _, each in all_apps(found.app):
            each.debug = True
    return Target(found.app, found.name, config, flags)
