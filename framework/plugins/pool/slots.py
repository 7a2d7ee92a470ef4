"""What the core of a pool keeps books of: places for connections, those who wait, and what it wants done."""

from __future__ import annotations

from collections.abc import Generator
from enum import Enum
from typing import Any, NamedTuple, TypeAlias

__all__ = [
    "Action",
    "Close",
    "Counts",
    "Grant",
    "Open",
    "Ready",
    "Reason",
    "Refuse",
    "Report",
    "Slot",
    "State",
    "Terminate",
    "Waiter",
]


class State(Enum):
    """What happens to a place. IDLE, LENT and CHECKING (lent, but to be checked first) have a usable connection."""

    OPENING = "opening"
    IDLE = "idle"
    CHECKING = "checking"
    LENT = "lent"
    CLOSING = "closing"
    GONE = "gone"


class Reason(Enum):
    """Why a connection was ended. CUT: a cancellation has cut short what was done with it."""

    IDLE = "idle"
    LIFETIME = "lifetime"
    STALE = "stale"
    SURPLUS = "surplus"
    BROKEN = "broken"
    CUT = "cut"
    CHECK = "check"
    RESET = "reset"
    CLOSED = "closed"


class Ready:
    """An awaitable that has its value already."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __await__(self) -> Generator[Any, Any, Any]:
        return self.value
        yield


class Slot:
    """A place for one connection, from before it is opened until it is closed. Times are those of the loop.

    Attributes:
        generation: of the pool, when the opening began; another one than the pool's now means it is stale.
        opened_at: when it was opened.
        retire_at: when its lifetime ends.
        used_at: when it last proved to work.
        fresh_until: until then it is lent without a check.
        since: of the state it is in: since when it is being opened, or lent.
        owner: the task that borrowed it.
        request: the request that it was borrowed for.
        reported: the ``since`` of the last lease that was reported as a leak.
    """

    __slots__ = (
        "fresh_until",
        "generation",
        "number",
        "opened_at",
        "owner",
        "ready",
        "reported",
        "request",
        "retire_at",
        "since",
        "state",
        "used_at",
    )

    def __init__(self, number: int, generation: int, now: float) -> None:
        self.number = number
        self.generation = generation
        self.state = State.OPENING
        self.since = now
        self.ready = Ready(None)  # the connection, from when it is opened
        self.opened_at = self.retire_at = self.used_at = self.fresh_until = now
        self.owner: Any = None
        self.request: Any = None
        self.reported = -1.0

    @property
    def connection(self) -> Any:
        """The connection, from when it is opened."""
        return self.ready.value


class Waiter:
    """Somebody who waits. Once settled, either ``slot`` is theirs or they are refused.

    Attributes:
        future: what the shell wakes them with.
    """

    __slots__ = ("deadline", "future", "owner", "request", "since", "slot")

    def __init__(self, now: float, deadline: float, future: Any, owner: Any, request: Any) -> None:
        self.since = now
        self.deadline = deadline
        self.future = future
        self.owner = owner
        self.request = request
        self.slot: Slot | None = None


class Open(NamedTuple):
    """Open a connection for this place; tell ``opened`` or ``open_failed``."""

    slot: Slot


class Close(NamedTuple):
    """Close the connection as it should be; tell ``gone``."""

    slot: Slot
    reason: Reason


class Terminate(NamedTuple):
    """End the connection at once; tell ``gone``."""

    slot: Slot
    reason: Reason


class Grant(NamedTuple):
    """Wake this waiter: it has its slot."""

    waiter: Waiter


class Refuse(NamedTuple):
    """Wake this waiter: its time is over, or (``closed``) the pool is closed."""

    waiter: Waiter
    closed: bool


class Report(NamedTuple):
    """Tell somebody that this connection has been lent for too long."""

    slot: Slot


Action: TypeAlias = Open | Close | Terminate | Grant | Refuse | Report


class Counts:
    """What has happened in a pool so far. ``wait_seconds``: of those who waited and got a connection."""

    __slots__ = (
        "abandoned",
        "closed",
        "exhausted",
        "leaks",
        "open_failures",
        "opened",
        "timeouts",
        "wait_seconds",
        "waited",
    )

    def __init__(self) -> None:
        self.waited = self.timeouts = self.exhausted = self.abandoned = 0
        self.opened = self.open_failures = self.leaks = 0
        self.wait_seconds = 0.0
        self.closed = dict.fromkeys(Reason, 0)
