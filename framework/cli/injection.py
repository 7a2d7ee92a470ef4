"""Calls a function with what the container provides, outside any request: commands and checks of plugins."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from framework.di import Container, Exits, Scope

__all__ = ["injected_parameters", "injecting"]


def injected_parameters(function: Callable[..., Any], container: Container) -> dict[str, Any]:
    """The parameters of ``function`` that the container fills, with their keys."""
    parameters = inspect.signature(function, eval_str=True).parameters
    return {name: one.annotation for name, one in parameters.items() if container.provides(one.annotation)}


@asynccontextmanager
async def injecting(
    wanted: Mapping[str, Any], container: Container, label: str
) -> AsyncGenerator[dict[str, Any], None]:
    """The objects of ``wanted`` by the names of the parameters, request-scoped ones alive until the block ends.

    The container's app must be running.

    Raises:
        GraphError: one of them cannot be made here, such as what needs a request; the path is drawn.
    """
    make = _maker(wanted.values(), container, label)
    exits = Exits()
    try:
        objects = await make(exits)
        yield dict(zip(wanted, objects, strict=True))
    except BaseException as error:
        await exits.close(error)
        raise
    await exits.close()


def _maker(keys: Iterable[Any], container: Container, label: str) -> Any:
    plan = container.plan(list(keys), scope=Scope.REQUEST, label=label)
    body = "\n".join(f"    {line}" for line in [*plan.lines, f"return [{', '.join(plan.args)}]"])
    space: dict[str, Any] = dict(plan.env)
    exec(compile(f"async def make(_exits):\n{body}\n", f"<injection of {label}>", "exec"), space)
    return space["make"]
