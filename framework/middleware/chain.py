"""Middleware, composed once when the app is built: onions around the handler, hooks at the door."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from framework.errors import LocalProtocolError, SetupError
from framework.http.handler import AfterHook, BeforeHook, Handler, Middleware
from framework.http.request import Request, StateKey
from framework.http.response import Response

__all__ = ["Chain", "Hooks", "Layer", "Phase", "compose", "layer"]


class Phase(IntEnum):
    """Where a layer stands; a lower one is further out."""

    EDGE = 0
    TRAFFIC = 10
    POLICY = 20
    CONTENT = 30
    HANDLER = 40


class Hooks:
    """A middleware that only looks: it awaits nothing, and so costs no coroutine.

    Override one or both. All ``before`` hooks of a route run ahead of every onion, in the order of their phases; the
    first that returns a response ends the request there. All ``after`` hooks run in reverse order on the final
    response, the rendered error included; what one returns replaces the response.
    """

    def before(self, request: Request) -> Response | None:
        """Looks at the request; a response answers it."""
        return None

    def after(self, request: Request, response: Response) -> Response | None:
        """Looks at the response, may change its fields; a response replaces it."""
        return None


@dataclass(frozen=True, slots=True)
class Layer:
    """One middleware and where it stands."""

    phase: Phase
    middleware: Middleware | Hooks

    @property
    def name(self) -> str:
        kind = self.middleware if isinstance(self.middleware, type) else type(self.middleware)
        own = getattr(self.middleware, "__qualname__", None)
        return own if isinstance(own, str) else kind.__qualname__


def layer(middleware: Middleware | Hooks, phase: Phase = Phase.POLICY) -> Layer:
    """Raises SetupError for what is neither a callable of a handler nor Hooks."""
    if isinstance(middleware, type):
        raise SetupError(f"middleware {middleware.__qualname__} is a class; install an instance of it")
    if not isinstance(middleware, Hooks) and not callable(middleware):
        raise SetupError(
            f"{middleware!r} is no middleware: neither Hooks nor a callable that takes a handler"
        )
    return Layer(phase, middleware)


@dataclass(frozen=True, slots=True)
class Chain:
    """The layers of one route, sorted: ``onions`` from the outermost in."""

    before: tuple[BeforeHook, ...]
    onions: tuple[Middleware, ...]
    after: tuple[AfterHook, ...]

    @classmethod
    def of(cls, layers: Iterable[Layer]) -> Chain:
        """Sorts by phase; within a phase the order given stays (app, then group, then route)."""
        ordered = sorted(layers, key=lambda one: one.phase)
        hooks = [one.middleware for one in ordered if isinstance(one.middleware, Hooks)]
        onions = [one.middleware for one in ordered if not isinstance(one.middleware, Hooks)]
        return cls(
            tuple(hook.before for hook in hooks if type(hook).before is not Hooks.before),
            tuple(onions),
            tuple(hook.after for hook in reversed(hooks) if type(hook).after is not Hooks.after),
        )


_ENTERED: StateKey[bool] = StateKey("entered")


def compose(handler: Handler, onions: Sequence[Middleware]) -> Handler:
    """Wraps ``handler`` in ``onions``, the first one outermost. Called once, at build.

    A middleware that calls the handler below it twice for one request is refused: the body is gone by then, and a
    handler that runs twice is a fault nobody sees.
    """
    if not onions:
        return handler

    def once(request: Request) -> Awaitable[Response]:
        if request.get(_ENTERED):
            raise LocalProtocolError("a middleware called the next handler twice for one request")
        request[_ENTERED] = True
        return handler(request)

    composed: Handler = once
    for onion in reversed(onions):
        composed = onion(composed)
    return composed
