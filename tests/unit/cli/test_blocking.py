"""The look at the source of handlers. Nothing here is called: only read."""

# ruff: noqa: ASYNC210, ASYNC221, ASYNC230, ASYNC251, SIM115 - that is the matter here

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial, wraps
from pathlib import Path
from time import sleep
from typing import Any

import pytest

from framework.cli.blocking import blocking_calls


async def by_module() -> None:
    time.sleep(1)


async def by_name() -> None:
    sleep(1)


async def in_a_with() -> str:
    with open("file") as file:
        return file.read()


async def of_a_package() -> None:
    urllib.request.urlopen("http://localhost")


async def by_process() -> None:
    subprocess.run(["true"], check=False)


async def by_shell() -> None:
    os.system("true")


async def by_copy() -> None:
    shutil.copy("a", "b")


async def imported_inside() -> None:
    import requests  # type: ignore[import-untyped]

    requests.get("http://localhost")


async def imported_name_inside() -> None:
    from time import sleep as rest

    rest(1)


async def dotted_import_inside() -> None:
    import urllib.request as request

    request.urlopen("http://localhost")


def plain() -> None:
    time.sleep(1)


async def stream() -> Any:
    sleep(1)
    yield ""


@pytest.mark.parametrize(
    ("handler", "call", "instead"),
    [
        (by_module, "time.sleep", "asyncio.sleep"),
        (by_name, "sleep", "asyncio.sleep"),
        (in_a_with, "open", "asyncio.to_thread"),
        (of_a_package, "urllib.request.urlopen", "an asynchronous client or asyncio.to_thread"),
        (by_process, "subprocess.run", "asyncio.create_subprocess_exec"),
        (by_shell, "os.system", "asyncio.create_subprocess_shell"),
        (by_copy, "shutil.copy", "asyncio.to_thread"),
        (imported_inside, "requests.get", "an asynchronous client or asyncio.to_thread"),
        (imported_name_inside, "rest", "asyncio.sleep"),
        (dotted_import_inside, "request.urlopen", "an asynchronous client or asyncio.to_thread"),
        (plain, "time.sleep", "threaded=True"),
        (stream, "sleep", "asyncio.sleep"),
    ],
)
def test_a_call_that_blocks_is_named(handler: Callable[..., Any], call: str, instead: str) -> None:
    (suspect,) = blocking_calls(handler)
    assert (suspect.call, suspect.instead, suspect.file) == (call, instead, __file__)
    assert f"{call}(" in Path(__file__).read_text().splitlines()[suspect.line - 1]


class Handlers:
    async def method(self) -> None:
        time.sleep(1)

    async def own(self) -> None:
        self.sleep()

    def sleep(self) -> None: ...


def wrapped_by(handler: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(handler)
    async def wrapper() -> None:
        await handler()

    return wrapper


def closed_over() -> Callable[..., Any]:
    rest = time.sleep

    async def handler() -> None:
        rest(1)

    return handler


@pytest.mark.parametrize(
    "handler", [Handlers().method, partial(by_module), wrapped_by(by_module), closed_over()]
)
def test_methods_partials_wrapped_and_closed_over_functions_are_looked_into(handler: Any) -> None:
    assert len(blocking_calls(handler)) == 1


async def waits_well() -> None:
    await asyncio.sleep(1)
    await asyncio.to_thread(time.sleep, 1)


async def hands_a_function_on() -> None:
    def work() -> None:
        time.sleep(1)

    await asyncio.to_thread(work)
    await asyncio.to_thread(lambda: time.sleep(1))


async def has_its_own(sleep: Callable[[int], None]) -> None:
    open = sleep
    sleep(1)
    open(1)


async def makes_an_object() -> object:
    return urllib.request.Request("http://localhost"), Client()


class Client: ...


async def names_nothing_known() -> None:
    (lambda: None)()
    undefined_name()  # type: ignore[name-defined]  # noqa: F821


class Callee:
    def __call__(self) -> None:
        time.sleep(1)


def unassigned() -> Callable[..., Any]:
    async def handler() -> None:
        later(1)

    if handler is None:
        later = time.sleep
    return handler


made_by_exec: dict[str, Any] = {}
exec("async def handler():\n    import time\n    time.sleep(1)", made_by_exec)


@pytest.mark.parametrize(
    "handler",
    [
        waits_well,
        hands_a_function_on,
        has_its_own,
        makes_an_object,
        names_nothing_known,
        Handlers().own,
        Callee(),
        unassigned(),
        made_by_exec["handler"],
        len,
        (lambda: time.sleep(1)),
    ],
)
def test_what_does_not_block_or_cannot_be_seen_is_left_alone(handler: Any) -> None:
    assert blocking_calls(handler) == []


def test_nothing_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it was called"))
    assert blocking_calls(by_module) == []  # and the name is looked up as it is now


def iterate() -> Iterator[str]:
    yield from open("file")


def test_generators_are_looked_into() -> None:
    assert [suspect.call for suspect in blocking_calls(iterate)] == ["open"]
