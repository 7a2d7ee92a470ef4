from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Generator, Iterator
from contextvars import Context, ContextVar, copy_context
from typing import Any

import pytest

from framework.net import _pure_step
from framework.net.step import NOT_STARTED, UNCLEAN, Suspended
from framework.testing import VirtualTimeLoop, virtual_loop

Stage = Callable[[VirtualTimeLoop], "Steps"]
NAME: ContextVar[str] = ContextVar("name", default="nobody")


@pytest.fixture(params=["compiled", "pure"])
def stage(request: pytest.FixtureRequest) -> Stage:
    """Makes a parked Task with a Stepper of one twin."""
    if request.param == "pure":
        return lambda loop: Steps(loop, _pure_step.Stepper)
    try:
        compiled = importlib.import_module("framework.net._step").Stepper
    except ImportError:
        pytest.skip("the leaves are not compiled")
    return lambda loop: Steps(loop, compiled)


class Steps:
    """A parked Task, its Context and its Stepper."""

    def __init__(self, loop: VirtualTimeLoop, stepper: Any) -> None:
        self.loop = loop
        self.context: Context = copy_context()
        self.task = loop.create_task(asyncio.sleep(1000), context=self.context)
        loop.settle()
        self.step = stepper(loop, self.task, self.context, self.context.copy()).step

    def take(self, call: Any, *hooks: Any, is_async: bool = True, respond: Any = None) -> Any:
        """What the step returned; raises what it raised."""
        result: list[Any] = []

        def run() -> None:
            try:
                result.append(self.step(hooks, call, "request", is_async, respond))
            except BaseException as error:
                result.append(error)
            assert asyncio.current_task(self.loop) is None, "the Task was left"

        self.loop.call(run)
        if isinstance(result[0], BaseException):
            raise result[0]
        return result[0]

    def close(self) -> None:
        self.task.cancel()
        self.loop.settle()


@pytest.fixture
def steps(stage: Stage) -> Iterator[Steps]:
    with virtual_loop() as loop:
        made = stage(loop)
        yield made
        made.close()


def test_a_coroutine_that_never_suspends(steps: Steps) -> None:
    async def handler(request: str) -> tuple[str, object]:
        return request, asyncio.current_task()

    assert steps.take(handler) == ("request", steps.task)


def test_a_coroutine_that_suspends(steps: Steps) -> None:
    async def handler(request: str) -> str:
        await asyncio.sleep(0)
        return "done"

    result = steps.take(handler)
    assert isinstance(result, Suspended)
    assert result.yielded is None
    with pytest.raises(StopIteration, match="done"):
        result.coro.send(None)


def test_a_plain_function(steps: Steps) -> None:
    def handler(request: str) -> object:
        return asyncio.current_task()

    assert steps.take(handler, is_async=False) is steps.task


def test_hooks_come_first_and_one_may_answer(steps: Steps) -> None:
    seen: list[str] = []

    async def handler(request: str) -> str:
        seen.append("handler")
        return "handler"

    def look(request: str) -> None:
        seen.append(request)

    assert steps.take(handler, look, look) == "handler"
    assert seen == ["request", "request", "handler"]
    seen.clear()
    assert steps.take(handler, look, lambda request: "hook", look) == "hook"
    assert seen == ["request"]
    assert steps.take(handler, lambda request: 0) == 0, "only None is no answer"


def test_what_the_handler_returns_is_made_a_response_what_a_hook_returns_is_one(steps: Steps) -> None:
    async def handler(request: str) -> str:
        return NAME.get()

    async def waits(request: str) -> None:
        await asyncio.sleep(0)

    def respond(result: str) -> str:
        assert asyncio.current_task() is steps.task
        return f"<{result}>"

    assert steps.take(handler, respond=respond) == "<nobody>"
    assert steps.take(lambda request: "plain", is_async=False, respond=respond) == "<plain>"
    assert steps.take(handler, lambda request: "hook", respond=respond) == "hook"
    assert isinstance(steps.take(waits, respond=respond), Suspended)


def test_all_of_it_runs_in_the_context(steps: Steps) -> None:
    def hook(request: str) -> None:
        NAME.set("hook")

    async def inner() -> str:
        return NAME.get()

    def handler(request: str) -> Any:
        NAME.set(NAME.get() + " and handler")
        return inner()

    assert steps.take(handler, hook) == "hook and handler"
    assert steps.context[NAME] == "hook and handler"
    assert NAME.get() == "nobody"


def test_nothing_is_run_in_what_an_earlier_request_has_changed(stage: Stage) -> None:
    async def sets(request: str) -> None:
        NAME.set("somebody")

    async def cancels(request: str) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()

    with virtual_loop() as loop:
        for change in (sets, cancels):
            made = stage(loop)
            made.take(change)
            assert made.take(pytest.fail, pytest.fail) is UNCLEAN
            made.close()


class Odd(BaseException):
    pass


@pytest.mark.parametrize("error", [ValueError("x"), asyncio.CancelledError(), Odd(), SystemExit(1)])
def test_what_they_raise_is_raised(steps: Steps, error: BaseException) -> None:
    async def handler(request: str) -> None:
        raise error

    def hook(request: str) -> None:
        raise error

    for arguments in ((handler,), (handler, hook)):
        with pytest.raises(type(error)) as caught:
            steps.take(*arguments)
        assert caught.value is error
    with pytest.raises(type(error)):
        steps.take(hook, is_async=False)


def test_a_plain_function_that_raises_stop_iteration_returns_nothing(steps: Steps) -> None:
    def handler(request: str) -> None:
        raise StopIteration("not a result")

    for is_async in (True, False):
        with pytest.raises((StopIteration, RuntimeError)):
            steps.take(handler, is_async=is_async)


def test_any_awaitable_will_do(steps: Steps) -> None:
    class Awaitable:
        def __await__(self) -> Generator[Any, Any, str]:
            yield from ()
            return "awaited"

    assert steps.take(lambda request: Awaitable()) == "awaited"
    with pytest.raises(TypeError, match="returned str, which cannot be awaited"):
        steps.take(lambda request: "text")


def test_nothing_is_started_while_another_task_is_current(steps: Steps) -> None:
    async def other() -> object:
        return steps.step((pytest.fail,), pytest.fail, "request", True, None)

    assert steps.loop.run(other()) is NOT_STARTED


def test_a_step_within_a_step_is_not_started(steps: Steps) -> None:
    async def outer(request: str) -> object:
        NAME.set("unclean")
        return steps.step((), pytest.fail, "request", True, None)

    assert steps.take(outer) is NOT_STARTED
