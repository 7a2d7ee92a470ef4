"""The cost of injection: a three-deep request-scoped graph by hand and compiled.

``hand_written()`` and ``compiled()`` do the same and can be timed by anything; run as a script, this prints
the nanoseconds of each and their ratio, taken in interleaved rounds.
"""

from __future__ import annotations

import asyncio
import sys
import timeit
from collections.abc import Callable, Coroutine
from typing import Any

from framework.di import Container, Scope

__all__ = ["compiled", "hand_written", "live"]

ROUNDS = 15
CALLS = 50_000


class Config:
    """App-scoped: there before the first request."""


class Repository:
    def __init__(self, config: Config) -> None:
        self.config = config


class Service:
    def __init__(self, repository: Repository) -> None:
        self.repository = repository


async def handler(service: Service) -> Service:
    return service


CONFIG = Config()


async def by_hand() -> Service:
    repository = Repository(CONFIG)
    service = Service(repository)
    return await handler(service)


def container() -> Container:
    graph = Container()
    graph.provide(Config, scope=Scope.APP)
    graph.provide(Repository)
    graph.provide(Service)
    return graph


def compile_handler() -> Callable[[], Coroutine[Any, Any, Service]]:
    """What a binder makes of the plan. The app scope stays open, as under a running server."""
    graph = container()
    plan = graph.plan([Service])
    asyncio.run(graph.open().start())
    lines = [*plan.lines, f"return await _handler({', '.join(plan.args)})"]
    space: dict[str, Any] = {**plan.env, "_handler": handler}
    exec("async def call():\n" + "".join(f"    {line}\n" for line in lines), space)
    call: Callable[[], Coroutine[Any, Any, Service]] = space["call"]
    return call


BY_PLAN = compile_handler()


def run(coroutine: Coroutine[Any, Any, Service]) -> Service:
    """Drives a coroutine that never suspends, as the server's first step does."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: Service = stop.value
        return result
    raise RuntimeError("the handler suspended")


def hand_written() -> Service:
    return run(by_hand())


def compiled() -> Service:
    return run(BY_PLAN())


async def _live(scope: Any) -> Service:
    async with scope.enter(Scope.REQUEST) as request:
        return await handler(await request.get(Service))


LIVE = container().open()


def live() -> Service:
    """The same through the run-time API, for code that no binder compiles."""
    return run(_live(LIVE))


def main() -> None:
    subjects = {"hand-written": hand_written, "compiled": compiled, "run-time get()": live}
    best = dict.fromkeys(subjects, float("inf"))
    for _ in range(ROUNDS):
        for name, subject in subjects.items():
            best[name] = min(best[name], timeit.timeit(subject, number=CALLS) / CALLS * 1e9)
    for name, nanoseconds in best.items():
        ratio = nanoseconds / best["hand-written"]
        sys.stdout.write(f"{name:16}{nanoseconds:8.0f} ns{ratio:8.2f} x\n")


if __name__ == "__main__":
    main()
