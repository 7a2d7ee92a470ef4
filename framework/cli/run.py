"""``framework run``: builds an app and serves it, saying what runs where."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from framework.app.run import serve
from framework.app.runtime import Runtime
from framework.cli.banner import banner
from framework.cli.failure import PROBLEMS, Failure, user_traceback
from framework.cli.flags import setting_options
from framework.cli.options import AppCommand, Target, app_options, target_of
from framework.cli.paper import warn
from framework.errors import SetupError
from framework.net.loop import run as run_loop
from framework.net.settings import ServerSettings

__all__ = ["command"]

Announce = Callable[[Sequence[str]], None]


@click.command("run", cls=AppCommand)
@app_options
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
    target = target_of(app, config, set_, debug=debug, **settings)
    runtime = target.build()
    watched = tuple(reload_dir) or ((Path.cwd(),) if reload else ())

    def announce(urls: Sequence[str]) -> None:
        for line in banner(target, runtime, urls, reload=bool(watched)):
            warn(line)

    try:
        if watched or _wants_supervisor(runtime.server_settings, os.environ):
            code = _serve_many(target, runtime, watched, announce, debug=debug)
            click.get_current_context().exit(code)
        _serve_one(target, runtime, announce)
    except SetupError as error:
        raise Failure(error.problems) from error


command.params.extend(setting_options("server", ServerSettings))


def _wants_supervisor(settings: ServerSettings, environ: Mapping[str, str]) -> bool:
    """Whether what was asked for takes a process above the one that serves: to replace it, or to speak for it."""
    limited = settings.max_requests is not None or settings.max_rss is not None
    managed = any(name in environ for name in ("LISTEN_FDS", "NOTIFY_SOCKET"))
    return settings.workers > 1 or limited or managed


def _serve_many(
    target: Target, runtime: Runtime, watched: Sequence[Path], announce: Announce, *, debug: bool
) -> int:
    from framework.app.workers import serve_many

    return serve_many(
        target.name,
        runtime.settings,
        files=target.files,
        flags=target.flags,
        debug=debug,
        reload=watched,
        on_serving=announce,
    )


def _serve_one(target: Target, runtime: Runtime, announce: Announce) -> None:
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
