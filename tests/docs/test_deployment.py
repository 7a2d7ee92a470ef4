"""What the deployment page shows works: its settings load, its units verify, its nginx proxies, its CMD serves."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from framework import ServerSettings
from framework.app.settings import load
from tests.support.ports import free_port
from tests.support.served import Served, fetch, served

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(90)]

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "deployment.md").read_text()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def blocks(language: str) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert found
    return [str(block) for block in found]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with the page's app."""
    (tmp_path / "shop.py").write_text(blocks("python")[0])
    return tmp_path


@asynccontextmanager
async def started(*command: str, folder: Path, **more: Any) -> AsyncGenerator[Served]:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, stderr=asyncio.subprocess.PIPE, start_new_session=True, **more
    )
    program = Served(process)
    try:
        yield program
    finally:
        await program.close()


@pytest.mark.parametrize("text", blocks("toml"))
def test_the_settings_are_settings(text: str, tmp_path: Path) -> None:
    file = tmp_path / "shop.toml"
    file.write_text(text)
    assert load({"server": ServerSettings}, files=[file], environ={})


async def test_the_containers_command_serves_and_stops_as_docker_asks(shop: Path) -> None:
    found = re.search(r"^CMD (\[.*\])$", blocks("dockerfile")[0], re.MULTILINE)
    assert found is not None
    name, *arguments = json.loads(found[1])
    assert name == "framework"
    port = free_port()
    arguments[arguments.index("--port") + 1] = str(port)
    async with started(sys.executable, "-m", "framework", *arguments, folder=shop) as program:
        await program.says("serving +http://0.0.0.0")
        assert (await fetch(port))[0] == 200
        program.signal(signal.SIGTERM)
        assert await program.ended() == 0


async def test_the_socket_can_be_activated_as_the_page_says(shop: Path) -> None:
    if shutil.which("systemd-socket-activate") is None:
        pytest.skip("systemd is not installed here")
    found = re.search(r"^systemd-socket-activate -l 8000 framework (.*)$", PAGE, re.MULTILINE)
    assert found is not None
    port = free_port()
    # It starts its program at the first connection, in an environment of its own.
    command = ["systemd-socket-activate", "-E", "PATH", "-l", f"127.0.0.1:{port}"]
    async with started(
        *command, sys.executable, "-m", "framework", *found[1].split(), folder=shop
    ) as program:
        await program.says("Listening on ")
        status, body = await fetch(port)
        assert status == 200
        assert json.loads(body)["url"] == "http://localhost/"


def test_the_units_are_well_formed(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed here")
    units: list[str] = []
    for text in blocks("ini"):
        name = text.splitlines()[0].rpartition("/")[2]
        text = text.replace("/srv/shop/.venv/bin/framework", sys.executable).replace("/srv/shop", "/tmp")
        (tmp_path / name).write_text(text.replace("User=shop", "User=root"))
        units.append(str(tmp_path / name))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
        timeout=60,
    )
    ours = [line for line in done.stderr.splitlines() if "shop." in line]
    assert ours == []


NGINX = """
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr notice;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{block}
}}
"""


async def test_behind_nginx_the_client_is_seen_and_a_reload_loses_nothing(shop: Path) -> None:
    if shutil.which("nginx") is None:
        pytest.skip("nginx is not installed here")
    path, port = str(shop / "http.sock"), free_port()
    block = (
        blocks("nginx")[0]
        .replace("/run/shop/http.sock", path)
        .replace("listen 80;", f"listen 127.0.0.1:{port};")
    )
    (shop / "nginx.conf").write_text(
        NGINX.format(folder=shop, block=block, user="user root;" if os.geteuid() == 0 else "")
    )
    proxied = next(text for text in blocks("toml") if "trusted_proxies" in text)
    assert 'unix_socket = "/run/shop/http.sock"' in proxied
    settings = {"trusted_proxies": ["unix"], "keep_alive_timeout": 90.0}
    assert all(f"{name} = {json.dumps(value)}" in proxied for name, value in settings.items())
    async with (
        served("shop:app", shop, unix_socket=path, **settings) as server,
        started("nginx", "-p", str(shop), "-c", str(shop / "nginx.conf"), folder=shop) as nginx,
    ):
        await nginx.says("start worker process ")
        status, body = await fetch(port)
        assert status == 200
        assert json.loads(body) == {"client": "127.0.0.1", "url": "http://localhost/"}
        server.signal(signal.SIGHUP)
        statuses = {(await fetch(port))[0] for _ in range(50)}
        await server.says("serving: ")
        statuses |= {(await fetch(port))[0] for _ in range(50)}
        assert statuses == {200}
