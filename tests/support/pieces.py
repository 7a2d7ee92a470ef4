"""Bytes cut as a network may cut them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

__all__ = ["split"]


def split(data: bytes, cuts: Iterable[int]) -> Iterator[bytes]:
    """``data`` in pieces, cut at any numbers, each taken modulo what there is to cut."""
    edges = sorted({0, *(cut % (len(data) + 1) for cut in cuts), len(data)})
    for start, stop in pairwise(edges):
        yield data[start:stop]
