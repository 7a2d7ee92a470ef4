"""``python -m apps.gateway [gateway.toml]``: three users apps on one database, and a gateway before them."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from framework import ServerSettings
from framework.app.settings import load
from framework.errors import SetupError
from framework.net.loop import run
from framework.plugins.gateway import GatewayConfig
from framework.plugins.health import HealthSettings
from framework.plugins.logs import LoggingSettings
from framework.plugins.metrics import MetricsSettings

__all__ = ["main"]

FILE = Path(__file__).with_name("gateway.toml")
CLUSTER = "users"


def main(arguments: Sequence[str] | None = None) -> None:
    """Starts them all, says where they are, and ends them together on SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(
        "python -m apps.gateway", description="A gateway before three users apps."
    )
    parser.add_argument(
        "file", nargs="?", type=Path, default=FILE, help="a gateway.toml with a cluster 'users'"
    )
    file: Path = parser.parse_args(arguments).file
    try:
        raise SystemExit(run(_run(file)))
    except SetupError as error:
        sys.stderr.writelines(f"error: {problem}\n" for problem in error.problems)
        raise SystemExit(2) from None


async def _run(file: Path) -> int:
    ports, urls = _places(file)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    with tempfile.TemporaryDirectory(prefix="users-") as folder:
        database = Path(folder) / "users.sqlite3"
        started: list[asyncio.subprocess.Process] = []
        try:
            for port in ports:
                started.append(await _start_users(port, database))  # noqa: PERF401 - each is ended if the next fails
            gateway = await _start("-m", "framework", "gateway", "run", str(file))
            started.append(gateway)
            sys.stderr.write(_told(ports, urls))
            ended = asyncio.create_task(gateway.wait())
            told = asyncio.create_task(stop.wait())
            await asyncio.wait((ended, told), return_when=asyncio.FIRST_COMPLETED)
            told.cancel()
            if not ended.done():
                gateway.send_signal(signal.SIGTERM)
            return await ended
        finally:
            await _end(started)


def _places(file: Path) -> tuple[list[int], list[str]]:
    """The ports of the instances, and the URLs of the gateway."""
    sections: dict[str, type[msgspec.Struct]] = {
        "gateway": GatewayConfig,
        "server": ServerSettings,
        "health": HealthSettings,
        "logging": LoggingSettings,
        "metrics": MetricsSettings,
    }
    settings = load(sections, files=[file])
    config, server = settings.section(GatewayConfig), settings.section(ServerSettings)
    cluster = config.clusters.get(CLUSTER)
    if cluster is None:
        raise SetupError(f"{file}: there is no cluster {CLUSTER!r} to start instances of the users app for")
    listed = [one if isinstance(one, str) else one.url for one in cluster.endpoints]
    ports = [int(url.rpartition(":")[2]) for url in listed]
    urls = [f"http://{server.host}:{server.port}"]
    if config.admin is not None:
        urls.append(f"http://{config.admin.host}:{config.admin.port}")
    return ports, urls


def _told(ports: Sequence[int], urls: Sequence[str]) -> str:
    lines = [f"  users app   http://127.0.0.1:{port}" for port in ports]
    lines.append(f"  gateway     {urls[0]}/users   (pages: {urls[0]}/docs)")
    lines += [f"  dashboard   {url}" for url in urls[1:]]
    return "\n".join([*lines, ""])


async def _start_users(port: int, database: Path) -> asyncio.subprocess.Process:
    """Waits until it listens: the first makes the tables."""
    process = await _start(
        "-m",
        "apps.users",
        FRAMEWORK_SERVER__PORT=str(port),
        FRAMEWORK_USERS__DATABASE=str(database),
        FRAMEWORK_SERVER__IDLE_GRACE="0",
    )
    for _ in range(200):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            if process.returncode is not None:
                raise SetupError(f"the users app at port {port} ended with {process.returncode}") from None
            await asyncio.sleep(0.05)
            continue
        writer.close()
        await writer.wait_closed()
        return process
    raise SetupError(f"the users app at port {port} does not listen")


async def _start(*arguments: str, **environment: str) -> asyncio.subprocess.Process:
    # In a session of their own: Ctrl-C comes here, and the gateway ends ahead of what is behind it.
    return await asyncio.create_subprocess_exec(
        sys.executable, *arguments, env={**os.environ, **environment}, start_new_session=True
    )


async def _end(processes: Sequence[asyncio.subprocess.Process]) -> None:
    for process in processes:
        if process.returncode is None:
            process.terminate()
    try:
        async with asyncio.timeout(10):
            await asyncio.gather(*(process.wait() for process in processes))
    except TimeoutError:
        for process in processes:
            if process.returncode is None:
                process.kill()
        await asyncio.gather(*(process.wait() for process in processes))


if __name__ == "__main__":
    main()
