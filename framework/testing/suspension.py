"""Where a coroutine is suspended: a wrapper that is told of each suspension, and the lines of source it is at."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Coroutine, Generator
from types import FrameType
from typing import Any, Generic, TypeVar

__all__ = ["Watched", "line_of", "place_of", "short_path"]

T = TypeVar("T")


class Watched(Generic[T]):
    """Awaits a coroutine, and tells of each time that it suspends and goes on.

    Args:
        coroutine: what to await.
        suspended: called with the frames it waits in, the innermost last, before the loop goes on.
        resumed: called before it goes on.
    """

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, T],
        suspended: Callable[[list[FrameType]], None],
        resumed: Callable[[], None],
    ) -> None:
        self._coroutine = coroutine
        self._suspended = suspended
        self._resumed = resumed

    def __await__(self) -> Generator[Any, Any, T]:
        coroutine = self._coroutine
        error: BaseException | None = None
        while True:
            try:
                awaited = coroutine.send(None) if error is None else coroutine.throw(error)
            except StopIteration as stop:
                result: T = stop.value
                return result
            self._suspended(_frames(coroutine))
            try:
                yield awaited
                error = None
            except GeneratorExit:
                coroutine.close()
                raise
            except BaseException as thrown:  # given on, whatever it is: the coroutine is who answers it
                error = thrown
            self._resumed()


def place_of(frames: list[FrameType]) -> str:
    """The innermost line and function of the frames, asyncio's own left aside."""
    frames = [frame for frame in frames if not _is_asyncio(frame)] or frames
    return f"{line_of(frames[-1])} {frames[-1].f_code.co_qualname}" if frames else "?"


def line_of(frame: FrameType) -> str:
    """``file:line``, where a frame is at."""
    return f"{short_path(frame.f_code.co_filename)}:{frame.f_lineno}"


def short_path(path: str) -> str:
    """A file as it is imported: without the folder of ``sys.path`` it lies in."""
    for folder in sorted(sys.path, key=len, reverse=True):
        if folder and path.startswith(folder.rstrip("/\\") + "/"):
            return path[len(folder.rstrip("/\\")) + 1 :]
    return path


def _frames(coroutine: object) -> list[FrameType]:
    """The frames that a suspended coroutine waits in, its own first."""
    frames: list[FrameType] = []
    inner: Any = coroutine
    while inner is not None:
        frame, inner = _frame_and_inner(inner)
        if frame is not None:
            frames.append(frame)
    return frames


def _frame_and_inner(waiting: Any) -> tuple[FrameType | None, Any]:
    """The frame of something that is awaited, where it is written in Python, and what it awaits itself."""
    for frame, inner in (("cr_frame", "cr_await"), ("gi_frame", "gi_yieldfrom"), ("ag_frame", "ag_await")):
        if hasattr(waiting, frame):
            return getattr(waiting, frame), getattr(waiting, inner)
    # What ``__anext__`` of a generator returns, and what a compiled coroutine calls ``__await__`` for, does not tell
    # which generator or coroutine it is of; the collector knows.
    if not type(waiting).__name__.startswith(("async_generator", "coroutine_wrapper")):
        return None, None
    referred: list[object] = gc.get_referents(waiting)
    return None, next((one for one in referred if hasattr(one, "ag_frame") or hasattr(one, "cr_frame")), None)


def _is_asyncio(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).partition(".")[0] in ("asyncio", "contextlib")
