"""The limits of an app's channels."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

__all__ = ["ChannelSettings"]

Positive = Annotated[int, Meta(gt=0)]


class ChannelSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Limits of one registry, in one process.

    Attributes:
        max_channels: that have members; names are often made of what clients say.
        max_members: of one channel, listeners included.
        high_watermark: a member is too slow when more bytes wait for its peer, and its policy holds until it has
            drained. Not below the high watermark of the members' own transports.
        max_turn_bytes: published in a turn of the loop before its end is not waited for; so much may come on top of
            the high watermark.
    """

    max_channels: Positive = 100_000
    max_members: Positive = 100_000
    high_watermark: Positive = 65_536
    max_turn_bytes: Positive = 262_144
