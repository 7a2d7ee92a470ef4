"""The cyclic garbage collector as a server wants it: seldom, and not over what never becomes garbage."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["collecting_seldom"]


@contextmanager
def collecting_seldom(threshold: int) -> Generator[None]:
    """While a process serves. What there is by then (modules, routes, schemas) is frozen: no collection looks at it.

    With dozens of requests under way, each some dozens of objects, Python's own threshold of 700 means a collection for
    every few requests that finds nothing: a tenth of what a proxied request costs.

    Args:
        threshold: of the youngest generation, in objects made and not yet freed; 0 leaves the collector as it is.
    """
    if not threshold:
        yield
        return
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(threshold, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
