"""How often keys were asked for lately, roughly, in a byte or two for each."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

__all__ = ["FrequencySketch"]

_MOST: Final = 15
_WORD: Final = 0xFFFF_FFFF_FFFF_FFFF
_HALVED: Final = bytes(value >> 1 for value in range(256))


class FrequencySketch:
    """A count-min sketch with conservative update and two rows in one table; counts go to 15 and are halved after every
    ten times ``capacity`` of them, so that what was hot long ago cools down (Einziger, Friedman and Manes, "TinyLFU",
    2017, section 3.3)."""

    __slots__ = ("_counted", "_mask", "_sample", "_table")

    def __init__(self, capacity: int) -> None:
        size = 1 << max(6, (capacity * 8 - 1).bit_length())
        self._mask = size - 1
        self._table = bytearray(size)
        self._sample = max(10 * capacity, 64)
        self._counted = 0

    def increment(self, key: Hashable) -> None:
        """The key was asked for."""
        table = self._table
        code = _spread(hash(key) & _WORD)
        one, two = code & self._mask, (code >> 32) & self._mask
        first, second = table[one], table[two]
        least = first if first < second else second
        if least >= _MOST:
            return
        if first == least:
            table[one] = least + 1
        if second == least:
            table[two] = least + 1
        self._counted += 1
        if self._counted >= self._sample:
            self._table = table.translate(_HALVED)
            self._counted //= 2

    def frequency(self, key: Hashable) -> int:
        """How often, 0 to 15; never less than it was since the last halving."""
        code = _spread(hash(key) & _WORD)
        first, second = self._table[code & self._mask], self._table[(code >> 32) & self._mask]
        return first if first < second else second


def _spread(code: int) -> int:
    """Hashes of small integers differ in their last bits only; both halves of this one in all of theirs (the finaliser
    of SplitMix64, Steele, Lea and Flood, 2014)."""
    code = ((code ^ (code >> 30)) * 0xBF58_476D_1CE4_E5B9) & _WORD
    code = ((code ^ (code >> 27)) * 0x94D0_49BB_1331_11EB) & _WORD
    return code ^ (code >> 31)
