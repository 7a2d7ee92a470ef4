"""``python -m apps.users``, as a person runs it."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from apps.users.__main__ import example
from framework import ServerSettings
from tests.support.notes import ENVIRON

COMMAND = [sys.executable, "-m", "apps.users"]


@contextmanager
def started(folder: Path, *arguments: str) -> Iterator[tuple[str, str]]:
    """The app in a process of its own, in ``folder``; the URL and the example line it printed."""
    environ = {"FRAMEWORK_SERVER__PORT": "0", **ENVIRON}
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=folder,
        env=environ,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    with process:
        assert process.stderr is not None
        lines: list[str] = []
        try:
            for line in process.stderr:
                lines.append(line)
                if line.strip().startswith("curl "):
                    break
            assert lines
            assert lines[0].startswith("serving "), "".join(lines)
            yield lines[0].split()[1], lines[-1].strip()
        finally:
            process.send_signal(signal.SIGTERM)
            rest = process.stderr.read()
    assert process.returncode == 0, rest


def test_the_line_that_is_printed_makes_a_user(tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl on this machine")
    with started(tmp_path) as (url, curl):
        printed = subprocess.run(shlex.split(curl), capture_output=True, check=True, text=True).stdout
        assert printed.startswith("HTTP/1.1 201")
        with urlopen(f"{url}/users") as response:
            assert [user["email"] for user in json.load(response)["items"]] == ["ada@example.com"]
    assert [file.name for file in tmp_path.iterdir()] == ["users.sqlite3"]


def test_settings_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        '[users]\ndatabase = "mine.sqlite3"\npage_size = 1\n'
        "[users.argon2]\ntime_cost = 1\nmemory_kib = 8\nparallelism = 1\n"
    )
    with started(tmp_path, "mine.toml") as (url, _):
        for name in ("ada", "bob"):
            body = json.dumps({"email": f"{name}@example.com", "name": name, "password": "correct horse"})
            request = Request(f"{url}/users", body.encode(), {"content-type": "application/json"})
            with urlopen(request) as response:
                assert response.status == 201
        with urlopen(f"{url}/users") as response:
            assert len(json.load(response)["items"]) == 1
    assert (tmp_path / "mine.sqlite3").exists()


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        ({"FRAMEWORK_USERS__PAGE_SIZE": "200"}, "page_size 200 is above max_page_size 100"),
        ({"FRAMEWORK_USERS__DATABSE": "x"}, "FRAMEWORK_USERS__DATABASE"),
        ({"FRAMEWORK_USERS__DATABASE": "no/such/folder/x"}, "cannot open the database file"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_served(
    tmp_path: Path, environ: dict[str, str], problem: str
) -> None:
    done = subprocess.run(
        COMMAND,
        cwd=tmp_path,
        env={"FRAMEWORK_SERVER__PORT": "0", **ENVIRON, **environ},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert problem in done.stderr
    assert "Traceback" not in done.stderr
    assert "serving" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "url", "place"),
    [
        (ServerSettings(), "http://127.0.0.1:8000", "curl -i http://127.0.0.1:8000/users -H"),
        (
            ServerSettings(unix_socket="/run/u"),
            "unix:/run/u",
            "curl -i --unix-socket /run/u http://localhost/users -H",
        ),
    ],
)
def test_the_example_goes_where_the_server_listens(settings: ServerSettings, url: str, place: str) -> None:
    assert example(settings, url).startswith(place)
