"""What the container provides to functions outside any request: health probes and commands."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, NamedTuple

from framework.di import Container, Exits, Scope

__all__ = ["Probe", "injected_parameters", "injecting"]


class Probe(NamedTuple):
    """A health check: a function, sync or async, that raises when something is wrong; its parameters are injected."""

    name: str
    function: Callable[..., Any]
    container: Container

    def objects(self) -> AbstractAsyncContextManager[dict[str, Any]]:
        """What to call the function with; see ``injecting``."""
        return injecting(injected_parameters(self.function, self.container), self.container, self.name)


def injected_parameters(function: Callable[..., Any], container: Container) -> dict[str, Any]:
    """The parameters of ``function`` that the container fills, with their keys."""
    try:
        if not inspect.signature(function).parameters:
            return {}
    except ValueError:
        return {}  # a builtin, say
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
