"""Functions as commands: their parameters as arguments and options."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import click
import pytest
from click.testing import CliRunner
from msgspec import Meta, Struct

from framework import App, Scope
from framework.app.secret import Secret
from framework.cli.commands import make_command
from framework.cli.failure import Failure


class Store:
    def __init__(self) -> None:
        self.name = "store"


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Point(Struct):
    x: int
    y: int


class Ran:
    """What a command did."""

    def __init__(self) -> None:
        self.seen: Any = None
        self.code = 0
        self.out = ""


def run(function: Callable[..., Any], *arguments: str) -> Ran:
    """Runs the command of ``function``, which notes what it sees in ``Ran.seen`` by returning it as JSON."""
    app = App()
    app.provide(Store, scope=Scope.APP)
    ran = Ran()
    command = make_command("x", function, container=app.container, runtime=app.build(environ={}))
    result = CliRunner().invoke(command, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    ran.code, ran.out = result.exit_code, result.output
    return ran


def seen(function_of: Callable[[list[Any]], Callable[..., Any]], *arguments: str) -> list[Any]:
    found: list[Any] = []
    ran = run(function_of(found), *arguments)
    assert ran.code == 0, ran.out
    return found


def test_parameters_are_arguments_and_options() -> None:
    def make(found: list[Any]) -> Callable[..., Any]:
        def function(name: str, count: int, *, size: float = 1.5, loud: bool = False) -> None:
            found.extend((name, count, size, loud))

        return function

    assert seen(make, "ada", "3") == ["ada", 3, 1.5, False]
    assert seen(make, "--size", "2", "ada", "--loud", "3") == ["ada", 3, 2.0, True]


def test_texts_become_the_annotated_types() -> None:
    def make(found: list[Any]) -> Callable[..., Any]:
        def function(
            colour: Colour,
            mode: Literal["fast", "slow"],
            file: Path,
            point: Point,
            secret: Secret,
            untyped,  # type: ignore[no-untyped-def]
        ) -> None:
            found.extend((colour, mode, file, point, secret.reveal(), untyped))

        return function

    assert seen(make, "red", "slow", "/x", '{"x": 1, "y": 2}', "hush", "text") == [
        Colour.RED,
        "slow",
        Path("/x"),
        Point(1, 2),
        "hush",
        "text",
    ]


def test_a_list_takes_what_is_left_or_is_given_many_times() -> None:
    def make(found: list[Any]) -> Callable[..., Any]:
        def function(files: list[Path], /, tag: tuple[int, ...] = ()) -> None:
            found.extend((files, tag))

        return function

    assert seen(make, "a", "b", "--tag", "1", "--tag", "2") == [[Path("a"), Path("b")], (1, 2)]
    assert seen(make, "a") == [[Path("a")], ()]


def test_objects_are_injected_and_coroutines_awaited() -> None:
    def make(found: list[Any]) -> Callable[..., Any]:
        async def function(store: Store, name: str) -> None:
            found.extend((store.name, name))

        return function

    assert seen(make, "ada") == ["store", "ada"]


@pytest.mark.parametrize(
    ("result", "code", "out"),
    [(None, 0, ""), ("done", 0, "done\n"), (3, 3, ""), (True, 0, "true\n"), ({"a": 1}, 0, '{"a":1}\n')],
)
def test_what_it_returns_is_printed_or_the_exit_code(result: object, code: int, out: str) -> None:
    def function() -> object:
        return result

    ran = run(function)
    assert (ran.code, ran.out) == (code, out)


def test_help_tells_what_the_function_says() -> None:
    def function(
        name: Annotated[str, Meta(description="of the user", min_length=1)],
        *,
        must: int,
        size: Annotated[int, Meta(ge=1, description="of a page")] = 3,
    ) -> None:
        """Makes a user.

        And more.
        """

    out = run(function, "--help").out
    for text in (
        "Makes a user.",
        "of the user (length at least 1)",
        "of a page (at least 1) [3]",
        "[required]",
    ):
        assert text in out


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["x"], "count: Expected int, got str"),
        (["0"], "count: Expected int >= 1"),
        ([], "Missing argument 'COUNT'"),
        (["1", "--point", "{"], "point: "),
    ],
)
def test_what_does_not_fit_is_wrong_use(arguments: list[str], problem: str) -> None:
    def function(count: Annotated[int, Meta(ge=1)], point: Point | None = None) -> None: ...

    ran = run(function, *arguments)
    assert ran.code == 2
    assert problem in ran.out


def test_what_it_raises_fails_the_command_with_the_users_traceback() -> None:
    def function() -> None:
        raise LookupError("gone")

    app = App()
    command = make_command("x", function, container=app.container, runtime=app.build(environ={}))
    with pytest.raises(Failure) as caught:
        command.main([], standalone_mode=False)
    assert caught.value.code == 1
    assert caught.value.problems == ("x failed",)
    assert caught.value.detail.count("  File ") == 1
    assert caught.value.detail.endswith("LookupError: gone")


def test_it_may_speak_clicks_language() -> None:
    def function() -> None:
        raise click.UsageError("not so")

    ran = run(function)
    assert ran.code == 2
    assert "not so" in ran.out


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("def function(*names: str): ...", "command x: *names: 'str' cannot be given on a command line"),
        ("def function(**names: str): ...", "command x: **names: 'str' cannot be given on a command line"),
        ("def function(name: Unknown): ...", "command x: its signature cannot be read"),
    ],
)
def test_a_signature_that_cannot_be_a_commands_is_refused(source: str, problem: str) -> None:
    space: dict[str, Any] = {}
    exec(source, space)
    with pytest.raises(Failure) as caught:
        run(space["function"])
    assert problem.replace("'str'", "str") in str(caught.value)
