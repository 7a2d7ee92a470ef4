"""Middleware: what a layer adds to a request, onions and hooks, and the check that no onion calls twice."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any, cast

from benchmarks.load.scenarios import SCENARIOS, request_bytes
from benchmarks.micro.runner import Case
from framework.http.endpoint import Endpoint
from framework.http.handler import Handler
from framework.http.request import Request
from framework.http.response import Response
from framework.middleware.chain import Chain, Hooks, compose, layer
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


def cases() -> Iterator[Case]:
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
    }
    for name, stack in stacks.items():
        chain = Chain.of(layer(one) for one in stack)
        endpoint = Endpoint(compose(handler, chain.onions), failed, before=chain.before, after=chain.after)
        # attach() gives the request a clean state each time, as a new one has.
        yield Case(
            "middleware",
            name,
            "attach(None, b'', None); serve(request)",
            {"attach": request.attach, "serve": door(endpoint), "request": request},
            baseline="none",
        )
