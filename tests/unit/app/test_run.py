"""Running an app as a program: what it prints, how it ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from framework import App
from framework.app.run import serve
from framework.errors import SetupError

ROOT = Path(__file__).resolve().parents[3]
GOOD = """
from framework import App, run

app = App()

@app.get("/")
async def home() -> str:
    return "served"
"""


def program(tmp_path: Path, code: str) -> Path:
    file = tmp_path / "shop.py"
    file.write_text(code)
    return file


def ended(tmp_path: Path, code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Runs a program that ends by itself."""
    return subprocess.run(
        [sys.executable, str(program(tmp_path, code))],
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environ,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def started(tmp_path: Path, code: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(program(tmp_path, code))],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_url_is_printed_and_a_signal_ends_it_well(tmp_path: Path, number: signal.Signals) -> None:
    code = f"{GOOD}\nrun(app, overrides={{'server.port': 0}})"
    with started(tmp_path, code) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        found = re.fullmatch(r"serving (http://127\.0\.0\.1:\d+)  \(HTTP leaves: (compiled|pure)\)\n", line)
        assert found, line
        with urllib.request.urlopen(found[1], timeout=10) as answer:
            assert answer.read() == b"served"
        process.send_signal(number)
        assert process.wait(20) == 0
        assert process.stderr.read() == ""


def test_each_problem_is_one_line_and_the_exit_code_is_2(tmp_path: Path) -> None:
    code = f"""{GOOD}
class Unknown: ...

@app.get("/a")
async def one(thing: Unknown) -> None: ...

@app.get("/b")
async def two(*args: int) -> None: ...

run(app, environ={{}})
"""
    done = ended(tmp_path, code)
    assert (done.returncode, done.stdout) == (2, "")
    lines = done.stderr.splitlines()
    assert [line.partition(": ")[0] for line in lines] == ["error", "error"]
    assert lines[0].startswith("error: GET /a: one: parameter 'thing': nothing provides Unknown")
    assert lines[1].startswith("error: GET /b: two: no request can fill *args")


def test_wrong_settings_name_key_and_origin(tmp_path: Path) -> None:
    done = ended(tmp_path, f"{GOOD}\nrun(app)", FRAMEWORK_SERVER__PORT="many", FRAMEWORK_SERVER__HSOT="x")
    assert done.returncode == 2
    lines = sorted(done.stderr.splitlines())
    assert len(lines) == 2
    assert "FRAMEWORK_SERVER__HSOT; did you mean FRAMEWORK_SERVER__HOST" in done.stderr
    assert "server.port" in done.stderr
    assert "environment variable FRAMEWORK_SERVER__PORT" in done.stderr


def test_a_taken_port_says_so(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = ended(tmp_path, f"{GOOD}\nrun(app, environ={{}}, overrides={{'server.port': {port}}})")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: server.port: cannot listen on 127.0.0.1:{port}: the port is taken")


def test_a_part_that_cannot_start_is_a_problem_too(tmp_path: Path) -> None:
    code = f"""{GOOD}
from framework.errors import SetupError

@app.lifespan
async def life(app):
    raise SetupError("no disk:\\n  /data is not there")
    yield

run(app, environ={{}}, overrides={{'server.port': 0}})
"""
    done = ended(tmp_path, code)
    assert (done.returncode, done.stderr) == (2, "error: no disk: /data is not there\n")


def test_what_nobody_foresaw_keeps_its_traceback(tmp_path: Path) -> None:
    code = f"""{GOOD}
@app.lifespan
async def life(app):
    raise LookupError("surprise")
    yield

run(app, environ={{}}, overrides={{'server.port': 0}})
"""
    done = ended(tmp_path, code)
    assert done.returncode == 1
    assert "LookupError: surprise" in done.stderr
    assert "life" in done.stderr


def test_ctrl_c_during_the_start_is_no_traceback(tmp_path: Path) -> None:
    code = f"""{GOOD}
import asyncio, sys

@app.lifespan
async def life(app):
    sys.stderr.write("starting\\n")
    sys.stderr.flush()
    await asyncio.Event().wait()
    yield

run(app, environ={{}}, overrides={{'server.port': 0}})
"""
    with started(tmp_path, code) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "starting\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert process.stderr.read() == ""


@pytest.mark.anyio
async def test_a_start_that_fails_gives_its_addresses_back(tmp_path: Path) -> None:
    app = App()

    @app.lifespan
    async def fails(app: App) -> AsyncIterator[None]:
        raise LookupError("no disk")
        yield

    path = tmp_path / "app.sock"
    runtime = app.build(environ={}, overrides={"server.unix_socket": str(path)})
    with pytest.raises(LookupError, match="no disk"):
        await serve(runtime)
    assert not path.exists()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    runtime = app.build(environ={}, overrides={"server.port": port})
    for _ in range(2):
        with pytest.raises(LookupError, match="no disk"):
            await serve(runtime)


@pytest.mark.anyio
async def test_an_address_that_cannot_be_had_opens_nothing() -> None:
    opened: list[str] = []
    app = App()

    @app.lifespan
    async def life(app: App) -> AsyncIterator[None]:
        opened.append("life")
        yield

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        runtime = app.build(environ={}, overrides={"server.port": port})
        with pytest.raises(SetupError, match="the port is taken"):
            await serve(runtime)
    assert opened == []
