"""Serves an app from several processes: the supervisor's side here, and how each worker makes its app."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from framework.app.application import App
from framework.app.record import all_apps
from framework.app.runtime import Runtime
from framework.app.settings import Settings
from framework.errors import ConfigError, SetupError
from framework.net.brain import Brain, Hands, Rules
from framework.net.crew import Job
from framework.net.fleet import Fleet
from framework.net.listener import bind, describe
from framework.net.reload import Watcher, Workbench
from framework.net.settings import ServerSettings
from framework.net.shares import share_out, widen
from framework.net.supervisor import Supervisor
from framework.net.systemd import Notifier, inherited_sockets
from framework.net.takeover import Predecessor
from framework.net.tls import TLS

__all__ = ["load_app", "rules_of", "serve_many", "with_origins"]

_ENTRY = "framework.app.workers:load_app"


def serve_many(
    target: str | Callable[[], App],
    settings: Settings | ServerSettings,
    *,
    workers: int | None = None,
    files: Sequence[Path] = (),
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
    debug: bool = False,
    reload: Sequence[Path] = (),
    rules: Rules | None = None,
    on_serving: Callable[[Sequence[str]], None] | None = None,
    log: logging.Logger | None = None,
    entry: str = _ENTRY,
) -> int:
    """Serves until told to stop; returns the exit code. For the main thread: it handles the signals.

    Each worker imports the app by its name, anew, so that a reload (SIGHUP) gets new code and new settings; what is
    said here only opens the sockets and bounds the workers. Sockets that were handed over (``LISTEN_FDS``) are taken
    instead of opening any.

    Args:
        target: ``module:app``, ``module:factory``, or a function that can be imported by its name.
        settings: those of the app, whose section ``[server]`` is meant, or that section alone.
        workers: how many; as ``settings`` says when not given.
        files: as for ``App.build`` in each worker, like ``environ``, ``flags`` and ``overrides`` (plain data).
        debug: turns development mode on in the app and in all that is mounted in it.
        reload: folders to watch: one worker then, started anew when a file in them changes.
        rules: the limits of the workers, in place of those that follow from ``settings``.
        on_serving: told the URLs once workers serve.
        log: what happens to the workers; standard error when nothing else is set up.
        entry: ``module:function`` that makes what a worker serves, called as ``load_app`` is.

    Raises:
        SetupError: an address that cannot be had, a broken certificate, sockets that are none. It names the keys,
            and where they were set if all settings are given.
    """
    server = settings if isinstance(settings, ServerSettings) else settings.section(ServerSettings)
    try:
        return _serve_many(
            target,
            server,
            server.workers if workers is None else workers,
            {"files": files, "environ": environ, "flags": flags, "overrides": overrides, "debug": debug},
            reload=reload,
            rules=rules,
            on_serving=on_serving,
            log=log or logging.getLogger("framework.supervisor"),
            entry=entry,
        )
    except SetupError as error:
        if isinstance(settings, ServerSettings):
            raise
        raise SetupError(with_origins(error.problems, settings)) from error


def with_origins(problems: Sequence[str], settings: Settings) -> list[str]:
    """Adds to problems that begin with the key of a setting where it was set."""
    return [f"{problem}{_origin(problem.partition(': ')[0], settings)}" for problem in problems]


def _origin(key: str, settings: Settings) -> str:
    try:
        origin = settings.origin(key)
    except ConfigError:
        return ""
    return "" if origin.kind == "default" else f" ({origin})"


def _serve_many(
    target: str | Callable[[], App],
    settings: ServerSettings,
    count: int,
    build: Mapping[str, Any],
    *,
    reload: Sequence[Path],
    rules: Rules | None,
    on_serving: Callable[[Sequence[str]], None] | None,
    log: logging.Logger,
    entry: str,
) -> int:
    if sys.platform == "win32":
        raise SetupError("server.workers: several workers need a POSIX system")
    if reload:
        count = 1
    with ExitStack() as stack:
        _let_hear(log, stack)
        secure = TLS.of(settings) is not None
        job = _job(_name_of(target), build, settings, count, entry, developing=bool(reload))
        watcher = Watcher(reload) if reload else None
        notifier = Notifier.from_environment()
        predecessor = Predecessor.from_environment()
        given = inherited_sockets()
        sockets = widen(given, count, settings.backlog) if given else bind(settings, copies=count)
        for sock in sockets:
            stack.callback(sock.close)
        shares = share_out(sockets, count)
        urls = list(dict.fromkeys(describe(sock, secure=secure) for sock in sockets))
        if watcher is not None:
            stack.callback(watcher.close)
            watcher.start()
        supervisor = Supervisor(
            job,
            sockets,
            shares,
            _brain(rules or rules_of(settings), shares, log, developing=bool(reload)),
            status=f"{', '.join(urls)} ({count} worker{'s' if count > 1 else ''}, supervisor {os.getpid()})",
            log=log,
            notifier=notifier,
            predecessor=predecessor,
            changes=watcher.socket if watcher is not None else None,
            on_serving=None if on_serving is None else partial(on_serving, urls),
        )
        code = supervisor.run()
        if settings.unix_socket is not None and not given and not supervisor.handed_over:
            Path(settings.unix_socket).unlink(missing_ok=True)
        return code


def rules_of(settings: ServerSettings) -> Rules:
    """The limits of the workers. One that was told to go has the time of its phases, and 15 s to close the app."""
    phases = (
        settings.not_ready_timeout
        + settings.idle_grace
        + settings.drain_timeout
        + 2 * settings.cancel_timeout
    )
    return Rules(
        worker_timeout=settings.worker_timeout or None,
        start_timeout=settings.worker_start_timeout or None,
        stop_timeout=phases + 15.0,
        max_requests=settings.max_requests,
        max_requests_jitter=settings.max_requests_jitter,
        max_rss=settings.max_rss,
    )


def load_app(
    *,
    target: str,
    files: Sequence[str],
    environ: Mapping[str, str] | None,
    flags: Mapping[str, str],
    overrides: Mapping[str, object],
    debug: bool,
) -> Runtime:
    """The built app of a worker.

    Raises:
        SetupError: nothing of that name, or an app that is put together wrongly.
    """
    module, _, path = target.partition(":")
    found: Any = import_module(module)
    for name in path.split("."):
        if not hasattr(found, name):
            raise SetupError(f"no {name} in {module}, looked for as {target}")
        found = getattr(found, name)
    if not isinstance(found, App) and callable(found):
        found = found()
    if not isinstance(found, App):
        raise SetupError(f"{target} is neither an App nor a function that returns one")
    if debug:
        for _, each in all_apps(found):
            each.debug = True
    return found.build(
        files=[Path(file) for file in files], environ=environ, flags=flags, overrides=overrides
    )


def _job(
    target: str,
    build: Mapping[str, Any],
    settings: ServerSettings,
    count: int,
    entry: str,
    *,
    developing: bool,
) -> Job:
    """What each worker does: ``entry`` (``load_app``) with plain data. The number of workers is told as a setting."""
    overrides: dict[str, object] = {**(build["overrides"] or {}), "server.workers": count}
    if developing:
        overrides["server.idle_grace"] = 0.0  # or a kept connection would bring one more request to old code
    return Job(
        entry=entry,
        arguments={
            "target": target,
            "files": [str(file) for file in build["files"]],
            "environ": None if build["environ"] is None else dict(build["environ"]),
            "flags": dict(build["flags"] or {}),
            "overrides": msgspec.to_builtins(overrides),
            "debug": build["debug"],
        },
        label=target,
        beat_interval=min(1.0, settings.worker_timeout / 4 or 1.0),
    )


def _name_of(target: str | Callable[[], App]) -> str:
    if isinstance(target, str):
        if ":" not in target:
            raise SetupError(f"{target!r} names no app; write module:app")
        return target
    name = f"{target.__module__}:{target.__qualname__}"
    if target.__module__ == "__main__" or "<" in name:
        raise SetupError(
            f"{name} cannot be imported by a worker: put the function into a module, on its top level"
        )
    return name


def _brain(
    rules: Rules, shares: Sequence[Sequence[int]], log: logging.Logger, *, developing: bool
) -> Callable[[Hands], Brain]:
    if developing:
        return lambda hands: Workbench(hands, log=log)
    return lambda hands: Fleet(hands, rules, shares, log=log)


def _let_hear(log: logging.Logger, stack: ExitStack) -> None:
    """Where nobody has set up logging, the supervisor's words go to standard error."""
    if log.hasHandlers():
        return
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    stack.callback(log.setLevel, level)
    stack.callback(log.removeHandler, handler)
