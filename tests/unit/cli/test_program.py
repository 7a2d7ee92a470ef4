"""The one door: how failures are said, and the exit code."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from framework.cli import main
from framework.cli.failure import Failure
from framework.cli.program import program

from .driver import Project


def every_command(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from every_command(inner, (*path, name))


COMMANDS = list(every_command(program))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_fits_80_columns_and_tells_of_every_parameter(project: Project, path: tuple[str, ...]) -> None:
    outcome = project.call(*path, "--help")
    assert outcome.code == 0
    assert [line for line in outcome.out.splitlines() if len(line) > 80] == []
    command: click.Command | None = program
    for name in path:
        assert isinstance(command, click.Group)
        command = command.get_command(click.Context(command), name)
    assert command is not None
    assert command.help
    assert [param.name for param in command.params if not getattr(param, "help", None)] == []


def test_the_exit_codes_are_in_the_help(project: Project) -> None:
    out = project.call("--help").out
    for code in ("0  ", "1  ", "2  ", "130  "):
        assert f"    {code}" in out


def test_nothing_asked_is_help_and_wrong_use(project: Project) -> None:
    outcome = project.call()
    assert outcome.code == 2
    assert outcome.err.startswith("Usage: framework ")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["routez"], "no such command 'routez'. Did you mean 'routes'? (see framework --help)"),
        (["run"], "missing argument 'APP' (see framework run --help)"),
        (
            ["routes", "x", "--jsn"],
            "no such option '--jsn'. (Did you mean one of: '--json', '--set'?) (see framework routes --help)",
        ),
    ],
)
def test_wrong_use_is_one_line(project: Project, arguments: list[str], problem: str) -> None:
    outcome = project.call(*arguments)
    assert outcome.code == 2
    assert outcome.err.splitlines() == [f"error: {problem}"]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """A command ``version`` that raises what is put into the list."""
    errors: list[BaseException] = []

    @click.command("version")
    def command() -> None:
        raise errors[0]

    monkeypatch.setattr("framework.cli.version.command", command)
    return errors


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (Failure("bad"), 2, "error: bad\n"),
        (Failure(["bad", "worse"], code=1, detail="trace"), 1, "trace\nerror: bad\nerror: worse\n"),
        (click.ClickException("Bad."), 1, "error: bad\n"),
        (click.FileError("name", "Gone"), 1, "error: could not open file 'name': Gone\n"),
        (KeyboardInterrupt(), 130, "\ninterrupted\n"),
        (click.Abort(), 130, "interrupted\n"),
        (click.exceptions.Exit(3), 3, ""),
    ],
)
def test_what_a_command_raises(
    project: Project, failing: list[BaseException], error: BaseException, code: int, text: str
) -> None:
    failing.append(error)
    outcome = project.call("version")
    assert (outcome.code, outcome.err) == (code, text)


def test_a_fault_of_ours_is_not_hidden(project: Project, failing: list[BaseException]) -> None:
    failing.append(LookupError("ours"))
    with pytest.raises(LookupError):
        project.call("version")


def test_the_entry_point_ends_the_process(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("framework ")


def test_it_can_be_called_without_ending_the_process() -> None:
    with pytest.raises(click.UsageError):
        program.main(["runn"], standalone_mode=False)
