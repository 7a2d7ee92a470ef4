"""What a hub counts."""

from __future__ import annotations

import msgspec

__all__ = ["HubStats"]


class HubStats(msgspec.Struct):
    """What a hub counts.

    Attributes:
        entries: that were made durable by this process.
        heard: that came from other processes. ``lag``: milliseconds that the last of them took.
        resyncs: followers that were told to ask again: ``slow`` of them because they did not read.
        catch_ups: times that a room was read from the log because something was missing.
        refused: requests beyond a limit; floods: connections closed for too many of these.
        errors: requests that failed by a fault of ours.
    """

    entries: int = 0
    heard: int = 0
    lag: float = 0.0
    resyncs: int = 0
    slow: int = 0
    catch_ups: int = 0
    refused: int = 0
    floods: int = 0
    errors: int = 0
