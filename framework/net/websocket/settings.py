"""How a WebSocket behaves: section ``[websocket]``, and what an endpoint says otherwise."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

__all__ = ["WebSocketSettings"]

Seconds = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]


class WebSocketSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits, deadlines and watermarks of one WebSocket. Durations in seconds, sizes in bytes.

    Attributes:
        subprotocols: what the server speaks, the best first.
        origins: of pages that may connect, as browsers write them ("https://example.com"); "*" is any. None is those
            with the host and port that was asked for. A client that is no browser sends no Origin, and may connect.
        compression: permessage-deflate for clients that offer it. It needs ``framework[deflate]``.
        max_message: of a message, inflated; a larger one closes with 1009, as do the next two.
        max_frame: of a frame.
        max_fragments: frames of a message.
        ping_interval: from one ping to the next; None sends none.
        ping_timeout: within it the peer has to answer a ping, or to send at least a kilobyte. Else it is cut off.
        close_timeout: within it the peer has to answer a close, and then a handler to end that goes on all the same.
        max_queue: messages that may wait for the handler before reading pauses.
        write_limit: the high watermark: from there on ``send`` waits, and a listener is handed no more messages.
        max_unsent: at most this may wait for a peer that does not read; then it is cut off.
    """

    subprotocols: tuple[str, ...] = ()
    origins: tuple[str, ...] | None = None
    compression: bool = False

    max_message: Count = 1_048_576
    max_frame: Count = 1_048_576
    max_fragments: Count = 65_536

    ping_interval: Seconds | None = 20.0
    ping_timeout: Seconds = 20.0
    close_timeout: Seconds = 10.0

    max_queue: Count = 16
    write_limit: Count = 65_536
    max_unsent: Count = 16_777_216
