"""What a handler is beneath partials, bound methods, callable objects and decorators."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from enum import Enum
from functools import partial
from types import MethodType
from typing import Any, TypeGuard

import msgspec

from framework.errors import BindingError

__all__ = ["Callee", "Kind", "address_of", "name_of", "read_callee"]


class Kind(Enum):
    """How the result comes out of the call."""

    PLAIN = "plain function"
    COROUTINE = "coroutine function"
    STREAM = "async generator function"
    UNSURE = "plain function around a coroutine function"


class Callee(msgspec.Struct, frozen=True):
    """A handler, read.

    Args:
        handler: as it was registered, and as it is called.
        kind: whether its result must be awaited.
        parameters: those that a caller can give; what a partial has fixed is not among them.
        returns: the return annotation as written, ``inspect.Signature.empty`` where there is none.
        space: the globals that its annotations are evaluated in.
    """

    handler: Callable[..., Any]
    kind: Kind
    parameters: tuple[inspect.Parameter, ...]
    returns: Any
    space: Mapping[str, Any]


def read_callee(handler: Callable[..., Any]) -> Callee:
    """Reads what is to be called for a route.

    Raises:
        BindingError: a class, a plain generator, or something whose signature cannot be had.
    """
    if isinstance(handler, type):
        raise BindingError(
            f"{name_of(handler)} is a class; a handler is a function or an object with __call__"
        )
    target, fixed = _uncover(handler)
    inner = inspect.unwrap(target)
    if inspect.isgeneratorfunction(target) or inspect.isgeneratorfunction(inner):
        raise BindingError(
            f"{name_of(handler)} is a plain generator; a stream is an async generator (async def)"
        )
    try:
        signature = inspect.signature(handler)
    except (TypeError, ValueError) as error:
        raise BindingError(f"{name_of(handler)} has no signature that can be read: {error}") from error
    given = tuple(one for one in signature.parameters.values() if one.name not in fixed)
    space: Mapping[str, Any] = getattr(inner, "__globals__", {})
    return Callee(handler, _kind(handler, target, inner), given, signature.return_annotation, space)


def _uncover(handler: Any) -> tuple[Any, frozenset[str]]:
    """The function beneath, and the arguments that partials on the way have fixed by name."""
    fixed: set[str] = set()
    target = handler
    while True:
        if _is_partial(target):
            fixed |= target.keywords.keys()
            target = target.func
        elif isinstance(target, MethodType):
            target = target.__func__
        elif inspect.isroutine(target) or hasattr(target, "__wrapped__"):
            return target, frozenset(fixed)
        else:
            target = type(target).__call__


def _kind(handler: Any, target: Any, inner: Any) -> Kind:
    if inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(target):
        return Kind.COROUTINE
    if inspect.isasyncgenfunction(target):
        return Kind.STREAM
    return Kind.UNSURE if inspect.iscoroutinefunction(inner) else Kind.PLAIN


def name_of(handler: Any) -> str:
    """How errors call a handler: its qualified name, that of what it wraps, or its class's."""
    return str(_named(handler).__qualname__)


def address_of(handler: Any) -> str:
    """How listings call a handler: its name, with the module where it is written."""
    named = _named(handler)
    return f"{named.__module__}.{named.__qualname__}"


def _named(handler: Any) -> Any:
    while _is_partial(handler):
        handler = handler.func
    return handler if hasattr(handler, "__qualname__") else handler.__class__


def _is_partial(target: object) -> TypeGuard[partial[Any]]:
    return isinstance(target, partial)
