"""The application."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from framework.app.build import build
from framework.app.record import AppRecord
from framework.app.reversing import find_path
from framework.app.runtime import Runtime
from framework.asgi.application import Application
from framework.asgi.types import Receive, Scope, Send

__all__ = ["App"]


class App(AppRecord):
    """A web application: routes, layers, dependencies, plugins, settings. ``build`` compiles it.

    Two apps share nothing; every registry belongs to its app.

    Args:
        debug: development: errors show a page with the traceback.
        request_timeout: seconds until a response's head must be ready, for routes that say nothing else.
        max_body: bytes of request body, likewise.
    """

    def build(
        self,
        *,
        files: Sequence[Path] = (),
        environ: Mapping[str, str] | None = None,
        flags: Mapping[str, str] | None = None,
        overrides: Mapping[str, object] | None = None,
    ) -> Runtime:
        """Reads the settings, runs the plugins' setups, checks everything, compiles every route.

        An app can be built again, with other settings or more routes: what settings and plugins contributed is then
        made anew. Only one of its runtimes can run at a time, and overrides reach the latest.

        Args:
            files: TOML files of settings; later ones are stronger.
            environ: the environment; ``os.environ`` when None.
            flags: settings from the command line, by dotted key.
            overrides: settings from code, by dotted key, stronger than all others.

        Raises:
            SetupError: ConfigError, PluginError, RouteConflict, GraphError or BindingError, with all problems of
                their kind. Nothing has been opened or started then.
        """
        return build(self, files=files, environ=environ, flags=flags, overrides=overrides or {})

    def url(self, handler: Callable[..., Any] | str, **params: object) -> str:
        """The path of a handler's route (or of the route with that name), its parameters checked and quoted.

        Routes of mounted apps are found from the outer app, whose path begins with the mount's prefix. Routes of
        plugins are known once the app has been built.

        Raises:
            CodecError: no such route, or parameters that do not fit it.
        """
        return find_path(self, handler, params)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers as an ASGI 3 application, for other servers and to be mounted in other frameworks; see
        ``framework.asgi.application``. It is built at the first call; to build it otherwise (settings from files),
        build it, and give them the ``Runtime``."""
        await self._application(scope, receive, send)

    @cached_property
    def _application(self) -> Application:
        return Application(self.build)
