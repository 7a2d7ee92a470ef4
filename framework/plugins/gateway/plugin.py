"""The plugin: what the app's own routes do not answer goes through the gateway."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncGenerator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from framework.app.plugin import Setup
from framework.app.runtime import Runtime
from framework.asgi.loading import looks_like_asgi
from framework.asgi.types import ASGIApp
from framework.di import Scope
from framework.errors import PluginError, SetupError
from framework.http.handler import Handler
from framework.http.request import Request
from framework.http.response import Response
from framework.middleware.chain import Hooks, Phase
from framework.plugins.gateway.access import GatewayLog
from framework.plugins.gateway.admin import administered
from framework.plugins.gateway.config import GatewayConfig
from framework.plugins.gateway.crew import meeting
from framework.plugins.gateway.gateway import Gateway
from framework.plugins.gateway.hosted import HostedApp
from framework.plugins.gateway.metrics import measured
from framework.plugins.gateway.service import GatewayService
from framework.plugins.gateway.source import Source
from framework.plugins.ratelimit import RateLimitSettings
from framework.plugins.ratelimit.engine import Engine
from framework.plugins.ratelimit.settings import engine_of

__all__ = ["METHODS", "GatewayPlugin"]

METHODS: Final = (
    "ACL",
    "BASELINE-CONTROL",
    "BIND",
    "CHECKIN",
    "CHECKOUT",
    "COPY",
    "DELETE",
    "GET",
    "HEAD",
    "LABEL",
    "LINK",
    "LOCK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MKREDIRECTREF",
    "MKWORKSPACE",
    "MOVE",
    "OPTIONS",
    "ORDERPATCH",
    "PATCH",
    "POST",
    "PROPFIND",
    "PROPPATCH",
    "PURGE",
    "PUT",
    "QUERY",
    "REBIND",
    "REPORT",
    "SEARCH",
    "TRACE",
    "UNBIND",
    "UNCHECKOUT",
    "UNLINK",
    "UNLOCK",
    "UPDATE",
    "UPDATEREDIRECTREF",
    "VERSION-CONTROL",
)
"""The methods of the IANA registry, but for CONNECT, which is no gateway's."""

_PATTERNS: Final = frozenset({"/", "/{path:escaped}"})


