"""The clean-ups of one scope: a stack of generators, each paused at its yield. Knows nothing of keys.

Asynchronous clean-ups run in a task of their own, so that cancelling the closer cannot tear one midway.
So an asynchronous generator cannot reset a contextvars Token from before its yield after it, nor hold a
task-bound scope (an anyio task group) open across the yield; a lifespan or a synchronous generator can.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import AsyncGeneratorType, GeneratorType
from typing import Any, TypeAlias, TypeVar

__all__ = ["Exits"]

T = TypeVar("T")
_Paused: TypeAlias = "GeneratorType[Any, Any, Any] | AsyncGeneratorType[Any, Any]"


class Exits:
    """Generators to resume when a scope ends, last entered first."""

    __slots__ = ("_stack",)

    def __init__(self) -> None:
        self._stack: list[_Paused] = []

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left to close."""
        return not self._stack

    def enter(self, generator: GeneratorType[T, Any, Any]) -> T:
        """Runs ``generator`` to its yield and keeps it for ``close``.

        Raises:
            RuntimeError: it ended without a yield.
        """
        for value in generator:
            self._stack.append(generator)
            return value
        raise RuntimeError(f"{_name(generator)} ended without yielding a value")

    async def enter_async(self, generator: AsyncGeneratorType[T, Any]) -> T:
        """``enter`` for an asynchronous generator."""
        async for value in generator:
            self._stack.append(generator)
            return value
        raise RuntimeError(f"{_name(generator)} ended without yielding a value")

    def absorb(self, other: Exits) -> None:
        """Takes over the clean-ups of ``other``, which has none left."""
        self._stack += other._stack
        other._stack = []

    async def close(self, error: BaseException | None = None) -> None:
        """Resumes every generator in reverse order; throws ``error`` into them when the scope ended by one.

        One failing clean-up never stops the others, and a cancellation that arrives meanwhile waits until all
        are done. A generator cannot swallow ``error``: the caller raises it again.

        Raises:
            ExceptionGroup: the failures of the clean-ups.
            CancelledError: the caller was cancelled meanwhile. Then, and when ``error`` itself is a
                cancellation, failures go to the loop's exception handler: a group would hide it.
        """
        stack, self._stack = self._stack, []
        failures: list[BaseException] = []
        interruption: BaseException | None = None
        traceback = error.__traceback__ if error is not None else None
        _unwind(stack, error, failures)
        # A task that is cancelled before its first step has closed nothing: hence the loop.
        while stack:
            interruption = await _sheltered(_unwind_async(stack, error, failures)) or interruption
        if error is not None:
            error.__traceback__ = traceback
        if failures or interruption is not None:
            _report(error, failures, interruption)


def _unwind(stack: list[_Paused], error: BaseException | None, failures: list[BaseException]) -> None:
    """Finishes the synchronous generators on top: they cannot be interrupted and need no task."""
    while stack and isinstance(generator := stack[-1], GeneratorType):
        stack.pop()
        failure = _finish(generator, error)
        if failure is not None:
            failures.append(failure)


async def _unwind_async(
    stack: list[_Paused], error: BaseException | None, failures: list[BaseException]
) -> None:
    while stack:
        generator = stack.pop()
        if isinstance(generator, GeneratorType):
            failure = _finish(generator, error)
        else:
            failure = await _finish_async(generator, error)
        if failure is not None:
            failures.append(failure)


def _finish(generator: GeneratorType[Any, Any, Any], error: BaseException | None) -> BaseException | None:
    """Resumes a generator to its end. Returns what its clean-up raised, other than ``error`` passed on."""
    try:
        if error is None:
            next(generator)
        else:
            generator.throw(error)
    except StopIteration:
        return None
    except BaseException as failure:
        return None if _is_passed_on(failure, error) else failure
    try:
        generator.close()
    except BaseException as failure:
        return failure
    return RuntimeError(f"{_name(generator)} yielded more than once")


async def _finish_async(
    generator: AsyncGeneratorType[Any, Any], error: BaseException | None
) -> BaseException | None:
    try:
        if error is None:
            await anext(generator)
        else:
            await generator.athrow(error)
    except StopAsyncIteration:
        return None
    except BaseException as failure:
        return None if _is_passed_on(failure, error) else failure
    try:
        await generator.aclose()
    except BaseException as failure:
        return failure
    return RuntimeError(f"{_name(generator)} yielded more than once")


def _is_passed_on(failure: BaseException, error: BaseException | None) -> bool:
    """Whether a generator only let ``error`` through; those that end iterations are wrapped (PEP 479)."""
    if failure is error:
        return True
    return isinstance(error, (StopIteration, StopAsyncIteration)) and failure.__cause__ is error


async def _sheltered(work: Coroutine[Any, Any, None]) -> asyncio.CancelledError | None:
    """Runs ``work`` to its end in a task. Returns the first cancellation of the caller meanwhile, if any."""
    task = asyncio.get_running_loop().create_task(work)
    interruption: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError as cancelled:
            interruption = interruption or cancelled
    return interruption


def _report(
    error: BaseException | None, failures: list[BaseException], interruption: BaseException | None
) -> None:
    """Raises what the scope's owner must see: cancellation, KeyboardInterrupt, SystemExit before failures."""
    plain = [failure for failure in failures if isinstance(failure, Exception)]
    control = interruption or next((f for f in failures if not isinstance(f, Exception)), None)
    if control is None and (error is None or isinstance(error, Exception)):
        raise ExceptionGroup("clean-up failed", plain)
    if plain:
        asyncio.get_running_loop().call_exception_handler(
            {
                "message": "clean-up failed while its scope was being torn down",
                "exception": ExceptionGroup("clean-up failed", plain),
            }
        )
    if control is not None:
        raise control


def _name(generator: _Paused) -> str:
    return generator.__qualname__
