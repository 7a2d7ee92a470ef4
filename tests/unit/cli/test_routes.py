"""``framework routes``."""

from __future__ import annotations

import json

from framework.cli.routes import name_of

from .driver import Project

SHOP = """
    from framework import App, Handler, Hooks

    app = App()


    class Outer(Hooks):
        pass


    def inner(handler: Handler) -> Handler:
        return handler


    outer = Outer()
    app.use(inner)
    app.use(outer)
    api = app.host("{tenant}.example.com").group("/api")


    @app.get("/hello", skip=[outer], name="hello")
    async def hello() -> str:
        return "hello"


    @api.route("/things/{id:int}", ["PUT", "PATCH"])
    async def change(id: int, tenant: str) -> str:
        return tenant
"""


def test_each_route_has_its_chain(project: Project) -> None:
    project.write("shop.py", SHOP)
    outcome = project.call("routes", "shop")
    assert outcome.code == 0
    assert outcome.out.splitlines() == [
        "METHODS    PATTERN               HOST                  HANDLER      LAYERS",
        "GET        /hello                                      shop.hello   inner",
        "PUT,PATCH  /api/things/{id:int}  {tenant}.example.com  shop.change  inner > Outer",
    ]


def test_as_json(project: Project) -> None:
    project.write("shop.py", SHOP)
    first, second = json.loads(project.call("routes", "shop", "--json").out)
    assert first == {
        "methods": ["GET"],
        "pattern": "/hello",
        "host": None,
        "handler": "shop.hello",
        "layers": ["inner"],
        "name": "hello",
    }
    assert second["host"] == "{tenant}.example.com"


def test_an_app_without_routes_says_so(project: Project) -> None:
    project.write("shop.py", "from framework import App\n\napp = App()\n")
    assert project.call("routes", "shop").out == "shop:app has no routes\n"
    assert project.call("routes", "shop", "--json").out == "[]\n"


def test_an_object_that_is_called_goes_by_its_class() -> None:
    class Handler:
        def __call__(self) -> str:
            return ""

    assert name_of(Handler()).endswith(".<locals>.Handler")
    assert name_of(test_an_object_that_is_called_goes_by_its_class).endswith("by_its_class")


def test_routes_in_conflict_are_problems(project: Project) -> None:
    project.write(
        "shop.py",
        """
        from framework import App

        app = App()


        @app.get("/x")
        async def one() -> str:
            return ""


        @app.get("/x")
        async def two() -> str:
            return ""
        """,
    )
    outcome = project.call("routes", "shop")
    assert outcome.code == 2
    assert outcome.errors == ["GET '/x' claims the requests of GET '/x'"]
