"""The plugin: a chat in one's own app, by one line."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, Callable
from secrets import token_urlsafe
from typing import Any, Final

from framework.app.plugin import Setup
from framework.app.runtime import Runtime
from framework.codec import encode_json
from framework.di import Scope
from framework.errors import ConfigError, PluginError, SetupError
from framework.http.response import Response
from framework.plugins.chat.admin import register
from framework.plugins.chat.bus import Bus
from framework.plugins.chat.bus.choosing import bus_of
from framework.plugins.chat.guests import guest, renew
from framework.plugins.chat.hub import Hub
from framework.plugins.chat.metrics import measured
from framework.plugins.chat.opening import open_store
from framework.plugins.chat.protocol import SUBPROTOCOLS
from framework.plugins.chat.session import Session
from framework.plugins.chat.settings import ChatSettings
from framework.plugins.chat.store import ChatStore
from framework.plugins.chat.tokens import Tokens

__all__ = ["ChatPlugin"]

_LOG: Final = logging.getLogger("framework.chat")
DRAINED_WITHIN: Final = 0.7  # of the drain's time: see the WebSocket's session


class ChatPlugin:
    """Rooms, history and presence at ``{path}/ws``; see ``docs/chat.md``.

    ``Tokens``, ``ChatStore`` and ``Hub`` are injected by their types: the app's own login issues tokens by the first.

    Args:
        name: of the section of the settings and of the checks; for a second chat.
        store: in place of the one that the settings name; whoever opened it closes it.
        bus: likewise, not opened.
        clock: Unix time.

    Raises:
        PluginError: when the app is built: a URL that stands for nothing, a missing driver, secrets that are too short,
            or none for several workers.
    """

    requires: frozenset[str] = frozenset()
    config_type: type[ChatSettings] = ChatSettings

    def __init__(
        self,
        *,
        name: str = "chat",
        store: ChatStore | None = None,
        bus: Bus | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self._store = store
        self._bus = bus
        self._clock = clock

    def setup(self, setup: Setup, config: ChatSettings) -> None:
        """Records the routes, the hub's life and the checks."""
        secrets = [secret.reveal() for secret in config.secrets]
        if not secrets:
            if setup.worker_count > 1:
                raise PluginError("chat.secrets: several workers need one that they have in common")
            secrets = [token_urlsafe(32)]
        try:
            tokens = Tokens(secrets, lifetime=config.token_lifetime, clock=self._clock)
            bus = self._bus or bus_of(config.bus, name=self.name)
            open_store(config.store)  # only to see that there is such a store: each run opens one of its own
        except (ConfigError, SetupError) as error:
            raise PluginError(error.problems) from None
        setup.engine(bus)
        clock, given = self._clock, self._store

        async def opened_store() -> AsyncGenerator[ChatStore]:
            if given is not None:
                yield given
                return
            async with open_store(config.store) as store:
                yield store

        async def open_hub(runtime: Runtime, store: ChatStore) -> AsyncGenerator[Hub]:
            from framework import __version__

            if not config.secrets:
                _LOG.warning("chat.secrets is not set: tokens are good until this process ends")
            hub = Hub(config, store, bus, tokens, clock=clock, version=__version__)
            hub.draining = _draining(runtime)
            await hub.open()
            try:
                yield hub
            finally:
                await hub.close()

        async def metered(app: Any) -> AsyncGenerator[None]:
            async with measured(app, await app.container.opened.get(Hub)):
                yield

        def socket(hub: Hub) -> Session:
            return Session(hub)

        async def store_answers(store: ChatStore) -> None:
            await store.ping()

        setup.provide(opened_store, scope=Scope.APP, provides=ChatStore)
        setup.provide(open_hub, scope=Scope.APP, provides=Hub)
        setup.provide(lambda: tokens, scope=Scope.APP, provides=Tokens)
        setup.lifespan(metered)
        setup.check("store", store_answers)
        setup.check("bus", bus.ping)
        routes = setup.routes(config.path)
        routes.websocket(
            "/ws",
            subprotocols=SUBPROTOCOLS,
            origins=config.origins,
            max_message=config.max_message,
            max_frame=config.max_message,
            # The transport says when a client has caught up; its watermark must not be above the one of the entries.
            write_limit=min(config.high_watermark, 65_536),
        )(socket)
        if config.guests:
            routes.post("/guest")(guest)
            routes.post("/token")(renew)
        if config.asyncapi:
            routes.get("/asyncapi.json", include_in_schema=False)(_description(config))
        if config.admin_token is not None:
            register(routes.group("/admin"), config.admin_token)


def _description(config: ChatSettings) -> Callable[[], Response]:
    """A handler that answers with the protocol's document."""
    from framework import __version__
    from framework.plugins.chat.protocol.asyncapi import document

    data = encode_json(document(path=config.path, version=__version__, max_batch=config.max_batch))

    def asyncapi() -> Response:
        return Response(data, media_type="application/json", headers={"cache-control": "no-cache"})

    return asyncapi


def _draining(runtime: Runtime) -> Callable[[], float | None]:
    """Tells within how many seconds connections are closed, once the server goes away."""
    was_ready = False

    def draining() -> float | None:
        nonlocal was_ready
        if runtime.ready:
            was_ready = True
            return None
        return runtime.server_settings.drain_timeout * DRAINED_WITHIN if was_ready else None

    return draining
