"""What a channel asks of those who subscribe: the sending side of a WebSocket, or of anything that behaves like one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from framework.wire.websocket.compression import Deflater

__all__ = ["Member"]


class Member(Protocol):
    """Takes whole frames; found by its identity, so it is hashable and equal to nothing else."""

    @property
    def closed(self) -> bool:
        """Nothing can be sent any more."""
        ...

    @property
    def buffered(self) -> int:
        """Bytes that were written and that the peer has not taken."""
        ...

    @property
    def deflater(self) -> Deflater | None:
        """What compresses; its ``key`` groups the members to which the same compressed bytes may go."""
        ...

    def write_frames(self, data: bytes, /) -> None:
        """Writes whole frames, encoded for the deflater's key; nothing happens once closed. Never waits."""
        ...

    def start_closing(self, code: int, reason: str, /) -> None:
        """Begins the closing handshake, without waiting for it."""
        ...

    def on_closed(self, callback: Callable[[object], None], /) -> None:
        """Calls back with the member once it is closed, for whatever cause."""
        ...

    def on_drained(self, callback: Callable[[], None], /) -> None:
        """Calls back once, from the loop: when what waits is below the low watermark, or the peer is gone.

        Where it is below that already, or was never above the high one, that is soon.
        """
        ...
