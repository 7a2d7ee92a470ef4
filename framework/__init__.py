"""An asyncio networking framework: HTTP server core, router, dependency injection, middleware and plugins."""

from framework._sources import prefer_sources as _prefer_sources

_prefer_sources()

from framework.app.answers import Answer
from framework.app.application import App
from framework.app.binding import Body, Cookie, Form, Header, Inject, Path, Query
from framework.app.events import EventBus
from framework.app.run import run, serve
from framework.app.runtime import Runtime
from framework.di import Container, Scope
from framework.errors import HTTPError, ValidationError
from framework.http.endpoint import Endpoint
from framework.http.handler import Handler, Middleware
from framework.http.headers import Headers, MutableHeaders
from framework.http.request import Address, Request, StateKey
from framework.http.response import Response, StreamingResponse
from framework.http.upgrade import Upgrade
from framework.middleware.chain import Hooks, Phase
from framework.net.server import Server
from framework.net.settings import ServerSettings
from framework.net.websocket.listener import WebSocketListener
from framework.net.websocket.socket import WebSocket

__all__ = [
    "Address",
    "Answer",
    "App",
    "Body",
    "Container",
    "Cookie",
    "Endpoint",
    "EventBus",
    "Form",
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
    "ValidationError",
    "WebSocket",
    "WebSocketListener",
    "run",
    "serve",
]

__version__ = "0.1.0"
