"""What a name led to, as an ASGI application: told apart from a factory, and from what is neither."""

from __future__ import annotations

import inspect
from typing import Any, cast

from framework.asgi.types import ASGIApp
from framework.errors import SetupError

__all__ = ["as_application", "describe", "looks_like_asgi"]


def looks_like_asgi(value: object) -> bool:
    """Whether it can be called as ASGI 3 does, with scope, receive and send."""
    return callable(value) and _takes(value, 3)


def as_application(value: object, name: str) -> ASGIApp:
    """The application that ``value`` is, or makes when it is a function that takes nothing.

    Raises:
        SetupError: it is neither; says what it is.
        Exception: what the function raises.
    """
    if looks_like_asgi(value):
        return cast("ASGIApp", value)
    if callable(value) and _takes(value, 0):
        made: object = cast("Any", value)()
        if inspect.iscoroutine(made):
            made.close()
            raise SetupError(f"{name} is a coroutine function; an application is made by a plain one")
        if looks_like_asgi(made):
            return cast("ASGIApp", made)
        raise SetupError(f"{name}() returned {describe(made)}, not an ASGI application")
    if callable(value) and _takes(value, 1):
        raise SetupError(
            f"{name} takes one argument, as ASGI 2 had it; asgiref.compatibility.guarantee_single_callable makes an "
            "ASGI 3 application of it"
        )
    raise SetupError(
        f"{name} is {describe(value)}, neither an ASGI application nor a function that returns one"
    )


def describe(value: object) -> str:
    """What it is, for an error."""
    if isinstance(value, type):
        return f"the class {value.__qualname__}"
    if inspect.isfunction(value):
        return f"the function {value.__qualname__}"
    kind = type(value)
    return "None" if value is None else f"a {kind.__module__}.{kind.__qualname__}".replace("builtins.", "")


def _takes(function: Any, count: int) -> bool:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # a callable that Python cannot read: it may be one, of three arguments
        return count == 3
    try:
        signature.bind(*(None,) * count)
    except TypeError:
        return False
    return True
