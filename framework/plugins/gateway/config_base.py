"""What the parts of the gateway's configuration are made of: one kind of Struct, and bounded numbers."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

__all__ = ["Part", "Record", "Seconds"]

Seconds = Annotated[float, Meta(gt=0, le=86_400)]
Part = Annotated[float, Meta(ge=0, le=1)]


class Record(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the configuration."""
