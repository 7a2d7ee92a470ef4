"""What the commands that take an app have in common."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from framework.cli.options import AppCommand, Target, app_options, target_of

from .driver import Project

SHOP = """
    from msgspec import Struct

    from framework import App

    app = App()
    inner = App()
    app.mount("/inner", inner)
    apps = [app, inner]
    del inner


    class Settings(Struct, frozen=True):
        name: str = "tea"


    app.settings("shop", Settings)
"""


def targets(project: Project, *arguments: str, debug: bool = False) -> Target:
    """The target of a command that has the common options."""
    found: list[Target] = []

    @click.command("x", cls=AppCommand)
    @app_options
    def command(app: str, config: tuple[Path, ...], set_: tuple[str, ...]) -> None:
        found.append(target_of(app, config, set_, debug=debug))

    command.main(list(arguments), standalone_mode=False)
    return found[0]


@pytest.mark.parametrize(
    "arguments",
    [
        ["shop", "--set", "shop.name=coffee"],
        ["shop", "-s", "shop.name=coffee"],
        ["shop", "--shop.name", "coffee"],
        ["--shop.name=coffee", "shop"],
        ["--shop.name", "coffee", "--", "shop"],
    ],
)
def test_a_setting_is_set_in_any_of_its_spellings(project: Project, arguments: list[str]) -> None:
    project.write("shop.py", SHOP)
    target = targets(project, *arguments)
    assert target.flags == {"shop.name": "coffee"}
    assert target.name == "shop:app"
    assert str(target.build().settings.origin("shop.name")) == "flag --shop.name"


def test_a_short_form_without_a_value_is_refused(project: Project) -> None:
    project.write("shop.py", SHOP)
    with pytest.raises(click.UsageError, match=r"option --shop\.name needs a value"):
        targets(project, "shop", "--shop.name")


def test_after_two_dashes_nothing_is_a_setting(project: Project) -> None:
    with pytest.raises(click.UsageError, match="unexpected extra argument"):
        targets(project, "shop", "--", "--shop.name=x")


def test_later_files_are_stronger(project: Project) -> None:
    project.write("shop.py", SHOP)
    project.write("a.toml", '[shop]\nname = "a"\n')
    project.write("b.toml", '[shop]\nname = "b"\n')
    settings = targets(project, "shop", "-c", "a.toml", "--config", "b.toml").build().settings
    assert str(settings.origin("shop.name")) == "b.toml:2"


def test_debug_goes_to_the_mounted_apps_too(project: Project) -> None:
    project.write("shop.py", SHOP)
    target = targets(project, "shop", debug=True)
    assert target.app.debug
    assert target.app.mounts[0][1].debug


def test_a_broken_setting_and_an_unknown_one_are_told_together(project: Project) -> None:
    project.write("shop.py", SHOP)
    outcome = project.call("routes", "shop", "--shop.nme", "x", "-s", "server.port=-1")
    assert outcome.code == 2
    assert outcome.errors == [
        "unknown flag --shop.nme; did you mean --shop.name?",
        "server.port: expected int >= 0 (flag --server.port)",
    ]


def test_an_app_that_raises_while_it_is_built_shows_the_users_traceback(project: Project) -> None:
    project.write(
        "shop.py",
        """
        from framework import App
        from framework.app.plugin import NoConfig


        class Plugin:
            name = "broken"
            requires = frozenset()
            config_type = NoConfig

            def setup(self, setup, config):
                raise LookupError("no such thing")


        app = App()
        app.install(Plugin())
        """,
    )
    outcome = project.call("routes", "shop")
    assert outcome.code == 2
    assert outcome.errors == ["building shop:app failed"]
    frames = [line for line in outcome.err.splitlines() if line.startswith("  File ")]
    assert len(frames) == 1
    assert "in setup" in frames[0]
    assert "LookupError: no such thing" in outcome.err


def test_modules_of_the_working_directory_complete_an_app(project: Project) -> None:
    project.write("shop.py", "")
    project.write("other.py", "")
    outcome = project.call(
        environ={"_FRAMEWORK_COMPLETE": "bash_complete", "COMP_WORDS": "framework run sh", "COMP_CWORD": "2"}
    )
    assert outcome.out == "plain,shop\n"
