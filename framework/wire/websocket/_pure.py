"""The pure-Python twin of the compiled leaves, always there: the same names, results and faults."""

from __future__ import annotations

from typing import Final

from framework.wire.websocket._pure_encode import encode_batch, encode_binary, encode_frame, encode_text
from framework.wire.websocket._pure_frames import FrameParser
from framework.wire.websocket._pure_mask import apply_mask

__all__ = [
    "TWIN",
    "FrameParser",
    "apply_mask",
    "encode_batch",
    "encode_binary",
    "encode_frame",
    "encode_text",
]

TWIN: Final[str] = "pure"
