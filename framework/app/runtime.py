"""The built app: immutable, compiled, and what the server runs."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cached_property
from typing import Any, NamedTuple, cast

from framework.app.built import BuiltRoute
from framework.app.events import EventBus
from framework.app.injection import Probe
from framework.app.lifespan import LifespanStack
from framework.app.settings import Settings
from framework.asgi.application import Application
from framework.asgi.types import Receive, Scope, Send
from framework.channels import Channels
from framework.di import AppScope, Container
from framework.errors import HTTPError
from framework.http.endpoint import Endpoint
from framework.http.request import Request
from framework.http.response import Response
from framework.net.core import Core
from framework.net.numbers import Numbers
from framework.net.settings import ServerSettings
from framework.routing import Router

__all__ = ["Hosted", "Runtime"]


class Hosted(NamedTuple):
    """What an app needs to live: its dependencies, its event bus, its channels, its lifespans (handed the app)."""

    app: object
    container: Container
    events: EventBus
    channels: Channels
    lifespans: Sequence[Any]


class Runtime:
    """An app after ``App.build``.

    Args:
        router: paths to endpoints.
        settings: every section.
        apps: the app and those mounted in it.
        bad_path: answers targets that have no canonical path.
        routes: every route, in the order of their apps and declarations.
        checks: the probes of all apps.

    Attributes:
        core: what the connections of the server that runs it share; None while none does.
        numbers: what it counts, and what it and its fellow workers count together.
    """

    def __init__(
        self,
        router: Router[Endpoint],
        settings: Settings,
        apps: Sequence[Hosted],
        bad_path: Endpoint,
        listing: Sequence[Mapping[str, object]],
        routes: Sequence[BuiltRoute],
        checks: Iterable[Probe] = (),
    ) -> None:
        self.settings = settings
        self.listing = tuple(listing)
        self.routes = tuple(routes)
        self._find = router.find
        self._apps = tuple(apps)
        self._bad_path = bad_path
        self._router = router
        self.checks = {probe.name: probe for probe in checks}
        self.core: Core | None = None
        self.numbers = Numbers()
        self.ready = False

    @property
    def server_settings(self) -> ServerSettings:
        """The section ``[server]``."""
        return self.settings.section(ServerSettings)

    @property
    def worker_count(self) -> int:
        """How many processes serve this app, each with a memory of its own."""
        return self.server_settings.workers

    def find(self, request: Request) -> Endpoint:
        """The endpoint for a request, whose ``params`` it sets; never raises."""
        if request.plain_path:
            endpoint, request.params = self._find(request.method, request.raw_path, request.host)
            return endpoint
        try:
            path = request.path
        except HTTPError:
            request.params = {}
            return self._bad_path
        endpoint, request.params = self._find(request.method, path, request.host)
        return endpoint

    def failed(self, request: Request, error: BaseException) -> Response:
        """The response to an error, by the error map of the app whose route it was."""
        return cast("Response", request.endpoint.failed(request, error))

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[Runtime]:
        """Opens the dependencies, enters the lifespans, starts the event buses; leaves all in reverse order.

        Enter and leave in one task. ``ready`` is true in between; the server clears it first at shutdown.

        Raises:
            RuntimeError: the app is running already, by this runtime or another.
        """
        async with AsyncExitStack() as stack:
            for hosted in self._apps:
                scope = _open(hosted.container)
                stack.push_async_exit(scope.__aexit__)
                await stack.enter_async_context(hosted.events)
                stack.callback(hosted.channels.close)
                await stack.enter_async_context(LifespanStack(hosted.app, hosted.lifespans))
                await scope.start()
            self.ready = True
            try:
                yield self
            finally:
                self.ready = False
                self.core = None

    def started(self, core: Core) -> None:
        """A server runs it now."""
        self.core = core

    def not_ready(self) -> None:
        """Tells health checks that this process is about to go."""
        self.ready = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers as an ASGI 3 application; see ``framework.asgi.application``."""
        await self._application(scope, receive, send)

    @cached_property
    def _application(self) -> Application:
        return Application(lambda: self)


def _open(container: Container) -> AppScope:
    try:
        return container.open()
    except RuntimeError as error:
        raise RuntimeError(
            "the app is running already, and one app runs once at a time: leave the other runtime first, or make a "
            "second app (call again the function that makes it)"
        ) from error
