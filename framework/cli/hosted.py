"""``framework run --asgi``: serves an ASGI application of another framework on this server."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from framework.app.hosting import ASGI_ENTRY, host, server_settings
from framework.app.run import serve
from framework.app.settings import Settings
from framework.asgi.loading import describe
from framework.asgi.types import ASGIApp
from framework.cli.failure import PROBLEMS, WRONG_USE, Failure, user_traceback
from framework.cli.paper import styled
from framework.cli.version import framework_version, loop_in_use
from framework.errors import SetupError
from framework.net.loop import run as run_loop
from framework.net.settings import ServerSettings
from framework.wire.leaves import TWIN

__all__ = ["Hosting", "read_settings", "serve_hosted", "serve_hosted_by_many"]

Announce = Callable[[Sequence[str]], None]


class Hosting(NamedTuple):
    """An ASGI application that is to be served.

    Args:
        app: the application.
        name: where it was found, ``module:name``.
        settings: all of them.
        files: where they are from, for the workers.
        flags: texts by dotted key, likewise.
    """

    app: ASGIApp
    name: str
    settings: Settings
    files: Sequence[Path]
    flags: dict[str, str]

    @property
    def server(self) -> ServerSettings:
        """The section ``[server]``."""
        return self.settings.section(ServerSettings)

    def banner(self, urls: Sequence[str], *, reload: bool) -> list[str]:
        """The start-up lines, styled; each URL ends its line."""
        workers = 1 if reload else self.server.workers
        python = f"{platform.python_implementation()} {platform.python_version()}"
        crew = "1 worker" if workers == 1 else f"{workers} workers"
        rows = [("serving", styled(url, fg="cyan", bold=True)) for url in urls]
        rows += [
            ("running", f"{loop_in_use()}, {TWIN} leaves, {python}, {crew}, pid {os.getpid()}"),
            ("ASGI", f"{describe(self.app)}, with nothing of this framework around it"),
        ]
        if reload:
            rows.append(("reload", "on: starts anew when a file changes"))
        title = f"{styled(f'framework {framework_version()}', bold=True)}  {self.name}"
        return [title, *(f"  {styled(name.ljust(8), dim=True)}  {text}" for name, text in rows)]


def read_settings(files: Sequence[Path], flags: dict[str, str]) -> Settings:
    """The settings of the server. Raises Failure with all that is wrong with them."""
    try:
        return server_settings(files=files, flags=flags)
    except SetupError as error:
        raise Failure(error.problems) from error


def serve_hosted(hosting: Hosting, announce: Announce) -> None:
    """Serves from this process. Raises Failure where the application does not start, or fails."""
    serving = False

    def on_serving(urls: Sequence[str]) -> None:
        nonlocal serving
        serving = True
        announce(urls)

    try:
        run_loop(serve(host(hosting.app, hosting.settings, hosting.name), on_serving=on_serving))
    except SetupError:
        raise
    except Exception as error:
        what = "failed" if serving else "did not start"
        code = PROBLEMS if serving else WRONG_USE
        raise Failure(f"{hosting.name} {what}", code=code, detail=user_traceback(error)) from error


def serve_hosted_by_many(hosting: Hosting, watched: Sequence[Path], announce: Announce) -> int:
    """Serves from several processes; returns the exit code."""
    from framework.app.workers import serve_many

    return serve_many(
        hosting.name,
        hosting.settings,
        files=hosting.files,
        flags=hosting.flags,
        reload=watched,
        on_serving=announce,
        entry=ASGI_ENTRY,
    )
