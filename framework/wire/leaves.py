"""The door to the leaves: compiled where they were built, else (and with FRAMEWORK_PURE=1) the pure twin."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

__all__ = [
    "TWIN",
    "Head",
    "Limits",
    "RequestHead",
    "ResponseHead",
    "encode_fields",
    "encode_response",
    "parse_request",
    "parse_response",
]

if TYPE_CHECKING or os.environ.get("FRAMEWORK_PURE") == "1":
    from framework.wire._pure import (
        TWIN,
        Head,
        Limits,
        RequestHead,
        ResponseHead,
        encode_fields,
        encode_response,
        parse_request,
        parse_response,
    )
else:
    try:
        from framework.wire._encode import encode_fields, encode_response
        from framework.wire._head import TWIN, Head, Limits
        from framework.wire._request import RequestHead, parse_request
        from framework.wire._response import ResponseHead, parse_response
    except ImportError:
        from framework.wire._pure import (
            TWIN,
            Head,
            Limits,
            RequestHead,
            ResponseHead,
            encode_fields,
            encode_response,
            parse_request,
            parse_response,
        )
