"""Where generated code finds an app-scoped object: one attribute load, ``cell.value``, and no check."""

from __future__ import annotations

from typing import Any

__all__ = ["Cell"]


class Cell:
    """A place for one object. An empty cell is of another class, whose ``value`` raises."""

    __slots__ = ("name", "value")

    name: str
    value: Any

    def __init__(self, name: str) -> None:
        self.name = name
        _become(self, _EmptyCell)

    @property
    def is_full(self) -> bool:
        """Whether ``value`` can be read."""
        return type(self) is Cell

    def fill(self, value: Any) -> None:
        """Puts the object in, in place of one that may be there."""
        _become(self, Cell)
        self.value = value

    def clear(self) -> None:
        """Lets go of the object, if there is one."""
        if self.is_full:
            del self.value
            _become(self, _EmptyCell)


class _EmptyCell(Cell):
    __slots__ = ()

    @property
    def value(self) -> Any:
        raise RuntimeError(f"{self.name} is app-scoped, and the app scope has not built it: was it started?")


def _become(cell: Any, kind: type[Cell]) -> None:
    cell.__class__ = kind
