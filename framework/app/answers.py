"""How a route tells of a response that its handler's return type does not: for descriptions, nothing checks it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

__all__ = ["Answer"]


class Answer(msgspec.Struct, frozen=True):
    """One response that a route may give.

    Args:
        description: when it is given; the status phrase if empty.
        type: of its body. None is what goes without saying: the type of ``returns`` or of the handler for the
            route's own status, a problem document from 400 on, otherwise no body.
        media_type: of its body; by default what such a type is sent as. ``""``: there is no body.
        headers: the fields it carries, each with what it says.
    """

    description: str = ""
    type: Any = None
    media_type: str | None = None
    headers: Mapping[str, str] = {}
