"""``framework config show``."""

from __future__ import annotations

import json
import tomllib

from .driver import Project

SHOP = """
    from typing import Annotated

    from msgspec import Meta, Struct

    from framework import App
    from framework.app.plugin import NoConfig
    from framework.app.secret import Secret

    app = App()


    class Settings(Struct, frozen=True):
        token: Secret
        size: Annotated[int, Meta(ge=1, description="of a page")] = 20


    class Plugin:
        name = "extra"
        requires = frozenset()
        config_type = NoConfig

        def setup(self, setup, config):
            pass


    app.settings("shop", Settings)
    app.install(Plugin())
"""


def test_values_have_their_origin_and_secrets_are_hidden(project: Project) -> None:
    project.write("shop.py", SHOP)
    project.write("shop.toml", "[shop]\nsize = 5\n")
    environ: dict[str, str | None] = {"FRAMEWORK_SHOP__TOKEN": "hush"}
    outcome = project.call("config", "show", "shop", "-c", "shop.toml", environ=environ)
    lines = [line.split(maxsplit=2) for line in outcome.out.splitlines()]
    assert lines[0] == ["KEY", "VALUE", "ORIGIN"]
    assert ["shop.token", '"***"', "environment variable FRAMEWORK_SHOP__TOKEN"] in lines
    assert ["shop.size", "5", "shop.toml:2"] in lines
    assert ["server.port", "8000", "default"] in lines
    assert "hush" not in outcome.out


def test_as_json(project: Project) -> None:
    project.write("shop.py", SHOP)
    rows = json.loads(project.call("config", "show", "shop", "--json", "--shop.token", "x").out)
    assert {"key": "shop.size", "value": 20, "origin": "default"} in rows


def test_a_missing_setting_is_wrong_use(project: Project) -> None:
    project.write("shop.py", SHOP)
    outcome = project.call("config", "show", "shop")
    assert outcome.code == 2
    (problem,) = outcome.errors
    assert problem.startswith("missing shop.token: ")
    assert "--shop.token on the command line" in problem


def test_the_template_needs_no_setting_to_be_right(project: Project) -> None:
    project.write("shop.py", SHOP)
    outcome = project.call("config", "show", "shop", "--toml")
    assert outcome.code == 0
    assert tomllib.loads(outcome.out) == {"server": {}, "shop": {}, "extra": {}}
    assert "# of a page (integer, at least 1)\n# size = 20\n" in outcome.out
