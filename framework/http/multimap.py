"""An immutable map from a name to one or more texts. It must not know what the names stand for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar, overload

__all__ = ["MultiMap"]

T = TypeVar("T")


class MultiMap:
    """Pairs of name and value; of values with one name, ``get`` and ``[]`` give the first.

    Args:
        pairs: adopted without a copy; the index is made at the first look-up, so making one costs nothing.
    """

    __slots__ = ("_index", "_pairs")

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._pairs = pairs
        self._index: dict[str, str] | None = None

    @overload
    def get(self, name: str) -> str | None: ...
    @overload
    def get(self, name: str, default: T) -> str | T: ...
    def get(self, name: str, default: T | None = None) -> str | T | None:
        """The first value called ``name``, ``default`` when there is none."""
        return self._first().get(name, default)

    def get_all(self, name: str) -> list[str]:
        """Every value called ``name``, in order."""
        return [value for key, value in self.items() if key == name]

    def items(self) -> Sequence[tuple[str, str]]:
        """All pairs in order, repeated names included."""
        return self._pairs

    def _first(self) -> dict[str, str]:
        index = self._index
        if index is None:
            # Reversed, so that of equal names the first is the last to be put in.
            index = self._index = dict(self.items()[::-1])
        return index

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def __iter__(self) -> Iterator[str]:
        """The distinct names, in the order they first appear."""
        return iter(dict(self.items()))

    def __len__(self) -> int:
        """The number of distinct names."""
        return len(self._first())

    def __eq__(self, other: object) -> bool:
        return list(self.items()) == list(other.items()) if isinstance(other, type(self)) else NotImplemented

    def __repr__(self) -> str:
        # Names only: values are passwords and tokens as often as not, and a repr ends in a log.
        return f"<{type(self).__name__} {', '.join(self)}>"
