"""``framework app``: the commands that apps and plugins bring along."""

from __future__ import annotations

from .driver import Project

SHOP = """
    from msgspec import Struct

    from framework import App

    app = App()
    inner = App()
    app.mount("/inner", inner)
    app.mount("/again", inner)


    class Config(Struct, frozen=True):
        greeting: str = "Hello"


    class Plugin:
        name = "people"
        requires = frozenset()
        config_type = Config

        def setup(self, setup, config):
            def greet(name: str, *, times: int = 1) -> str:
                '''Greets somebody.'''
                return f"{config.greeting} {name} " * times

            setup.command("greet", greet)
            setup.command("fail", fail)


    def fail() -> None:
        raise LookupError("gone")


    app.install(Plugin())
    app.command("count", lambda: "3")
    inner.command("count", lambda: "4")
"""


def test_a_plugins_command_is_in_its_group(project: Project) -> None:
    project.write("shop.py", SHOP)
    outcome = project.call("app", "shop:app", "people", "greet", "Ada", "--times", "2")
    assert (outcome.code, outcome.out) == (0, "Hello Ada Hello Ada \n")


def test_settings_come_before_the_app(project: Project) -> None:
    project.write("shop.py", SHOP)
    outcome = project.call("app", "--people.greeting", "Salut", "shop:app", "people", "greet", "Ada")
    assert outcome.out == "Salut Ada \n"


def test_options_after_the_app_are_the_commands_own(project: Project) -> None:
    project.write("shop.py", SHOP)
    words = ["people", "greet", "--people.greeting", "x"]
    outcome = project.call("app", "-s", "people.greeting=Salut", "shop:app", *words)
    assert outcome.code == 2
    assert "'--people.greeting'" in outcome.errors[0]


def test_an_apps_own_command_and_a_mounted_ones(project: Project) -> None:
    project.write("shop.py", SHOP)
    assert project.call("app", "shop:app", "count").out == "3\n"
    assert project.call("app", "shop:app", "/inner", "count").out == "4\n"
    assert project.call("app", "shop:app", "/again", "count").code == 2


def test_without_a_command_they_are_listed(project: Project) -> None:
    project.write("shop.py", SHOP)
    for arguments in ((), ("--help",)):
        outcome = project.call("app", "shop:app", *arguments)
        assert outcome.code == 0
        for text in ("Usage: framework app shop:app", "people", "count", "/inner"):
            assert text in outcome.out
    assert "Greets somebody." in project.call("app", "shop:app", "people", "--help").out


def test_an_app_without_commands_says_so(project: Project) -> None:
    project.write("shop.py", "from framework import App\n\napp = App()\n")
    outcome = project.call("app", "shop")
    assert outcome.code == 2
    assert outcome.errors == ["shop:app has no commands; Setup.command and App.command add them"]


def test_a_command_that_fails(project: Project) -> None:
    project.write("shop.py", SHOP)
    outcome = project.call("app", "shop:app", "people", "fail")
    assert outcome.code == 1
    assert outcome.errors == ["fail failed"]
    assert "LookupError: gone" in outcome.err


def test_a_command_that_is_not_there(project: Project) -> None:
    project.write("shop.py", SHOP)
    outcome = project.call("app", "shop:app", "people", "gret")
    assert outcome.code == 2
    assert "gret" in outcome.errors[0]
    assert "greet" in outcome.errors[0]
