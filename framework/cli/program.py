"""The command line put together, and its one door: how every failure is said, and the exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import Any, NoReturn

import click
from click.exceptions import NoArgsIsHelpError, NoSuchCommand

import framework
from framework.cli.failure import INTERRUPTED, Failure, tell, tell_problem
from framework.cli.paper import say, warn

__all__ = ["main", "program"]

_NAME = "framework"
_COMPLETE_VARIABLE = "_FRAMEWORK_COMPLETE"
_COMMANDS = (
    "run",
    "routes",
    "check",
    "config",
    "openapi",
    "gateway",
    "app",
    "new",
    "chat",
    "version",
    "completion",
)


class _Program(click.Group):
    """A group that loads a command when it is asked for, and says failures our way: one line for each problem."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands, the most used first."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The ``command`` of the module of that name."""
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"framework.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """See ``click.Group``, which knows no commands that are not loaded yet and so none that are alike."""
        try:
            return super().resolve_command(ctx, args)
        except NoSuchCommand as error:
            raise NoSuchCommand(error.command_name, possibilities=_COMMANDS, ctx=ctx) from None

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Runs the program and ends the process with its exit code; see ``click.Command.main``."""
        run = partial(
            super().main,
            args,
            prog_name or _NAME,
            complete_var or _COMPLETE_VARIABLE,
            standalone_mode=False,
            windows_expand_args=windows_expand_args,
            **extra,
        )
        if not standalone_mode:
            return run()
        sys.exit(_through_the_door(run))


def _through_the_door(run: Callable[[], object]) -> int:
    """Says what went wrong, and returns the exit code."""
    try:
        code = run()
    except Failure as failure:
        tell(failure)
        return failure.code
    except NoArgsIsHelpError as error:
        warn(error.format_message())
        return error.exit_code
    except click.UsageError as error:
        hint = f" (see {error.ctx.command_path} --help)" if error.ctx is not None else ""
        tell_problem(f"{_lower(error.format_message())}{hint}")
        return error.exit_code
    except click.ClickException as error:
        tell_problem(_lower(error.format_message()))
        return error.exit_code
    except click.Abort:
        warn("interrupted")
        return INTERRUPTED
    return code if isinstance(code, int) else 0


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:].removesuffix(".")


def _print_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        say(f"framework {framework.__version__}")
        ctx.exit()


@click.group(_NAME, cls=_Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version.",
)
def program() -> None:
    """Serve an app, look into it, check it, begin a new one.

    \b
    Exit codes:
      0    done, nothing wrong
      1    problems were found, or what was served failed
      2    wrong use: a flag, an app path, a setting, an app that does not build
      130  interrupted
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs the command line; ends the process with its exit code.

    Args:
        arguments: what was typed after the program's name; ``sys.argv`` when None.
    """
    sys.exit(program.main(arguments))
