"""Runs an app: build, listen, say where, serve until told to stop."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

from framework.app.application import App
from framework.app.runtime import Runtime
from framework.errors import SetupError
from framework.net.listener import bind
from framework.net.loop import run as run_loop
from framework.net.server import Server
from framework.wire.leaves import TWIN

__all__ = ["run", "serve"]


async def serve(runtime: Runtime, *, out: TextIO | None = None) -> None:
    """Listens as the settings say, opens what the app needs, then serves until SIGINT or SIGTERM.

    Raises:
        SetupError: an address that cannot be had; said before anything else is opened.
    """
    settings = runtime.server_settings
    sockets = bind(settings)
    async with runtime.running():
        server = Server(runtime, settings, sockets=sockets, on_not_ready=runtime.not_ready)
        await server.start()
        for url in server.urls:
            (out or sys.stderr).write(f"serving {url}  (HTTP leaves: {TWIN})\n")
        await server.run()


def run(
    app: App,
    *,
    files: Sequence[Path] = (),
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> None:
    """Builds and serves ``app`` in this process. A wrong setting or a broken app ends it with exit code 2 and one
    line for each problem, before it listens."""
    try:
        runtime = app.build(files=files, environ=environ, flags=flags, overrides=overrides)
        run_loop(serve(runtime))
    except SetupError as error:
        for problem in error.problems:
            sys.stderr.write(f"error: {problem}\n")
        raise SystemExit(2) from None
