"""From what was typed to the app, and what is said when there is none."""

from __future__ import annotations

import pytest

from framework.cli.failure import Failure
from framework.cli.locate import Located, locate

from .driver import Project

APP = """
    from framework import App

    app = App()
"""


def find(project: Project, text: str) -> Located:
    return locate(text, project.folder)


def refused(project: Project, text: str) -> str:
    with pytest.raises(Failure) as caught:
        find(project, text)
    assert caught.value.code == 2
    (problem,) = caught.value.problems
    return problem


@pytest.mark.parametrize("text", ["shop:app", "shop", "shop:box.app", "shop:make"])
def test_an_app_is_found(project: Project, text: str) -> None:
    project.write(
        "shop.py",
        """
        from framework import App

        app = App()


        class box:
            app = app


        def make() -> App:
            return app
        """,
    )
    found = find(project, text)
    assert found.app.debug is False
    assert found.name == {"shop": "shop:app"}.get(text, text)


def test_a_module_without_an_app_is_asked_for_its_factory(project: Project) -> None:
    project.write("shop.py", "from framework import App\n\ndef create_app() -> App:\n    return App()\n")
    assert find(project, "shop").name == "shop:create_app"


def test_a_package_is_looked_for_in_its_module_app(project: Project) -> None:
    project.write("shop/__init__.py", "")
    project.write("shop/app.py", APP)
    assert find(project, "shop").name == "shop.app:app"


def test_one_app_under_two_names_is_one_app(project: Project) -> None:
    project.write("shop.py", f"{APP}    application = app\n")
    assert find(project, "shop").name == "shop:app"


def test_of_several_apps_one_must_be_named(project: Project) -> None:
    project.write("shop.py", f"{APP}    admin = App()\n")
    assert refused(project, "shop") == "shop holds several apps; say which: shop:app, shop:admin"


def test_the_working_directory_is_looked_in_first(project: Project) -> None:
    project.write("tabnanny.py", APP)
    assert find(project, "tabnanny").name == "tabnanny:app"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("shp", "no module shp in {folder} or elsewhere on sys.path; did you mean shop?"),
        ("shop.web", "no module shop.web: shop is a module, not a package ({folder}/shop.py)"),
        ("store.wbe", "no module wbe in package store ({folder}/store); did you mean web?"),
        ("shop:ap", "no ap in shop ({folder}/shop.py); did you mean app?"),
        ("shop:app.inner", "no inner in shop.app"),
        ("shop:number", "shop:number is a int, neither an App nor a function that returns one"),
        ("shop:nothing", "shop:nothing is None, neither an App nor a function that returns one"),
        ("shop:App", "shop:App is the class App, neither an App nor a function that returns one"),
        ("shop:with_need", "shop:with_need cannot be called without arguments (missing a required argument: 'x'), "
         "so it makes no app"),
        ("shop:wrong", "shop:wrong() returned a str, not an App"),
        ("shop:later", "shop:later is a coroutine function; an app is made by a plain one"),
        ("store.web", "no app and no create_app() in store.web ({folder}/store/web.py); name one as store.web:NAME"),
        ("./shop.py:app", "./shop.py:app is a path; an app is named by its module: write shop:app"),
        ("store/web.py", "store/web.py is a path; an app is named by its module: write store.web"),
        ("shop.py", "shop.py is a path; an app is named by its module: write shop"),
        ("shop:", "'shop:' names no app; write module:app, such as shop.web:app"),
        (":app", "':app' names no app; write module:app, such as shop.web:app"),
        ("shop:1", "'shop:1' names no app; write module:app, such as shop.web:app"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_said_with_its_place(project: Project, text: str, problem: str) -> None:
    project.write(
        "shop.py",
        f"""{APP}
    number = 1
    nothing = None

    def with_need(x: int) -> App:
        return App()

    def wrong() -> str:
        return ""

    async def later() -> App:
        return App()
    """,
    )
    project.write("store/__init__.py", "")
    project.write("store/web.py", "")
    assert refused(project, text) == problem.replace("{folder}", str(project.folder))


def test_an_error_of_the_users_module_shows_the_users_frames_only(project: Project) -> None:
    file = project.write("shop.py", "def fail() -> None:\n    raise OSError('no disk')\n\n\nfail()\n")
    with pytest.raises(Failure) as caught:
        find(project, "shop:app")
    assert caught.value.problems == ("importing shop failed",)
    lines = caught.value.detail.splitlines()
    assert [line for line in lines if line.startswith("  File")] == [
        f'  File "{file}", line 5, in <module>',
        f'  File "{file}", line 2, in fail',
    ]
    assert lines[-1] == "OSError: no disk"


def test_a_missing_import_of_the_users_module_is_the_users_error(project: Project) -> None:
    project.write("shop.py", "import not_installed_here\n")
    with pytest.raises(Failure) as caught:
        find(project, "shop:app")
    assert caught.value.problems == ("importing shop failed",)
    assert "import not_installed_here" in caught.value.detail


def test_a_syntax_error_shows_its_line(project: Project) -> None:
    project.write("shop.py", "app = (\n")
    with pytest.raises(Failure) as caught:
        find(project, "shop:app")
    assert "SyntaxError" in caught.value.detail
    assert "importlib" not in caught.value.detail


def test_a_setup_error_is_one_line_with_its_place(project: Project) -> None:
    file = project.write("shop.py", "from framework import App\n\napp = App()\napp.route('/x', 'GET')\n")
    assert refused(project, "shop") == (
        f"importing shop: /x: methods is a list of names, not one text ({file}:4)"
    )


def test_a_module_that_ends_the_program_is_told_how_not_to(project: Project) -> None:
    project.write("shop.py", "raise SystemExit(3)\n")
    assert refused(project, "shop") == (
        'importing shop ended the program; keep what runs the program below `if __name__ == "__main__":`'
    )


def test_a_factory_that_fails_is_the_users_error(project: Project) -> None:
    project.write("shop.py", "def make() -> object:\n    return 1 / 0\n")
    with pytest.raises(Failure) as caught:
        find(project, "shop:make")
    assert caught.value.problems == ("shop:make() failed",)
    assert "ZeroDivisionError" in caught.value.detail
