"""``framework check``: what can be found wrong with an app before it serves, found without serving it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import click

from framework.app.record import AppRecord, all_apps
from framework.app.runtime import Runtime
from framework.cli.blocking import blocking_calls
from framework.cli.failure import PROBLEMS, Failure, user_traceback
from framework.cli.options import AppCommand, Target, app_options, target_of
from framework.cli.paper import say, styled
from framework.cli.probes import run_probes
from framework.cli.routes import name_of
from framework.cli.version import facts
from framework.errors import ConfigError, DeadlineExceeded, SetupError
from framework.net.loop import run as run_loop

__all__ = ["command"]

_PARTS = ["blocking", "plugins"]


class Finding(NamedTuple):
    """A line of the report, what is wrong there, and the traceback of what the user's code raised."""

    part: str
    text: str
    problems: Sequence[str] = ()
    detail: str = ""


@click.command("check", cls=AppCommand)
@app_options
@click.option(
    "--skip",
    multiple=True,
    type=click.Choice(_PARTS),
    help="Leave a part out: the look for blocking calls, or the checks of plugins.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=5.0,
    show_default=True,
    help="Seconds the app may take to start for the checks of plugins, and each check.",
)
def command(
    app: str, config: Sequence[Path], set_: Sequence[str], *, skip: Sequence[str], timeout: float
) -> None:
    """Look for all that is wrong with an app, without serving it.

    Settings: unknown, missing, wrong. Routes: claimed twice, or out of reach. Dependencies: missing,
    circular, captured by a wider scope. Handlers: calls on the event loop that are known to block it; only
    the handler's own source is read, so that none found does not mean none there. Plugins: their own checks,
    for which the app is started.

    Exit code 1 if anything was found.
    """
    target = target_of(app, config, set_)
    problems: list[str] = []
    details: list[str] = []
    for finding in _findings(target, skip, timeout):
        mark = styled(finding.part.ljust(12), dim=True)
        say(f"{mark}  {finding.text}")
        problems += finding.problems
        details += [finding.detail] if finding.detail else []
    if problems:
        raise Failure(problems, code=PROBLEMS, detail="\n".join(details))
    say(styled("nothing wrong was found", fg="green"))


def _findings(target: Target, skip: Sequence[str], timeout: float) -> Iterator[Finding]:
    yield from _versions()
    runtime: Runtime | None = None
    try:
        runtime = target.build()
    except Failure as failure:
        where, what = "app", "does not build"
        if isinstance(failure.__cause__, ConfigError):
            where, what = "settings", "wrong; routes and dependencies were not looked at"
        yield Finding(where, what, failure.problems, failure.detail)
    else:
        yield from _settings(runtime)
        yield Finding("routes", f"{len(runtime.routes)}; none claimed twice, none out of reach")
        yield Finding("dependencies", "none missing, none circular, none captured by a wider scope")
    if "blocking" not in skip:
        yield _blocking(target.app)
    if "plugins" not in skip and runtime is not None:
        yield from _plugins(target, runtime, timeout)


def _versions() -> Iterator[Finding]:
    found = facts()
    runs = [f"framework {found['framework']}", f"{found['leaves']} leaves", found["python"], found["loop"]]
    yield Finding("versions", ", ".join(runs))
    yield Finding(
        "", ", ".join(f"{name} {version or '-'}" for name, version in found["dependencies"].items())
    )


def _settings(runtime: Runtime) -> Iterator[Finding]:
    rows = runtime.settings.show()
    own = [row for row in rows if row.origin.kind != "default"]
    yield Finding("settings", f"{len(rows)} values, {len(own)} of them not the default")
    for row in own:
        yield Finding("", f"{row.key}  from {row.origin}")


def _blocking(app: AppRecord) -> Finding:
    """Looks at the handlers of the routes that are recorded; where nothing was built, those of plugins are not."""
    handlers = {
        id(record.handler): record.handler
        for _, each in all_apps(app)
        for record in (*each.records, *each.derived.records)
        if not record.options.get("threaded", False)
    }
    problems = [
        f"{name_of(handler)} seems to block the event loop: it calls {suspect.call} "
        f"({suspect.file}:{suspect.line}); use {suspect.instead}"
        for handler in handlers.values()
        for suspect in blocking_calls(handler)
    ]
    found = "no call known to block, as far as one sees"
    if problems:
        found = f"{len(problems)} call{'' if len(problems) == 1 else 's'} that seem to block"
    return Finding("handlers", f"{len(handlers)} run on the event loop; {found}", problems)


def _plugins(target: Target, runtime: Runtime, timeout: float) -> Iterator[Finding]:
    probes = list(runtime.checks.values())
    if not probes:
        yield Finding("checks", "the app and its plugins have none")
        return
    try:
        verdicts = run_loop(run_probes(runtime, probes, timeout))
    except SetupError as error:
        yield Finding("checks", "the app did not start", error.problems)
    except Exception as error:
        detail = "" if isinstance(error, DeadlineExceeded) else user_traceback(error)
        yield Finding("checks", "the app did not start", [f"the app did not start: {error}"], detail)
    else:
        for one in verdicts:
            problems = [f"check {one.name}: {one.problem}"] if one.problem else []
            verdict = "bad" if one.problem else "good"
            yield Finding("checks", f"{one.name}: {verdict} ({one.seconds * 1000:.0f} ms)", problems)
