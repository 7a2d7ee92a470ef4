"""Real servers behind a gateway: users apps and nginx as processes of their own, and the gateway itself."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from framework.net.client import HTTPClient
from tests.support.ports import free_port
from tests.support.served import ROOT, Served

__all__ = ["Instance", "gateway_process", "get", "needs_nginx", "nginx", "toml_of", "users_app"]

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
needs_nginx = pytest.mark.skipif(
    NGINX is None and os.environ.get("CI") != "true", reason="no nginx here (apt-get install nginx)"
)


class Instance:
    """A server that can be killed, frozen and started again on its port."""

    def __init__(self, port: int, command: list[str], environment: dict[str, str] | None = None) -> None:
        self.port = port
        self._command = command
        self._environment = environment or {}
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Returns once it listens."""
        self.process = await asyncio.create_subprocess_exec(
            *self._command,
            cwd=ROOT,
            env={**os.environ, **self._environment},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        async with asyncio.timeout(20):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except OSError:
                    assert self.process.returncode is None, "it has ended"
                    await asyncio.sleep(0.02)  # a process tells nobody that it listens
                    continue
                writer.close()
                await writer.wait_closed()
                return

    async def kill(self) -> None:
        """As a machine that is gone: what it was about to answer, it does not."""
        self.signal(signal.SIGKILL)
        assert self.process is not None
        await self.process.wait()
        await asyncio.sleep(0)

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        os.killpg(self.process.pid, number)

    async def close(self) -> None:
        if self.process is not None and self.process.returncode is None:
            await self.kill()


@asynccontextmanager
async def users_app(folder: Path, count: int) -> AsyncGenerator[list[Instance]]:
    """Instances of the users app on one database."""
    instances = [
        Instance(
            port,
            [sys.executable, "-m", "apps.users"],
            {
                "FRAMEWORK_SERVER__PORT": str(port),
                "FRAMEWORK_USERS__DATABASE": str(folder / "users.sqlite3"),
                "FRAMEWORK_USERS__ARGON2__TIME_COST": "1",
                "FRAMEWORK_USERS__ARGON2__MEMORY_KIB": "64",
            },
        )
        for port in (free_port() for _ in range(count))
    ]
    try:
        for instance in instances:
            await instance.start()
        yield instances
    finally:
        for instance in instances:
            await instance.close()


@asynccontextmanager
async def nginx(folder: Path, locations: str) -> AsyncGenerator[Instance]:
    """An nginx of its own with these locations."""
    if NGINX is None:
        pytest.fail("CI must install nginx")
    port = free_port()
    config = folder / f"nginx-{port}.conf"
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;" if os.getuid() == 0 else ""
    config.write_text(
        f"{user} daemon off; pid {folder}/nginx-{port}.pid; error_log {folder}/error.log; worker_processes 1;"
        f"events {{}} http {{ access_log off; {temporary} server {{ listen 127.0.0.1:{port}; {locations} }} }}"
    )
    instance = Instance(port, [NGINX, "-p", str(folder), "-c", str(config)])
    try:
        await instance.start()
        yield instance
    finally:
        await instance.close()


@asynccontextmanager
async def gateway_process(file: Path, *arguments: str) -> AsyncGenerator[Served]:
    """``framework gateway run``; ``port`` is where it serves."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "framework", "gateway", "run", str(file), *arguments),
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1"},
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    program = Served(process)
    try:
        program.port = int((await program.says(r"serving +http://127\.0\.0\.1:(\d+)"))[1])
        yield program
    finally:
        await program.close()


def toml_of(ports: list[int], *, cluster: str = "", route: str = "", admin: int = 0, more: str = "") -> str:
    """A gateway's file: one cluster of these, and a route for all."""
    listed = ", ".join(f'"http://127.0.0.1:{port}"' for port in ports)
    return f"""
[server]
port = 0
drain_timeout = 5.0

[logging]
access = "never"

[gateway.admin]
port = {admin}

[gateway.clusters.c]
endpoints = [{listed}]
policy = "round_robin"
{cluster}

[gateway.routes.r]
cluster = "c"
{route}
{more}
"""


async def get(port: int, path: str) -> tuple[int, Any]:
    """Status and body, JSON decoded, over a connection of its own."""
    async with HTTPClient() as client:
        answer = await client.get(f"http://127.0.0.1:{port}{path}")
        body = await answer.read()
    return answer.status, json.loads(body) if body.startswith((b"{", b"[")) else body
