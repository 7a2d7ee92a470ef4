"""An asyncio networking framework: HTTP server core, router, dependency injection, middleware and plugins."""

from framework._sources import prefer_sources as _prefer_sources

_prefer_sources()

from importlib import import_module as _import_module
from typing import TYPE_CHECKING

from framework.app.answers import Answer
from framework.app.application import App
from framework.app.binding import Body, Cookie, File, Form, Header, Inject, Path, Query
from framework.app.events import EventBus
from framework.app.run import run, serve
from framework.app.runtime import Runtime
from framework.channels import Channels
from framework.di import Container, Scope
from framework.errors import HTTPError, ValidationError
from framework.http.endpoint import Endpoint
from framework.http.handler import Handler, Middleware
from framework.http.headers import Headers, MutableHeaders
from framework.http.multipart_form import UploadedFile
from framework.http.request import Address, Request, StateKey
from framework.http.response import Response, StreamingResponse
from framework.http.upgrade import Upgrade
from framework.middleware.chain import Hooks, Phase
from framework.net.server import Server
from framework.net.settings import ServerSettings
from framework.net.websocket.listener import WebSocketListener
from framework.net.websocket.socket import WebSocket

if TYPE_CHECKING:
    from framework.net.client import HTTPClient, connect_websocket

__all__ = [
    "Address",
    "Answer",
    "App",
    "Body",
    "Channels",
    "Container",
    "Cookie",
    "Endpoint",
    "EventBus",
    "File",
    "Form",
    "HTTPClient",
    "HTTPError",
    "Handler",
    "Header",
    "Headers",
    "Hooks",
    "Inject",
    "Middleware",
    "MutableHeaders",
    "Path",
    "Phase",
    "Query",
    "Request",
    "Response",
    "Runtime",
    "Scope",
    "Server",
    "ServerSettings",
    "StateKey",
    "StreamingResponse",
    "Upgrade",
    "UploadedFile",
    "ValidationError",
    "WebSocket",
    "WebSocketListener",
    "connect_websocket",
    "run",
    "serve",
]

__version__ = "0.1.0"

# A server does without the client's side, which takes a quarter of the time of all the rest to import.
_LATE = {"HTTPClient": "framework.net.client", "connect_websocket": "framework.net.client"}


def __getattr__(name: str) -> object:
    """Imports what is not needed to serve when it is first asked for."""
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(_import_module(_LATE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
