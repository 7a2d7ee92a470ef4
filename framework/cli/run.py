"""``framework run``: builds an app and serves it, saying what runs where."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import click

from framework.app.run import serve
from framework.app.runtime import Runtime
from framework.cli.banner import banner
from framework.cli.failure import PROBLEMS, Failure, user_traceback
from framework.cli.flags import read_flags, setting_options
from framework.cli.locate import locate_asgi
from framework.cli.mending import anew_when_mended
from framework.cli.options import AppCommand, Target, app_options, target_of
from framework.cli.paper import warn
from framework.errors import SetupError
from framework.net.loop import run as run_loop
from framework.net.settings import ServerSettings

__all__ = ["SETTINGS", "command", "logging_of", "serve_one", "wants_supervisor"]

Announce = Callable[[Sequence[str]], None]


@click.command("run", cls=AppCommand)
@app_options
@click.option(
    "--asgi", is_flag=True, help="APP is an ASGI application, such as one of FastAPI, Starlette or Litestar."
)
@click.option(
    "--app-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path, resolve_path=True),
    metavar="DIR",
    help="Look for APP in this folder first.",
)
@click.option("--debug", is_flag=True, help="Development: errors show a page with the traceback.")
@click.option(
    "--reload", is_flag=True, help="Development: start anew when a file in the working directory changes."
)
@click.option(
    "--reload-dir",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Watch this folder instead of the working directory. Turns --reload on.",
)
def command(
    app: str,
    config: Sequence[Path],
    set_: Sequence[str],
    *,
    asgi: bool,
    app_dir: Path | None,
    debug: bool,
    reload: bool,
    reload_dir: Sequence[Path],
    **settings: Any,
) -> None:
    """Serve an app until SIGTERM or Ctrl-C.

    APP is module:app, module:factory, or a module that holds one app; the working directory is looked in
    first.

    A setting is its default, unless a TOML file says otherwise (--config), or an environment variable
    (FRAMEWORK_SERVER__PORT), or a flag; the later is the stronger. "framework config show APP" tells what
    holds and why.

    With --workers above 1, with --max-requests or --max-rss, and under a service manager (LISTEN_FDS,
    NOTIFY_SOCKET), a supervisor stands above the workers: SIGHUP replaces them without losing a request.
    """
    watched = tuple(reload_dir) or ((Path.cwd(),) if reload else ())
    if app_dir is not None:
        sys.path.insert(0, str(app_dir))
    if asgi:
        if debug:
            raise click.UsageError(
                "--debug is for apps of this framework; an ASGI application has a way of its own"
            )
        _run_hosted(app, config, read_flags(SETTINGS, settings, set_), app_dir or Path.cwd(), watched)
        return
    with anew_when_mended(watched):
        target = target_of(app, config, set_, debug=debug, **settings)
        runtime = target.build()

    def announce(urls: Sequence[str]) -> None:
        for line in banner(target, runtime, urls, reload=bool(watched)):
            warn(line)

    try:
        if watched or wants_supervisor(runtime.server_settings, os.environ):
            code = _serve_many(target, runtime, watched, announce, debug=debug)
            click.get_current_context().exit(code)
        serve_one(target, runtime, announce)
    except SetupError as error:
        raise Failure(error.problems) from error


SETTINGS = setting_options("server", ServerSettings)
command.params.extend(SETTINGS)


def _run_hosted(
    app: str, config: Sequence[Path], flags: dict[str, str], folder: Path, watched: Sequence[Path]
) -> None:
    """Serves an application that is none of ours."""
    from framework.cli.hosted import Hosting, read_settings, serve_hosted, serve_hosted_by_many

    with anew_when_mended(watched):
        found = locate_asgi(app, folder)
    hosting = Hosting(found.app, found.name, read_settings(config, flags), config, flags)

    def announce(urls: Sequence[str]) -> None:
        for line in hosting.banner(urls, reload=bool(watched)):
            warn(line)

    try:
        if watched or wants_supervisor(hosting.server, os.environ):
            code = serve_hosted_by_many(hosting, watched, announce)
            click.get_current_context().exit(code)
        serve_hosted(hosting, announce)
    except SetupError as error:
        raise Failure(error.problems) from error


def wants_supervisor(settings: ServerSettings, environ: Mapping[str, str]) -> bool:
    """Whether what was asked for takes a process above the one that serves: to replace it, or to speak for it."""
    limited = settings.max_requests is not None or settings.max_rss is not None
    managed = any(name in environ for name in ("LISTEN_FDS", "NOTIFY_SOCKET"))
    return settings.workers > 1 or limited or managed


def _serve_many(
    target: Target, runtime: Runtime, watched: Sequence[Path], announce: Announce, *, debug: bool
) -> int:
    from framework.app.workers import serve_many

    with logging_of(runtime):
        return serve_many(
            target.name,
            runtime.settings,
            files=target.files,
            flags=target.flags,
            debug=debug,
            reload=watched,
            on_serving=announce,
        )


def logging_of(runtime: Runtime) -> AbstractContextManager[object]:
    """The supervisor writes as its workers do, where the app has the plugin that says how."""
    settings = runtime.settings.sections.get("logging")
    if settings is None:
        return nullcontext()
    from framework.plugins.logs.settings import LoggingSettings

    if not isinstance(settings, LoggingSettings):
        return nullcontext()
    from framework.plugins.logs.configure import configured

    return configured(settings)


def serve_one(target: Target, runtime: Runtime, announce: Announce) -> None:
    """Serves from this process. Raises Failure where the app does not start, or fails."""
    serving = False

    def on_serving(urls: Sequence[str]) -> None:
        nonlocal serving
        serving = True
        announce(urls)

    try:
        run_loop(serve(runtime, on_serving=on_serving))
    except SetupError:
        raise
    except Exception as error:
        detail = user_traceback(error)
        if serving:
            raise Failure(f"{target.name} failed", code=PROBLEMS, detail=detail) from error
        raise Failure(f"{target.name} did not start", detail=detail) from error
