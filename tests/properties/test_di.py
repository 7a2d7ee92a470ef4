"""Random graphs against a naive oracle: what is refused, what is built, what is closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Annotated, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from framework.di import Container, Exits, Need, Scope
from framework.errors import GraphError

KINDS = ("call", "coroutine", "generator", "async generator")


@dataclass
class Spec:
    """One provider to be: ``needs`` are indices, which may be out of range (missing) or form cycles."""

    scope: Scope
    kind: str
    needs: tuple[int, ...]


@dataclass
class Made:
    """What a factory made, from what."""

    index: int
    needs: tuple[Made, ...]


@dataclass
class World:
    """Builds the factories of a graph and watches what they do."""

    specs: list[Spec]
    fail_at: int | None = None
    open_now: list[Made] = field(default_factory=list)
    built: list[int] = field(default_factory=list)

    def container(self) -> Container:
        container = Container()
        for index, spec in enumerate(self.specs):
            container.provide(self._factory(index, spec), scope=spec.scope, provides=key(index))
        return container

    def _make(self, index: int, needs: dict[str, Made]) -> Made:
        if index == self.fail_at:
            raise OSError(f"factory {index}")
        self.built.append(index)
        return Made(index, tuple(needs.values()))

    def _open(self, made: Made) -> None:
        self.open_now.append(made)

    def _close(self, made: Made) -> None:
        assert self.open_now[-1] is made, "not in reverse order"
        self.open_now.pop()

    def _factory(self, index: int, spec: Spec) -> Callable[..., Any]:
        def call(**needs: Made) -> Made:
            return self._make(index, needs)

        async def coroutine(**needs: Made) -> Made:
            await asyncio.sleep(0)
            return self._make(index, needs)

        def generator(**needs: Made) -> Any:
            made = self._make(index, needs)
            self._open(made)
            yield made
            self._close(made)

        async def async_generator(**needs: Made) -> Any:
            made = self._make(index, needs)
            self._open(made)
            await asyncio.sleep(0)
            try:
                yield made
            finally:
                await asyncio.sleep(0)
                self._close(made)

        chosen: Any = dict(zip(KINDS, (call, coroutine, generator, async_generator), strict=True))[spec.kind]
        return declare(chosen, [key(needed) for needed in spec.needs])


def key(index: int) -> Any:
    return Annotated[Made, index]


def declare(factory: Any, needs: list[Any]) -> Any:
    """Gives a factory of ``**needs`` one keyword parameter for each of them."""
    import inspect

    names = [f"need{position}" for position in range(len(needs))]
    factory.__annotations__ = dict(zip(names, needs, strict=True))
    factory.__signature__ = inspect.Signature(
        [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in names]
    )
    return factory