class GatewayPlugin:
    """Sends on whatever no other route of the app takes. Section ``[gateway]``; see ``GatewayConfig``.

    Install it ahead of metrics and logs, which then know requests by their gateway route. The running ``Gateway`` and
    its ``GatewayService`` are injected.

    Args:
        handlers: handlers of this process, or ASGI applications, by the names that routes use: the same policies
            stand around them.
        files: the app's TOML files, to be read again when they change; none: the configuration stays as it is, but for
            ``Gateway.reload``.
        flags, overrides: as the app is built with, for the same purpose.
        secret: for the tokens of sticky endpoints; made of the machine's id where not given, so that all
            workers agree. Give one where several machines share a name.

    Attributes:
        gateway: of the last build; None before.
    """

    name = "gateway"
    requires: frozenset[str] = frozenset()
    config_type = GatewayConfig

    def __init__(
        self,
        *,
        handlers: Mapping[str, Handler | ASGIApp] | None = None,
        files: Sequence[Path] = (),
        flags: Mapping[str, str] | None = None,
        overrides: Mapping[str, object] | None = None,
        secret: bytes | None = None,
    ) -> None:
        self._given = dict(handlers or {})
        self._files = tuple(files)
        self._flags = dict(flags or {})
        self._overrides = dict(overrides or {})
        self._secret = secret
        self.gateway: Gateway | None = None

    def setup(self, setup: Setup, config: GatewayConfig) -> None:
        """Builds the gateway; it opens with the app."""
        engine = _engine(config, setup.worker_count)
        handlers = self._handlers(setup)
        try:
            gateway = Gateway(
                config,
                handlers=handlers,
                engine=engine,
                secret=self._secret or _machine_secret(),
                workers=setup.worker_count,
            )
        except SetupError as error:
            problems = [f"gateway.{problem}" for problem in error.problems]
            raise PluginError(Source(self._files, {}).placed(problems)) from None
        self.gateway = gateway
        setup.use(_Finding(gateway), phase=Phase.EDGE)
        if config.access_log:
            setup.use(GatewayLog(), phase=Phase.EDGE)
        routes = setup.routes()

        async def forward(request: Request) -> Response:
            return await gateway.handle(request)

        options: dict[str, Any] = {"include_in_schema": False, "timeout": None}
        for pattern in sorted(_PATTERNS):
            routes.route(pattern, methods=METHODS, **options)(forward)
        setup.provide(lambda: gateway, scope=Scope.APP, provides=Gateway)
        setup.lifespan(_living(gateway, engine))
        setup.check("clusters", lambda: _check(gateway))

        async def serve(runtime: Runtime) -> AsyncGenerator[GatewayService]:
            meets = config.admin is not None or (config.watch and bool(self._files))
            workers = runtime.worker_count if meets else 1
            async with (
                GatewayService(
                    gateway, self._source(runtime), watch=config.watch, hang_up=runtime.worker_count == 1
                ) as service,
                meeting(service, workers, str(0 if config.admin is None else config.admin.port)) as crew,
                administered(crew, runtime),
            ):
                yield service

        setup.provide(serve, scope=Scope.APP)

    def _handlers(self, setup: Setup) -> dict[str, Handler]:
        handlers: dict[str, Handler] = {}
        for name, given in self._given.items():
            if looks_like_asgi(given):
                hosted = HostedApp(cast("ASGIApp", given))
                setup.lifespan(hosted.lifespan)
                handlers[name] = hosted
            else:
                handlers[name] = cast("Handler", given)
        return handlers

    def _source(self, runtime: Runtime) -> Source | None:
        if not self._files:
            return None
        sections = {name: type(section) for name, section in runtime.settings.sections.items()}
        return Source(self._files, sections, flags=self._flags, overrides=self._overrides)


class _Finding(Hooks):
    """Finds the route ahead of all that counts and logs, so that they know the request by it."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def before(self, request: Request) -> None:
        """Raises HTTPError where there is no route."""
        endpoint = request.endpoint
        if endpoint.pattern in _PATTERNS:
            request.endpoint = self._gateway.find(request).endpoint(endpoint)


def _living(gateway: Gateway, engine: Engine) -> Any:
    async def living(app: Any) -> AsyncGenerator[None]:
        await engine.open()
        try:
            await gateway.open()
            try:
                async with measured(app, gateway):
                    yield
            finally:
                await gateway.close()
        finally:
            await engine.close()

    return living


def _check(gateway: Gateway) -> None:
    """Raises where a cluster has nobody to send to."""
    dead = [
        name
        for name, upstream in gateway.generation.upstreams.items()
        if not any(endpoint.available for endpoint in upstream.cluster.endpoints)
    ]
    if dead:
        raise RuntimeError(f"no healthy endpoint in {', '.join(dead)}")


def _engine(config: GatewayConfig, workers: int) -> Engine:
    try:
        return engine_of(msgspec.convert({"url": config.limits_url}, RateLimitSettings), workers)
    except ImportError:
        raise PluginError("gateway: limits in Redis need hiredis: install framework[redis]") from None
    except (msgspec.ValidationError, ValueError) as error:
        raise PluginError(f"gateway.limits_url: {error}") from None


def _machine_secret() -> bytes:
    """Bytes that all processes of this user on this machine can make again, and clients cannot."""
    try:
        machine = Path("/etc/machine-id").read_bytes()
    except OSError:
        machine = socket.gethostname().encode()
    return blake2b(machine, key=str(os.getuid()).encode(), digest_size=32, person=b"gateway sticky").digest()
