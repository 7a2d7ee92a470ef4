"""``framework gateway``: runs a gateway from its file, and looks into the file without running it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from framework.app.runtime import Runtime
from framework.cli.banner import banner
from framework.cli.failure import PROBLEMS, Failure
from framework.cli.flags import read_flags
from framework.cli.options import AppCommand, Target
from framework.cli.paper import say, styled, warn
from framework.cli.run import SETTINGS, logging_of, serve_one, wants_supervisor
from framework.errors import SetupError

if TYPE_CHECKING:
    from framework.plugins.gateway.explaining import Explained
    from framework.plugins.gateway.gateway import Gateway

__all__ = ["command"]


@click.group("gateway")
def command() -> None:
    """Run an API gateway from one TOML file, or look into the file."""


_PATH = click.Path(exists=True, dir_okay=False, path_type=Path)
_file = click.argument("file", type=_PATH, help="The gateway's TOML file.")
_set = click.option("--set", "-s", "set_", multiple=True, metavar="KEY=VALUE", help="Set one setting.")


@command.command("run", cls=AppCommand)
@_file
@_set
@click.option("--debug", is_flag=True, help="Development: errors show a page with the traceback.")
def run(file: Path, set_: Sequence[str], *, debug: bool, **settings: Any) -> None:
    """Serve the gateway of FILE until SIGTERM or Ctrl-C.

    FILE has the section [gateway], and those of the server, logs, metrics and health. The routes, clusters and
    policies change while it runs, when FILE does; on SIGHUP too, where one process serves. A file that is wrong
    changes nothing: what is wrong with it is logged, with its lines.
    """
    from framework.plugins.gateway.app import ENTRY, create_app

    files, flags = (file.resolve(),), read_flags(SETTINGS, settings, set_)
    target = Target(create_app(files, flags=flags), str(file), files, flags)
    target.app.debug = debug
    runtime = target.build()

    def announce(urls: Sequence[str]) -> None:
        for line in _banner(target, runtime, urls):
            warn(line)

    try:
        if wants_supervisor(runtime.server_settings, os.environ):
            from framework.app.workers import serve_many

            with logging_of(runtime):
                code = serve_many(
                    "framework.plugins.gateway.app:create_app",
                    runtime.settings,
                    files=files,
                    flags=flags,
                    debug=debug,
                    on_serving=announce,
                    entry=ENTRY,
                )
            click.get_current_context().exit(code)
        serve_one(target, runtime, announce)
    except SetupError as error:
        raise Failure(error.problems) from error


run.params.extend(SETTINGS)


def _banner(target: Target, runtime: Runtime, urls: Sequence[str]) -> list[str]:
    from framework.plugins.gateway.config import GatewayConfig

    config = runtime.settings.section(GatewayConfig)
    lines = [line for line in banner(target, runtime, urls) if " routes " not in line]
    told = f"{len(config.routes)} routes to {len(config.clusters)} clusters"
    lines.append(f"  {styled('gateway'.ljust(8), dim=True)}  {told}")
    if config.admin is not None:
        host = f"[{config.admin.host}]" if ":" in config.admin.host else config.admin.host
        url = styled(f"http://{host}:{config.admin.port}", fg="cyan", bold=True)
        lines.append(f"  {styled('admin'.ljust(8), dim=True)}  {url}")
    return lines


def _gateway(file: Path) -> Gateway:
    """The gateway of a file, built and not opened. Raises Failure with all that is wrong."""
    from framework.plugins.gateway.app import create_app
    from framework.plugins.gateway.plugin import GatewayPlugin

    files = (file.resolve(),)
    app = create_app(files)
    Target(app, str(file), files, {}).build()
    plugin = next(one for one in app.plugins if isinstance(one, GatewayPlugin))
    assert plugin.gateway is not None
    return plugin.gateway


@command.command("check")
@_file
def check(file: Path) -> None:
    """Look for all that is wrong with FILE: every problem, with its line.

    Settings that there are not, values that cannot be, clusters that nobody made, routes that take the same
    requests, keys that cannot be read. Exit code 1 if anything was found.
    """
    try:
        gateway = _gateway(file)
    except Failure as failure:
        raise Failure(failure.problems, code=PROBLEMS, detail=failure.detail) from failure
    generation = gateway.generation
    say(f"{len(generation.routes)} routes, {len(generation.upstreams)} clusters")
    say(styled("nothing wrong was found", fg="green"))


@command.command("diff")
@click.argument("old", type=_PATH, help="The file that serves.")
@click.argument("new", type=_PATH, help="The file that would.")
def diff(old: Path, new: Path) -> None:
    """Tell what a reload from OLD to NEW would change, and what it would make anew.

    A cluster of which only the endpoints change keeps its connections and what is known of them; one whose
    settings change is made anew beside the old one, which serves its requests to their end.
    """
    from framework.plugins.gateway.comparing import differences

    lines = differences(_gateway(old).generation, _gateway(new).generation)
    colors = {"+": "green", "-": "red", "~": "yellow"}
    for line in lines or ["no difference"]:
        say(styled(line, fg=colors[line[0]]) if line[0] in colors else line)


@command.command("explain")
@_file
@click.argument("method", help="Its method.")
@click.argument("url", help="A whole URL, or a path.")
@click.option("--header", "-H", "headers", multiple=True, metavar="NAME:VALUE", help="A field it has.")
@click.option("--client", default="127.0.0.1", show_default=True, help="The address it comes from.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def explain_command(
    file: Path, method: str, url: str, *, headers: Sequence[str], client: str, as_json: bool
) -> None:
    """Tell what would become of a request: its route and why, its policies, what would be sent.

    URL is a whole one or a path. No upstream is asked. Exit code 1 if no route takes it.
    """
    from framework.plugins.gateway.explaining import explain, request_of

    fields = [_field(one) for one in headers]
    try:
        request = request_of(method, url, fields, client=client)
    except SetupError as error:
        raise Failure(error.problems) from error
    found = explain(_gateway(file), request)
    if as_json:
        say(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        for line in _told(found):
            say(line)
    if found.route is None:
        raise Failure(f"no route takes this: {found.status}", code=PROBLEMS)


def _field(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise click.UsageError(f"-H {text}: expected NAME:VALUE")
    return name.strip(), value.strip()


def _told(found: Explained) -> list[str]:
    lines = [f"{styled('route'.ljust(11), dim=True)} {styled(found.route or 'none', bold=True)}"]
    if found.target:
        lines.append(f"{styled('target'.ljust(11), dim=True)} {found.target}")
    lines += [f"{styled('endpoint'.ljust(11), dim=True)} {one}" for one in found.endpoints]
    for one in found.candidates:
        verdict = f"no: {one.why_not}" if one.why_not else styled("fits", fg="green")
        score = ".".join(str(part) for part in one.score)
        lines.append(f"{styled('candidate'.ljust(11), dim=True)} {one.name}  [{score}]  {verdict}")
    for policy in found.policies:
        lines.append(f"{styled('policy'.ljust(11), dim=True)} {policy.name}: {policy.says}")
    lines += [
        f"{styled(('sent' if not index else '').ljust(11), dim=True)} {line}"
        for index, line in enumerate(found.sent.splitlines())
    ]
    return lines


@command.command("schema")
def schema() -> None:
    """Print the JSON Schema of the section [gateway], for editors that complete and check TOML."""
    from framework.plugins.gateway.schema import file_schema

    say(msgspec.json.format(msgspec.json.encode(file_schema())).decode())
