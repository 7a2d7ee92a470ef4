"""``framework run --asgi`` as people run it: real processes, real sockets, real signals."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from textwrap import dedent
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.integration.test_cli import DEADLINE, FRAMEWORK, Served, call, process, serving
from tests.support.certificates import Authority

SITE = """
    from contextlib import asynccontextmanager
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse, PlainTextResponse
    from starlette.routing import Route
    from framework import App
    import os, sys

    @asynccontextmanager
    async def lifespan(app):
        print("site starts", file=sys.stderr, flush=True)
        yield {"pid": os.getpid()}
        print("site stops", file=sys.stderr, flush=True)

    async def hello(request):
        return PlainTextResponse("hello")

    async def tell(request):
        tls = request.scope["extensions"].get("tls") or {}
        scheme = request.scope["scheme"]
        return JSONResponse({"pid": request.state.pid, "scheme": scheme, "tls": tls.get("tls_version")})

    routes = [Route("/hello", hello), Route("/tell", tell)]
    app = Starlette(routes=routes, lifespan=lifespan)
    ours = App()
    number = 5

    def create_app():
        return Starlette(routes=routes, lifespan=lifespan)

    async def create_later():
        return app

    def create_nothing():
        return None

    def create_broken():
        raise LookupError("no settings")

    class Old:
        def __init__(self, scope): ...

    @asynccontextmanager
    async def failing(app):
        raise LookupError("no database")
        yield

    broken = Starlette(routes=routes, lifespan=failing)

    async def without(scope, receive, send):
        assert scope["type"] == "http"
        await PlainTextResponse("bare")(scope, receive, send)
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "site_.py").write_text(dedent(SITE))
    return tmp_path


@pytest.mark.parametrize("target", ["site_", "site_:app", "site_:create_app"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_application_is_served_until_it_is_told_to_stop(
    site: Path, target: str, number: signal.Signals
) -> None:
    with serving(site, "--asgi", target) as served:
        assert served.get("/hello") == "hello"
        assert served.stop(number) == 0
    text = "".join(served.lines)
    assert "starlette.applications.Starlette" in text
    assert text.index("site starts") < text.index("serving") < text.index("site stops")
    assert "Traceback" not in text


def test_settings_and_folder_apply(site: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "server.toml").write_text("[server]\nmax_target = 20\n[websocket]\nmax_message = 10\n")
    arguments = ("--asgi", "site_:app", "--app-dir", "..", "--config", "server.toml")
    with serving(elsewhere, *arguments) as served:
        assert served.get("/hello") == "hello"
        with pytest.raises(HTTPError) as refused:
            served.get("/hello?" + "x" * 20)
        assert refused.value.code == 414
        refused.value.close()
        served.stop()


def test_workers_each_run_the_lifespan(site: Path) -> None:
    with serving(site, "--asgi", "site_:create_app", "--workers", "2") as served:
        assert json.loads(served.get("/tell"))["scheme"] == "http"
        assert served.stop() == 0
    text = "".join(served.lines)
    assert text.count("site starts") == 2
    assert text.count("site stops") == 2


def test_tls_is_told_to_the_application(site: Path, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("127.0.0.1", "localhost")
    arguments = ("--tls-certificate", certificate, "--tls-key", key)
    command = [*FRAMEWORK, "run", "--asgi", "site_", *arguments, "--port", "0"]
    with process(*command, folder=site) as started:
        served = Served(started)
        url = served.wait_for("https://127.0.0.1:").split()[-1]
        with urlopen(f"{url}/tell", timeout=DEADLINE, context=authority.client()) as response:
            told = json.load(response)
        assert (told["scheme"], told["tls"]) == ("https", 0x0304)
        assert served.stop() == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--asgi", "nowhere"], "no module nowhere"),
        (["--asgi", "site_:nothing"], "no nothing in site_"),
        (["--asgi", "site_:number"], "site_:number is a int, neither an ASGI application nor a function"),
        (["--asgi", "site_:create_nothing"], "site_:create_nothing() returned None, not an ASGI application"),
        (["--asgi", "site_:create_later"], "site_:create_later is a coroutine function"),
        (["--asgi", "site_:Old"], "as ASGI 2 had it"),
        (["--asgi", "site_/app.py"], "is a path"),
        (["--asgi", "site_:ours"], "site_:ours is an App of this framework: serve it without --asgi"),
        (["site_:app"], "`framework run --asgi site_:app` serves it"),
        (["site_:create_app"], "`framework run --asgi site_:create_app` serves it"),
        (["--asgi", "site_:app", "--debug"], "--debug is for apps of this framework"),
        (["--asgi", "site_:app", "--set", "shop.name=x"], "shop"),
        (["--asgi", "site_:broken", "--port", "0"], "site_:broken failed to start: LookupError: no database"),
    ],
)
def test_what_cannot_be_served_is_said_in_one_line(site: Path, arguments: list[str], said: str) -> None:
    done = call(site, "run", *arguments)
    assert done.returncode == 2
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert said in errors[0]


def test_a_factory_that_fails_shows_the_users_traceback(site: Path) -> None:
    done = call(site, "run", "--asgi", "site_:create_broken")
    assert done.returncode == 2
    assert "LookupError: no settings" in done.stderr
    assert "site_:create_broken() failed" in done.stderr


def test_an_application_without_a_lifespan_is_served(site: Path) -> None:
    with serving(site, "--asgi", "site_:without") as served:
        assert served.get("/") == "bare"
        assert served.stop() == 0


def test_a_worker_whose_application_does_not_start_ends_the_supervisor(site: Path) -> None:
    done = call(site, "run", "--asgi", "site_:broken", "--workers", "2", "--port", "0")
    assert done.returncode == 2
    assert "no database" in done.stderr
