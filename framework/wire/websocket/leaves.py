"""The door to the leaves: compiled where they were built, else (and with FRAMEWORK_PURE=1) the pure twin."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

__all__ = [
    "TWIN",
    "FrameParser",
    "apply_mask",
    "encode_batch",
    "encode_binary",
    "encode_frame",
    "encode_text",
]

if TYPE_CHECKING or os.environ.get("FRAMEWORK_PURE") == "1":
    from framework.wire.websocket._pure import (
        TWIN,
        FrameParser,
        apply_mask,
        encode_batch,
        encode_binary,
        encode_frame,
        encode_text,
    )
else:
    try:
        from framework.wire.websocket._encode import (
            apply_mask,
            encode_batch,
            encode_binary,
            encode_frame,
            encode_text,
        )
        from framework.wire.websocket._frames import TWIN, FrameParser
    except ImportError:
        from framework.wire.websocket._pure import (
            TWIN,
            FrameParser,
            apply_mask,
            encode_batch,
            encode_binary,
            encode_frame,
            encode_text,
        )
