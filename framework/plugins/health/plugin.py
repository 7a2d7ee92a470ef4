"""The plugin: tells whoever watches that the process lives, and whether it takes requests."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from framework.app.plugin import Setup
from framework.app.routes import RouteOptions
from framework.app.runtime import Runtime
from framework.codec import encode_json
from framework.di import Scope
from framework.http.response import Response
from framework.plugins.health.checks import Checks

__all__ = ["Health", "HealthSettings"]

_FIELDS: Final = {"cache-control": "no-store"}


class HealthSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Section ``[health]``.

    Attributes:
        live_path: answers 200 as long as the process and its loop do.
        ready_path: answers 200 when all checks are ok, and 503 as soon as the process begins to shut down.
        check_timeout: seconds that each check may take.
        max_age: seconds for which the outcome of the checks is given out again.
        details: tells how long each check took and what it raised. For networks that no stranger is in.
    """

    enabled: bool = True
    live_path: Annotated[str, Meta(pattern="^/")] = "/healthz"
    ready_path: Annotated[str, Meta(pattern="^/")] = "/readyz"
    check_timeout: Annotated[float, Meta(gt=0)] = 2.0
    max_age: Annotated[float, Meta(ge=0)] = 1.0
    details: bool = False


class Health:
    """Probes for orchestrators and load balancers. Checks come from ``App.check`` and from other plugins.

    Readiness is lost first of all at shutdown; ``server.not_ready_timeout`` is how long a load balancer then has to
    notice it.

    Args:
        route: options of both routes, such as layers to ``skip``: a probe cannot log in.
    """

    name = "health"
    requires: frozenset[str] = frozenset()
    config_type = HealthSettings

    def __init__(self, *, route: RouteOptions | None = None) -> None:
        self._route: RouteOptions = {"include_in_schema": False, **(route or {})}

    def setup(self, setup: Setup, config: HealthSettings) -> None:
        """Records the routes."""
        if not config.enabled:
            return

        async def open_checks(runtime: Runtime) -> AsyncGenerator[Checks]:
            checks = Checks(runtime.checks.values(), timeout=config.check_timeout, max_age=config.max_age)
            try:
                yield checks
            finally:
                await checks.close()

        async def ready(runtime: Runtime, checks: Checks) -> Response:
            return await readiness(runtime, checks, details=config.details)

        setup.provide(open_checks, scope=Scope.APP)
        setup.routes().get(config.live_path, **self._route)(alive)
        setup.routes().get(config.ready_path, **self._route)(ready)


def alive() -> Response:
    """The handler of the liveness probe. Not async: it answers also when no more requests may wait."""
    return _answer(200, {"status": "alive"})


async def readiness(runtime: Runtime, checks: Checks, *, details: bool) -> Response:
    """Answers the readiness probe."""
    if not runtime.ready:
        return _answer(503, {"status": "stopping"})
    outcomes = await checks.outcomes()
    is_ready = all(outcome.status == "ok" for outcome in outcomes.values())
    shown = {
        name: msgspec.to_builtins(outcome) if details else {"status": outcome.status}
        for name, outcome in outcomes.items()
    }
    return _answer(200 if is_ready else 503, {"status": "ready" if is_ready else "failing", "checks": shown})


def _answer(status: int, document: dict[str, object]) -> Response:
    return Response(encode_json(document), status, headers=_FIELDS, media_type="application/json")
