"""``framework check``."""

from __future__ import annotations

import pytest

from .driver import Project

GOOD = """
    from framework import App, Scope

    app = App()


    class Clock:
        pass


    app.provide(Clock, scope=Scope.APP)


    @app.get("/time")
    async def time(clock: Clock) -> str:
        return "now"


    def healthy(clock: Clock) -> None:
        assert isinstance(clock, Clock)


    async def reachable() -> None:
        pass


    app.check("clock", healthy)
    app.check("network", reachable)
"""


def parts(out: str) -> dict[str, str]:
    """The lines of a report by their first word."""
    return {line[:12].strip(): line[14:] for line in out.splitlines()}


def test_an_app_without_fault(project: Project) -> None:
    project.write("shop.py", GOOD)
    outcome = project.call("check", "shop", "--server.port", "81")
    assert outcome.code == 0
    assert outcome.err == ""
    assert outcome.out.splitlines()[-1] == "nothing wrong was found"
    found = parts(outcome.out)
    assert found["versions"].startswith("framework ")
    assert found["settings"].endswith(" values, 1 of them not the default")
    assert "server.port  from flag --server.port" in outcome.out
    assert found["routes"] == "1; none claimed twice, none out of reach"
    assert found["handlers"] == "1 run on the event loop; no call known to block, as far as one sees"
    assert "clock: good (" in outcome.out
    assert "network: good (" in outcome.out


def test_every_handler_that_seems_to_block_is_a_problem(project: Project) -> None:
    file = project.write(
        "shop.py",
        """
        import time

        from framework import App

        app = App()


        @app.get("/slow")
        @app.get("/slower")
        async def slow() -> str:
            time.sleep(1)
            return ""


        @app.get("/plain")
        def plain() -> str:
            return open("file").read()


        @app.get("/thread", threaded=True)
        def thread() -> str:
            return open("file").read()
        """,
    )
    outcome = project.call("check", "shop")
    assert outcome.code == 1
    assert outcome.errors == [
        f"shop.slow seems to block the event loop: it calls time.sleep ({file}:11); use asyncio.sleep",
        f"shop.plain seems to block the event loop: it calls open ({file}:17); use threaded=True",
    ]
    assert parts(outcome.out)["handlers"] == "2 run on the event loop; 2 calls that seem to block"
    assert "nothing wrong" not in outcome.out
    assert project.call("check", "shop", "--skip", "blocking").code == 0


BAD_GRAPH = """
    from framework import App

    app = App()


    class Missing:
        pass


    class Service:
        def __init__(self, missing: Missing) -> None:
            pass


    app.provide(Service)


    @app.get("/x")
    async def one(service: Service) -> str:
        return ""


    @app.get("/y/{name}")
    async def two() -> str:
        return ""


    @app.get("/y/{name}")
    async def three() -> str:
        return ""
"""


def test_what_does_not_build_is_told_with_all_its_problems(project: Project) -> None:
    project.write("shop.py", BAD_GRAPH)
    outcome = project.call("check", "shop")
    assert outcome.code == 1
    assert parts(outcome.out)["app"] == "does not build"
    assert any("no provider for Missing" in problem for problem in outcome.errors)


def test_a_plugin_that_raises_is_a_problem_with_its_traceback(project: Project) -> None:
    project.write(
        "shop.py", "from framework import App\n\ndef create_app() -> App:\n    app = App()\n" + BROKEN
    )
    outcome = project.call("check", "shop")
    assert outcome.code == 1
    assert outcome.errors == ["building shop:create_app failed"]
    assert "LookupError" in outcome.err


BROKEN = """
    class Plugin:
        name = "broken"
        requires = frozenset()
        config_type = __import__("framework.app.plugin").app.plugin.NoConfig

        def setup(self, setup, config):
            raise LookupError

    app.install(Plugin())
    return app
"""


def test_blocking_calls_are_told_beside_what_does_not_build(project: Project) -> None:
    project.write("shop.py", BAD_GRAPH.replace('return ""', 'return open("file").read()', 1))
    outcome = project.call("check", "shop")
    assert len(outcome.errors) >= 2
    assert "shop.one seems to block the event loop" in outcome.errors[-1]


def test_wrong_settings_are_told_and_what_was_not_looked_at(project: Project) -> None:
    project.write("shop.py", GOOD)
    outcome = project.call("check", "shop", "--server.port", "x", "--server.prt", "1")
    assert outcome.code == 1
    assert len(outcome.errors) == 2
    assert parts(outcome.out)["settings"] == "wrong; routes and dependencies were not looked at"


BROKEN_CHECK = """

    def broken() -> None:
        raise OSError("no disk")


    app.check("disk", broken)
"""


def test_a_check_that_fails_is_a_problem(project: Project) -> None:
    project.write("shop.py", GOOD + BROKEN_CHECK)
    outcome = project.call("check", "shop")
    assert outcome.code == 1
    assert outcome.errors == ["check disk: OSError: no disk"]
    assert "disk: bad" in outcome.out
    assert project.call("check", "shop", "--skip", "plugins").code == 0


@pytest.mark.parametrize(
    ("failure", "problem"),
    [
        ('OSError("no database")', "the app did not start: no database"),
        ('SetupError("no database file")', "no database file"),
    ],
)
def test_an_app_that_does_not_start_is_a_problem(project: Project, failure: str, problem: str) -> None:
    project.write(
        "shop.py",
        f"""
        from framework import App
        from framework.errors import SetupError

        app = App()


        @app.lifespan
        async def database(app):
            raise {failure}
            yield


        app.check("nothing", lambda: None)
        """,
    )
    outcome = project.call("check", "shop")
    assert outcome.code == 1
    assert outcome.errors == [problem]


def test_an_app_that_starts_too_slowly_is_a_problem(project: Project) -> None:
    project.write(
        "shop.py",
        """
        import asyncio

        from framework import App

        app = App()


        @app.lifespan
        async def forever(app):
            await asyncio.Event().wait()
            yield


        app.check("nothing", lambda: None)
        """,
    )
    outcome = project.call("check", "shop", "--timeout", "0.01")
    assert outcome.errors == ["the app did not start: the start took longer than 0.01 s"]


def test_an_app_without_checks_is_not_started(project: Project) -> None:
    project.write(
        "shop.py",
        """
        from framework import App

        app = App()


        @app.lifespan
        async def database(app):
            raise OSError
            yield
        """,
    )
    outcome = project.call("check", "shop")
    assert outcome.code == 0
    assert parts(outcome.out)["checks"] == "the app and its plugins have none"


def test_checks_of_mounted_apps_are_told_by_their_prefix(project: Project) -> None:
    project.write(
        "shop.py",
        """
        from framework import App

        app = App()
        inner = App()
        app.mount("/inner", inner)
        app.mount("/again", inner)
        inner.check("disk", lambda: None)
        """,
    )
    outcome = project.call("check", "shop:app")
    assert outcome.out.count("disk: good") == 1
    assert "/inner:disk: good" in outcome.out


def test_a_timeout_of_nothing_is_refused(project: Project) -> None:
    assert project.call("check", "shop", "--timeout", "0").code == 2
