"""The operators' listener: one of the workers has it, and speaks for all."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from framework.app.runtime import Runtime
from framework.errors import SetupError
from framework.net.listener import bind
from framework.net.server import Server
from framework.net.settings import ServerSettings
from framework.plugins.gateway.admin_api import admin_app
from framework.plugins.gateway.config import AdminConfig
from framework.plugins.gateway.crew import Crew

__all__ = ["administered"]

log = logging.getLogger("framework.gateway")

RETRY: Final = 1.0


@asynccontextmanager
async def administered(crew: Crew, runtime: Runtime) -> AsyncGenerator[None]:
    """Listens for operators for as long as this lasts, where the configuration asks for it.

    Of several workers the first has the listener; the others wait for its end. Raises SetupError where the address
    cannot be had, and there is but this process.
    """
    config = crew.gateway.generation.config.admin
    if config is None:
        yield
        return
    workers = runtime.worker_count
    if workers > 1 and config.port == 0:
        raise SetupError("gateway.admin.port: several workers need one that they all know, not 0")
    ready = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(_serve(crew, config, runtime, ready), name="gateway admin")
    try:
        if workers == 1:
            await asyncio.wait((task, ready), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _serve(crew: Crew, config: AdminConfig, runtime: Runtime, ready: asyncio.Future[None]) -> None:
    sockets = await _sockets(config, wait=runtime.worker_count > 1)
    app = admin_app(crew, config, runtime.numbers).build(environ={}, overrides=_QUIET)
    try:
        async with app.running():
            server = Server(app, app.server_settings, sockets=sockets)
            await server.start()
            log.info("operators are served at %s", ", ".join(server.urls))
            crew.service.admin_urls = tuple(server.urls)
            ready.set_result(None)
            try:
                await server.run(signals=())
            finally:
                crew.service.admin_urls = ()
    finally:
        for sock in sockets:
            sock.close()


_QUIET: Final = {"server.drain_timeout": 0.2, "server.cancel_timeout": 1.0, "server.idle_grace": 0.0}


async def _sockets(config: AdminConfig, *, wait: bool) -> list[socket.socket]:
    settings = ServerSettings(host=config.host, port=config.port)
    while True:
        try:
            return bind(settings)
        except SetupError as error:
            if not wait:
                raise SetupError(
                    [problem.replace("server.", "gateway.admin.") for problem in error.problems]
                ) from None
        await asyncio.sleep(RETRY)
