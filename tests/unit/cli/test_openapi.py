"""``framework openapi``."""

from __future__ import annotations

import json

from .driver import Project

SHOP = """
    from framework import App
    from framework.plugins.openapi import OpenAPI

    app = App()
    inner = App()
    app.mount("/inner", inner)


    @app.get("/hello")
    async def hello() -> str:
        return "hello"


    @inner.get("/there")
    async def there() -> str:
        return "there"
"""


def test_the_plugin_tells_the_title(project: Project) -> None:
    project.write("shop.py", SHOP + '\n    app.install(OpenAPI("Shop", "1.2"))\n')
    outcome = project.call("openapi", "shop:app")
    document = json.loads(outcome.out)
    assert document["info"] == {"title": "Shop", "version": "1.2"}
    assert set(document["paths"]) == {"/hello", "/inner/there"}
    assert outcome.err == ""
    assert outcome.out.startswith('{\n  "openapi"')


def test_a_mounted_apps_plugin_describes_only_that(project: Project) -> None:
    project.write("shop.py", SHOP + '\n    inner.install(OpenAPI("Inner", "1.2"))\n')
    document = json.loads(project.call("openapi", "shop:app", "--compact").out)
    assert set(document["paths"]) == {"/inner/there"}


def test_without_the_plugin_it_says_what_is_made_up(project: Project) -> None:
    project.write("shop.py", SHOP)
    outcome = project.call("openapi", "shop:app", "--compact")
    assert outcome.out.count("\n") == 1
    assert json.loads(outcome.out)["info"]["title"] == "shop:app"
    assert "shop:app has not installed framework.plugins.openapi.OpenAPI" in outcome.err


def test_what_cannot_be_described_is_wrong_use(project: Project) -> None:
    project.write(
        "shop.py",
        """
        from framework import App

        app = App()


        @app.get("/hello", security=["unknown"])
        async def hello() -> str:
            return "hello"
        """,
    )
    outcome = project.call("openapi", "shop")
    assert outcome.code == 2
    assert "unknown" in outcome.errors[0]
