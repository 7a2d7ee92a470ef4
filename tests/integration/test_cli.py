"""The command line as people run it: real processes, real sockets, real signals."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

ROOT = Path(__file__).resolve().parents[2]
FRAMEWORK = [sys.executable, "-m", "framework"]
DEADLINE = 30.0
CLEAN = {
    name: value
    for name, value in os.environ.items()
    if name not in ("NO_COLOR", "FORCE_COLOR")
    and (not name.startswith("FRAMEWORK_") or name == "FRAMEWORK_PURE")
}
ENVIRON = CLEAN | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}

SHOP = """
    from framework import App

    app = App()


    @app.get("/hello")
    async def hello() -> str:
        return "hello"


    @app.get("/fail")
    async def fail() -> str:
        raise LookupError("gone")
"""


class Served:
    """A server in a process of its own, and what it has said so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self.url = ""

    def wait_for(self, text: str) -> str:
        """The next line with ``text`` in it; the test's deadline is the process's."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            if text in line:
                return line
        raise AssertionError(f"no {text!r} in:\n{''.join(self.lines)}")

    def get(self, path: str, **headers: str) -> str:
        with urlopen(Request(self.url + path, headers=headers), timeout=DEADLINE) as response:
            return str(response.read().decode())

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        assert self.process.stderr is not None
        self.lines += self.process.stderr.readlines()
        return self.process.wait()


@contextmanager
def process(
    *command: str, folder: Path, environ: Mapping[str, str] = ENVIRON
) -> Iterator[subprocess.Popen[str]]:
    """A process that is killed when it outlives the deadline or the block."""
    started = subprocess.Popen(
        command, cwd=folder, env=environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    watchdog = threading.Timer(DEADLINE, started.kill)
    watchdog.start()
    with started:
        try:
            yield started
        finally:
            watchdog.cancel()
            started.kill()


@contextmanager
def serving(folder: Path, *arguments: str, environ: Mapping[str, str] = ENVIRON) -> Iterator[Served]:
    """``framework run ARGUMENTS`` on a free port, once it says where."""
    command = [*FRAMEWORK, "run", *arguments, "--port", "0"]
    with process(*command, folder=folder, environ=environ) as started:
        served = Served(started)
        served.url = re.sub(r"\x1b\[\d*m", "", served.wait_for("http://127.0.0.1:")).split()[-1]
        yield served


def call(
    folder: Path, *arguments: str, environ: Mapping[str, str] = ENVIRON
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*FRAMEWORK, *arguments],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(dedent(SHOP))
    return tmp_path


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_app_is_served_until_it_is_told_to_stop(shop: Path, number: signal.Signals) -> None:
    with serving(shop, "shop") as served:
        assert served.get("/hello") == "hello"
        assert served.stop(number) == 0
    assert "Traceback" not in "".join(served.lines)


def test_the_banner_tells_what_runs_where(shop: Path) -> None:
    (shop / "shop.toml").write_text("[server]\nbacklog = 10\n")
    environ = ENVIRON | {"FRAMEWORK_SERVER__MAX_FIELDS": "50"}
    with serving(shop, "shop", "--config", "shop.toml", "--debug", environ=environ) as served:
        served.wait_for("debug")
        served.stop()
    text = "".join(served.lines)
    for expected in (
        "shop:app",
        f"serving   {served.url}\n",
        f"pid {served.process.pid}",
        "1 worker",
        "settings  shop.toml, 1 variable, 1 flag\n",
        "routes    2 ",
        "debug     on",
    ):
        assert expected in text, text
    assert "\x1b" not in text
    assert len(served.lines) < 10


def test_the_banner_is_coloured_where_that_is_forced(shop: Path) -> None:
    with serving(shop, "shop", environ=ENVIRON | {"FORCE_COLOR": "1"}) as served:
        assert served.get("/hello") == "hello"
        served.stop()
    assert "\x1b[" in served.lines[0]


def test_debug_shows_the_traceback_to_a_browser(shop: Path) -> None:
    for arguments, shown in ((["--debug"], True), ([], False)):
        with serving(shop, "shop", *arguments) as served:
            with pytest.raises(HTTPError) as caught:
                served.get("/fail", accept="text/html")
            with caught.value as error:
                assert ("LookupError" in error.read().decode()) is shown
            served.stop()


@pytest.mark.skipif(sys.platform == "win32", reason="several workers need a POSIX system")
def test_several_workers_serve_one_address(shop: Path) -> None:
    with serving(shop, "shop", "--workers", "2") as served:
        assert served.get("/hello") == "hello"
        assert served.stop() == 0
    assert any("2 workers" in line for line in served.lines)


def test_a_changed_file_is_served_and_named(shop: Path) -> None:
    pytest.importorskip("watchfiles")
    with serving(shop, "shop", "--reload") as served:
        served.wait_for("reload    on")
        assert served.get("/hello") == "hello"
        (shop / "shop.py").write_text(dedent(SHOP).replace('"hello"', '"changed"'))
        served.wait_for("changed: shop.py")
        served.wait_for("ready")
        assert served.get("/hello") == "changed"
        assert served.stop() == 0


def test_an_app_that_is_broken_from_the_first_is_waited_for(shop: Path) -> None:
    """It ended with exit code 2, and the developer had to type the command again after every mistake."""
    file = shop / "shop.py"
    whole = file.read_text()
    file.write_text(whole.replace("async def hello() -> str:", "async def hello( -> str:"))
    with process(*FRAMEWORK, "run", "shop", "--reload", "--port", "0", folder=shop) as started:
        served = Served(started)
        served.wait_for("waiting for a change")
        assert "SyntaxError" in "".join(served.lines)
        file.write_text(whole.replace("async def hello()", "async def hello(missing: dict)"))
        served.wait_for("changed: shop.py")
        served.wait_for("error: GET /hello:")
        served.wait_for("waiting for a change")
        file.write_text(whole)
        served.url = re.sub(r"\x1b\[\d*m", "", served.wait_for("http://127.0.0.1:")).split()[-1]
        assert served.get("/hello") == "hello"
        assert served.stop() == 0


def test_a_wait_for_a_change_ends_by_ctrl_c(shop: Path) -> None:
    (shop / "shop.py").write_text("import nothing_of_this_name\n")
    with process(*FRAMEWORK, "run", "shop", "--reload", folder=shop) as started:
        served = Served(started)
        served.wait_for("waiting for a change")
        assert served.stop(signal.SIGINT) == 130


def test_the_supervisor_logs_as_the_app_says(shop: Path) -> None:
    file = shop / "shop.py"
    file.write_text(
        "from framework.plugins.logs import Logging\n" + file.read_text() + "\napp.install(Logging())\n"
    )
    flags = ["--workers", "2", "--logging.format", "json"]
    with serving(shop, "shop", *flags) as served:
        assert served.stop() == 0
    lines = [json.loads(line) for line in served.lines if line.startswith("{")]
    assert {line["event"] for line in lines if line["logger"] == "framework.supervisor"} >= {"stopping"}


def test_the_users_app_is_served_by_the_name_of_its_package(tmp_path: Path) -> None:
    with serving(tmp_path, "apps.users") as served:
        assert json.loads(served.get("/users"))["items"] == []
        assert served.stop() == 0
    assert any("apps.users.app:create_app" in line for line in served.lines)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["shp"], "no module shp in {folder} or elsewhere on sys.path; did you mean shop?"),
        (["shop:ap"], "no ap in shop ({folder}/shop.py); did you mean app?"),
        (["shop", "--prt", "1"], "no such option '--prt'"),
        (["shop", "--port", "x"], "server.port: expected int (flag --server.port)"),
        (["shop", "--config", "none.toml"], "none.toml: no such file"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(shop: Path, arguments: list[str], problem: str) -> None:
    done = call(shop, "run", *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: " + problem.replace("{folder}", str(shop)))


def test_a_taken_port_is_named(shop: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = call(shop, "run", "shop", "--port", str(port))
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert f"127.0.0.1:{port}" in line
    assert "the port is taken" in line


def test_an_error_of_the_users_module_shows_where(shop: Path) -> None:
    (shop / "broken.py").write_text("import shop\n\nshop.missing\n")
    done = call(shop, "run", "broken")
    assert done.returncode == 2
    assert done.stderr.splitlines()[:2] == [
        "Traceback (most recent call last):",
        f'  File "{shop}/broken.py", line 3, in <module>',
    ]
    assert done.stderr.splitlines()[-1] == "error: importing broken failed"


def test_an_app_that_does_not_start_shows_the_users_frames(shop: Path) -> None:
    (shop / "broken.py").write_text(
        dedent("""
        from framework import App

        app = App()


        @app.lifespan
        async def database(app):
            raise OSError("no disk")
            yield
        """)
    )
    done = call(shop, "run", "broken", "--port", "0")
    assert done.returncode == 2
    assert "in database" in done.stderr
    assert "framework/cli" not in done.stderr
    assert done.stderr.splitlines()[-1] == "error: broken:app did not start"


def test_an_interrupt_before_it_serves_is_130(shop: Path) -> None:
    (shop / "slow.py").write_text("import signal\n\nprint('waiting', flush=True)\nsignal.pause()\n")
    with process(*FRAMEWORK, "run", "slow", folder=shop) as started:
        assert started.stdout is not None
        assert started.stderr is not None
        assert started.stdout.readline() == "waiting\n"
        started.send_signal(signal.SIGINT)
        assert started.stderr.read().split() == ["interrupted"]
        assert started.wait() == 130


def test_output_may_be_cut(shop: Path) -> None:
    with process(*FRAMEWORK, "config", "show", "shop", folder=shop) as started:
        assert started.stdout is not None
        assert started.stderr is not None
        started.stdout.close()
        assert started.stderr.read() == ""


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash on this machine")
def test_the_completion_script_is_a_script(tmp_path: Path) -> None:
    done = call(tmp_path, "completion", "bash")
    assert done.returncode == 0
    subprocess.run(["bash", "-n"], input=done.stdout, text=True, check=True)


def test_a_new_project_passes_its_tests_and_serves(tmp_path: Path) -> None:
    made = call(tmp_path, "new", "my-shop")
    assert made.returncode == 0, made.stderr
    folder = tmp_path / "my-shop"
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=folder,
        env=ENVIRON,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )
    assert tested.returncode == 0, tested.stdout
    assert "3 passed" in tested.stdout
    checked = call(folder, "check", "my_shop")
    assert checked.returncode == 0, checked.stderr
    with serving(folder, "my_shop") as served:
        assert json.loads(served.get("/hello/Ada")) == {"text": "Hello, Ada!"}
        assert served.stop() == 0


def test_a_new_project_is_as_clean_as_this_one(tmp_path: Path) -> None:
    call(tmp_path, "new", "my-shop")
    for arguments in (["check", "--no-cache"], ["format", "--check", "--no-cache"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *arguments, "--config", str(ROOT / "pyproject.toml"), "."],
            cwd=tmp_path / "my-shop",
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
