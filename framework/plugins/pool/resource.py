"""What a pool asks of the things it keeps: how they are opened, checked, reset and closed."""

from __future__ import annotations

from abc import abstractmethod
from enum import Enum
from typing import Protocol, TypeVar

__all__ = ["Condition", "Resource"]

T = TypeVar("T")


class Condition(Enum):
    """What state a connection is in, as far as that shows without asking the other side.

    CLEAN: the next borrower may have it as it is. DIRTY: it has to be reset first. BROKEN: it is closed, or an exchange
    on it was cut short, so that the next answer would be somebody else's.
    """

    CLEAN = "clean"
    DIRTY = "dirty"
    BROKEN = "broken"


class Resource(Protocol[T]):
    """How connections of one kind are made and ended. Subclass it: all but ``open`` and ``terminate`` have defaults.

    The pool calls each under a deadline, by cancelling it. Whatever an ``open`` that fails or is cancelled has opened
    so far is its own to end.
    """

    @abstractmethod
    async def open(self) -> T:
        """Opens a connection. Called for each anew: credentials that change are to be read here."""
        ...

    @abstractmethod
    def terminate(self, connection: T) -> None:
        """Ends a connection now, without a word to the other side. Neither waits nor raises; twice does no harm."""
        ...

    async def check(self, connection: T) -> None:
        """Asks the other side whether it is there. Raises when it is not."""
        return  # a body of its own: without one, type checkers take the method for abstract

    async def reset(self, connection: T) -> None:
        """Undoes what a borrower has left: transactions, settings, subscriptions. Raises when it cannot."""
        return

    async def close(self, connection: T) -> None:
        """Takes leave of the other side. By default just terminates."""
        self.terminate(connection)

    def condition(self, connection: T) -> Condition:
        """The connection's state; called each time one is lent or returned, so it must be quick.

        By default DIRTY. Where exchanges can be cut short, by a cancellation say, it has to tell BROKEN then.
        """
        return Condition.DIRTY
