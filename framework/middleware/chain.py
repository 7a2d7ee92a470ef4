"""Middleware, composed once when the app is built: onions around the handler, hooks at the door."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Sequence
from enum import IntEnum
from typing import Any

import msgspec

from framework.errors import LocalProtocolError, SetupError
from framework.http.handler import AfterHook, BeforeHook, Handler, Middleware
from framework.http.request import Request, StateKey
from framework.http.response import Response
from framework.middleware.hooks import Hooks

__all__ = ["Chain", "Core", "Hooks", "Layer", "Phase", "compose", "layer"]


class Phase(IntEnum):
    """Where a layer stands; a lower one is further out."""

    EDGE = 0
    TRAFFIC = 10
    POLICY = 20
    CONTENT = 30
    HANDLER = 40


class Layer(msgspec.Struct, frozen=True):
    """One middleware and where it stands."""

    phase: Phase
    middleware: Middleware | Hooks

    @property
    def name(self) -> str:
        """The middleware's name in listings and errors."""
        return _name(self.middleware)


def layer(middleware: Middleware | Hooks, phase: Phase = Phase.POLICY) -> Layer:
    """Checks a middleware as far as that can be done before there is a handler.

    Raises:
        SetupError: it is neither a callable of a handler nor Hooks, or a coroutine function where none can be.
    """
    fault = _fault(middleware)
    if fault:
        raise SetupError(f"middleware {_name(middleware)} {fault}")
    return Layer(phase, middleware)


def _fault(middleware: Any) -> str:
    if isinstance(middleware, type):
        return "is a class; install an instance of it"
    if isinstance(middleware, Hooks):
        for hook in (middleware.before, middleware.after):
            if inspect.iscoroutinefunction(hook):
                return (
                    f"has a hook {hook.__name__} that is async; hooks await nothing, write an onion for that"
                )
        return ""
    if not callable(middleware):
        return "is no middleware: neither Hooks nor a callable that takes a handler"
    if inspect.iscoroutinefunction(middleware) or inspect.iscoroutinefunction(type(middleware).__call__):
        return "is async; a middleware takes the handler below it and returns a new one, which may be async"
    try:
        inspect.signature(middleware).bind(None)
    except TypeError:
        return (
            f"takes {inspect.signature(middleware)}; a middleware takes the handler below it and nothing else"
        )
    except ValueError:
        return ""  # a callable without a signature that Python could read: calling it will tell
    return ""


def _name(middleware: Any) -> str:
    named = middleware if hasattr(middleware, "__qualname__") else middleware.__class__
    return str(named.__qualname__)


class Chain(msgspec.Struct, frozen=True):
    """The layers of one route, sorted: ``onions`` from the outermost in."""

    before: tuple[BeforeHook, ...]
    onions: tuple[Middleware, ...]
    after: tuple[AfterHook, ...]

    @classmethod
    def of(cls, layers: Iterable[Layer]) -> Chain:
        """Sorts by phase; within a phase the order given stays (app, then group, then route)."""
        ordered = [one.middleware for one in sorted(layers, key=lambda one: one.phase)]
        hooks = [one for one in ordered if isinstance(one, Hooks)]
        return cls(
            tuple(hook.before for hook in hooks if _is_written(hook.before, Hooks.before)),
            tuple(one for one in ordered if callable(one)),
            tuple(hook.after for hook in reversed(hooks) if _is_written(hook.after, Hooks.after)),
        )


def _is_written(hook: Any, default: Any) -> bool:
    return getattr(hook, "__func__", None) is not default


_ENTERED: StateKey[bool] = StateKey("entered")


class Core:
    """What the onions of one route are around: the handler, which can be replaced without composing them again.

    It refuses a second call for one request: the body is gone by then, and a handler that runs twice is a fault
    nobody sees.

    Attributes:
        call: the handler, guarded.
        replace: takes the handler that ``call`` leads to from now on.
    """

    __slots__ = ("call", "replace")

    def __init__(self, handler: Handler) -> None:
        def once(request: Request) -> Awaitable[Response]:
            if request.get(_ENTERED):
                raise LocalProtocolError("a middleware called the next handler twice for one request")
            request[_ENTERED] = True
            return handler(request)

        def replace(other: Handler) -> None:
            nonlocal handler
            handler = other

        self.call: Handler = once
        self.replace: Callable[[Handler], None] = replace


def compose(handler: Handler, onions: Sequence[Middleware]) -> Handler:
    """Wraps ``handler`` in ``onions``, the first one outermost; without any it is ``handler`` itself.

    Raises:
        SetupError: an onion returned what is no handler.
    """
    composed = handler
    for onion in reversed(onions):
        composed = onion(composed)
        if not callable(composed):
            if inspect.iscoroutine(composed):
                composed.close()
            kind = type(composed).__qualname__
            raise SetupError(
                f"middleware {_name(onion)} returned a {kind}, not the handler it makes of the one below it"
            )
    return composed
