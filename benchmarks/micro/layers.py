"""Middleware: what a layer adds to a request, onions and hooks, and the check that no onion calls twice; and what it
costs to count every request and to give it a scope for its log lines."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any, cast

from benchmarks.load.scenarios import SCENARIOS, request_bytes
from benchmarks.micro.connection import NullTransport, check
from benchmarks.micro.runner import Case
from framework.app.application import App
from framework.http.endpoint import Endpoint
from framework.http.handler import Handler
from framework.http.request import Request
from framework.http.response import Response
from framework.middleware.chain import Chain, Hooks, Phase, compose, layer
from framework.net.connection import Connection
from framework.net.core import Core
from framework.net.settings import ServerSettings
from framework.plugins.logs.scope import LogScope
from framework.plugins.metrics.plugin import MetricsSettings
from framework.plugins.metrics.requests import RequestMetrics
from framework.wire.leaves import Limits, parse_request

ANSWER = Response("Hello, World!")


async def handler(request: Request) -> Response:
    return ANSWER


def failed(request: Request, error: BaseException) -> Response:
    raise error


def onion(following: Handler) -> Handler:
    async def around(request: Request) -> Response:
        return await following(request)

    return around


def pass_through(following: Handler) -> Handler:
    def hand_on(request: Request) -> Awaitable[Response]:
        return following(request)

    return hand_on


class Look(Hooks):
    """Both hooks, doing nothing."""

    def before(self, request: Request) -> Response | None:
        return None

    def after(self, request: Request, response: Response) -> Response | None:
        return None


def door(endpoint: Endpoint) -> Callable[[Request], Response]:
    """Runs an endpoint as the connection does, but for encoding and the parked Task."""

    def serve(request: Request) -> Response:
        for hook in endpoint.before:
            answer = hook(request)
            if answer is not None:
                return cast("Response", answer)
        coroutine: Coroutine[Any, Any, Response] = endpoint.call(request)
        try:
            coroutine.send(None)
        except StopIteration as stop:
            response: Response = stop.value
        for after in endpoint.after:
            response = after(request, response) or response
        return response

    return serve


def observed(*hooks: Hooks) -> App:
    """GET text inside two onions, with ``hooks`` at the door."""
    app = App()
    for hook in hooks:
        app.use(hook, Phase.EDGE)
    app.use(onion)
    app.use(onion)

    @app.get(SCENARIOS[0].target)
    async def text() -> Response:
        return ANSWER

    return app


def connections() -> Iterator[Case]:
    """What counting and scope cost a whole request, from its bytes to those of the answer. In a running loop."""
    loop = asyncio.get_running_loop()
    data = request_bytes(SCENARIOS[0], "localhost")
    apps = {
        "plain": observed(),
        "metrics and scope of log lines": observed(RequestMetrics(MetricsSettings().buckets), LogScope()),
    }
    for name, app in apps.items():
        core = Core(loop, app.build(environ={}), ServerSettings())
        connection, transport = Connection(core), NullTransport()
        connection.connection_made(transport)
        connection.data_received(data)
        check(SCENARIOS[0], transport.written)
        names = {"receive": connection.data_received, "data": data}
        yield Case("observed connection", name, "receive(data)", names, baseline="plain")


def cases() -> Iterator[Case]:
    yield from connections()
    request = parse_request(request_bytes(SCENARIOS[0], "localhost"), 0, Limits(), Request)
    assert request is not None
    stacks: dict[str, list[Any]] = {
        "none": [],
        "1 onion": [onion],
        "5 onions": [onion] * 5,
        "1 onion that hands on": [pass_through],
        "1 pair of hooks": [Look()],
        "2 pairs of hooks": [Look(), Look()],
        "5 pairs of hooks": [Look() for _ in range(5)],
        "metrics": [RequestMetrics(MetricsSettings().buckets)],
        "scope of log lines": [LogScope()],
        "metrics and scope of log lines": [RequestMetrics(MetricsSettings().buckets), LogScope()],
    }
    for name, stack in stacks.items():
        chain = Chain.of(layer(one) for one in stack)
        endpoint = Endpoint(compose(handler, chain.onions), failed, before=chain.before, after=chain.after)
        # attach() gives the request a clean state each time, as a new one has.
        yield Case(
            "middleware",
            name,
            "attach(None, b'', None); request.endpoint = endpoint; serve(request)",
            {"attach": request.attach, "serve": door(endpoint), "request": request, "endpoint": endpoint},
            baseline="none",
        )
