"""What decides about a supervisor's workers, seen from outside: its limits, what it is told, what it can do."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

__all__ = ["NEVER", "Brain", "Ending", "Hands", "Rules"]

NEVER: Final = float("inf")


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of a fleet. Durations in seconds, sizes in bytes; None sets no limit.

    Attributes:
        start_timeout: until a worker must be ready.
        stop_timeout: until a worker that was told to go must be gone.
        stale_time: without a sign of life from a worker, until another one accepts new connections in its place.
        worker_timeout: without a sign of life, until it is killed.
        max_requests: after which a worker is replaced, and ``max_requests_jitter`` the part of it added at random,
            so that not all go at once.
        max_rss: resident memory at which a worker is replaced.
        settle_time: how long a worker must live for its end to be no start that failed, and for its limits to count.
        max_failed_starts: of each slot in a row, until all is given up.
        first_delay: before a worker that failed starts again; doubled each time up to ``max_delay``.
        force_time: between forcing, or dumping the stacks of, a worker and killing it.
    """

    stale_time: float = 3.0
    worker_timeout: float | None = 30.0
    start_timeout: float | None = 60.0
    stop_timeout: float = 60.0
    max_requests: int | None = None
    max_requests_jitter: float = 0.1
    max_rss: int | None = None
    settle_time: float = 10.0
    max_failed_starts: int = 5
    first_delay: float = 0.5
    max_delay: float = 30.0
    force_time: float = 3.0


class Ending(msgspec.Struct, frozen=True):
    """How a process ended.

    Attributes:
        code: exit code; minus the signal's number when a signal ended it.
        words: what it had to say last.
        setup: the app or a setting is wrong, so that another try would fail too.
    """

    code: int
    words: tuple[str, ...] = ()
    setup: bool = False

    @property
    def clean(self) -> bool:
        """As asked for: by itself, or by the signal that asked for it."""
        return self.code in (0, -signal.SIGTERM, -signal.SIGINT)

    @property
    def quoted(self) -> str:
        """The last words, to follow a log line."""
        return "".join(f"\n  | {line}" for line in self.words)

    def __str__(self) -> str:
        if self.code < 0 and -self.code in set(signal.Signals):
            return f"was ended by {signal.Signals(-self.code).name}"
        return f"ended with exit code {self.code}"


class Hands(Protocol):
    """What a brain can do. Workers are named by numbers that are never used again."""

    def spawn(self, worker: int, slot: int) -> None:
        """Starts a process; it reports back through ``ready`` or ``exited``."""

    def stop(self, worker: int) -> None:
        """Tells a worker to go; a second time: without waiting."""

    def dump(self, worker: int) -> None:
        """Makes a worker that does not answer show its stacks, and die."""

    def kill(self, worker: int) -> None:
        """Ends a worker now."""

    def accept(self, worker: int, sockets: Sequence[int]) -> None:
        """Has a worker accept on exactly these sockets."""

    def serving(self) -> None:
        """All is up (again): said after the start and after each reload."""


class Brain(Protocol):
    """Decides what a supervisor does. ``now`` is a monotonic time in seconds.

    Attributes:
        code: the exit code, once all is over.
    """

    code: int | None

    @property
    def healthy(self) -> bool:
        """A worker serves."""
        ...

    def start(self, now: float) -> None:
        """The first of all."""

    def ready(self, worker: int, now: float) -> None:
        """A worker accepts connections."""

    def beat(self, worker: int, now: float, requests: int, rss: int) -> None:
        """A worker's loop turns."""

    def leaving(self, worker: int, now: float) -> None:
        """A worker was told to go by somebody else, and waits for its successor."""

    def exited(self, worker: int, now: float, ending: Ending) -> None:
        """A worker's process has ended."""

    def reload(self, now: float) -> None:
        """SIGHUP."""

    def changed(self, files: Sequence[str], now: float) -> None:
        """Watched files were changed."""

    def stop(self, now: float) -> None:
        """SIGTERM or SIGINT: all go; a second call cuts their waits short, a third kills."""

    def tick(self, now: float) -> float:
        """Does what is due; returns when to call again at the latest."""
        ...
