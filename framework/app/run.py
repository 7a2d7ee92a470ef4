"""Runs an app: build, listen, say where, serve until told to stop."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol, TextIO

from framework.app.application import App
from framework.errors import SetupError
from framework.net import core
from framework.net.collector import collecting_seldom
from framework.net.listener import bind
from framework.net.loop import run as run_loop
from framework.net.server import Server
from framework.net.settings import ServerSettings
from framework.net.tls import TLS, renewing
from framework.wire.leaves import TWIN

__all__ = ["run", "serve"]


class Servable(core.Runtime, Protocol):
    """A built app, or what stands in the place of one."""

    @property
    def server_settings(self) -> ServerSettings: ...

    def running(self) -> AbstractAsyncContextManager[Any]:
        """Opens what the app needs, and closes it in the end."""
        ...

    def not_ready(self) -> None:
        """The shutdown begins."""
        ...


async def serve(
    runtime: Servable, *, out: TextIO | None = None, on_serving: Callable[[Sequence[str]], None] | None = None
) -> None:
    """Listens as the settings say, opens what the app needs, then serves until SIGINT or SIGTERM.

    Args:
        runtime: what is served.
        out: where the URLs are said; standard error when not given.
        on_serving: is told the URLs instead.

    Raises:
        SetupError: an address that cannot be had, a broken certificate, several workers; said before anything
            else is opened.
    """
    settings = runtime.server_settings
    if settings.workers > 1:
        raise SetupError(
            "server.workers: this serves from one process; `framework run` and serve_many start more"
        )
    tls = TLS.of(settings)
    with _listening(settings) as sockets:
        async with runtime.running(), renewing(tls):
            server = Server(runtime, settings, sockets=sockets, on_not_ready=runtime.not_ready, tls=tls)
            with collecting_seldom(settings.gc_threshold):
                await server.start()
                if on_serving is not None:
                    on_serving(server.urls)
                else:
                    for url in server.urls:
                        (out or sys.stderr).write(f"serving {url}  (HTTP leaves: {TWIN})\n")
                await server.run()


@contextmanager
def _listening(settings: ServerSettings) -> Generator[list[socket.socket]]:
    """The sockets of the settings. Those that no server has closed, because none started, are closed at the end."""
    sockets = bind(settings)
    try:
        yield sockets
    finally:
        for sock in sockets:
            if sock.fileno() >= 0:
                path = sock.getsockname() if sock.family == socket.AF_UNIX else None
                sock.close()
                if isinstance(path, str) and os.path.exists(path):
                    os.unlink(path)


def run(
    app: App,
    *,
    files: Sequence[Path] = (),
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> None:
    """Builds and serves ``app`` in this process; see ``App.build`` for the arguments.

    A wrong setting or a broken app ends the process with exit code 2 and one line for each problem, before it
    listens; so does an address that cannot be had. Ctrl-C ends it as SIGTERM does; during start or clean-up, with
    exit code 130.
    """
    try:
        runtime = app.build(files=files, environ=environ, flags=flags, overrides=overrides)
        run_loop(serve(runtime))
    except SetupError as error:
        for problem in error.problems:
            sys.stderr.write(f"error: {' '.join(problem.split())}\n")
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
