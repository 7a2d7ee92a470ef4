"""``framework version``: what is installed here and runs, for a bug report or a look before a release."""

from __future__ import annotations

import json
import platform
from typing import Any

import click

import framework
from framework.cli.paper import say
from framework.net.loop import loop_name, new_event_loop
from framework.wire.leaves import TWIN

__all__ = ["command", "facts", "framework_version", "loop_in_use"]


def framework_version() -> str:
    """The version of the framework that runs."""
    return framework.__version__


def loop_in_use() -> str:
    """The event loop that apps are served on here: "uvloop" or "asyncio"."""
    loop = new_event_loop()
    try:
        return loop_name(loop)
    finally:
        loop.close()


def facts() -> dict[str, Any]:
    """What runs here; ``dependencies`` has the version of each by name, None for one that is not installed."""
    return {
        "framework": framework_version(),
        "leaves": TWIN,
        "loop": loop_in_use(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": platform.platform(),
        "dependencies": _dependencies(),
    }


def _dependencies() -> dict[str, str | None]:
    import re
    from importlib.metadata import PackageNotFoundError, requires, version

    try:
        wanted = requires("framework") or []
    except PackageNotFoundError:
        return {}
    found: dict[str, str | None] = {}
    for requirement in wanted:
        name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return dict(sorted(found.items()))


@click.command("version")
@click.option("--json", "as_json", is_flag=True, help="Print an object.")
def command(*, as_json: bool) -> None:
    """Print the versions of what runs here."""
    found = facts()
    if as_json:
        say(json.dumps(found, indent=2))
        return
    dependencies = found.pop("dependencies")
    for name, value in found.items():
        say(f"{name:<14}  {value}")
    for name, value in dependencies.items():
        say(f"{name:<14}  {value or 'not installed'}")
