"""The start-up banner: what runs where, in a few lines on standard error."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence

from framework.app.record import all_apps
from framework.app.runtime import Runtime
from framework.cli.options import Target
from framework.cli.paper import styled
from framework.cli.version import framework_version, loop_in_use
from framework.wire.leaves import TWIN

__all__ = ["banner"]


def banner(target: Target, runtime: Runtime, urls: Sequence[str], *, reload: bool = False) -> list[str]:
    """The lines, styled; each URL ends its line.

    Args:
        target: what was asked for.
        runtime: what came of it.
        urls: where it listens.
        reload: it starts anew when a file changes.
    """
    workers = 1 if reload else runtime.server_settings.workers
    python = f"{platform.python_implementation()} {platform.python_version()}"
    crew = "1 worker" if workers == 1 else f"{workers} workers"
    rows = [("serving", styled(url, fg="cyan", bold=True)) for url in urls]
    rows += [
        ("running", f"{loop_in_use()}, {TWIN} leaves, {python}, {crew}, pid {os.getpid()}"),
        ("settings", _settings(target, runtime)),
        ("routes", f"{len(runtime.routes)}  (framework routes {target.name})"),
    ]
    if any(app.debug for _, app in all_apps(target.app)):
        rows.append(("debug", styled("on: errors show their traceback to the client", fg="yellow")))
    if reload:
        rows.append(("reload", "on: starts anew when a file changes"))
    title = f"{styled(f'framework {framework_version()}', bold=True)}  {target.name}"
    return [title, *(f"  {styled(name.ljust(8), dim=True)}  {text}" for name, text in rows)]


def _settings(target: Target, runtime: Runtime) -> str:
    """The files that were read, and how many values came from elsewhere."""
    kinds = [row.origin.kind for row in runtime.settings.show()]
    counted = [(kinds.count("environment"), "variable"), (kinds.count("flag"), "flag")]
    parts = [str(file) for file in target.files]
    parts += [f"{count} {word}{'' if count == 1 else 's'}" for count, word in counted if count]
    return ", ".join(parts) or "all defaults"
