"""The contracts everything above the server is made of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from framework.http.request import Request
from framework.http.response import Response

__all__ = ["AfterHook", "BeforeHook", "Handler", "Middleware"]

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]
Middleware: TypeAlias = Callable[[Handler], Handler]
BeforeHook: TypeAlias = Callable[[Request], Response | None]
AfterHook: TypeAlias = Callable[[Request, Response], Response | None]
