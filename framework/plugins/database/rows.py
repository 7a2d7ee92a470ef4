"""Rows as the types that were asked for."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

import msgspec

from framework.errors import CodecError

__all__ = ["as_rows"]


def as_rows(columns: Sequence[str], rows: Sequence[Sequence[Any]], type: Any) -> list[Any]:
    """Dictionaries where ``type`` is None; Structs and the like by the names of the columns; of one column its values
    where the type is no such thing. Raises CodecError with the row and the column that do not fit."""
    if type is None:
        return [dict(zip(columns, row, strict=True)) for row in rows]
    by_name = _has_names(type)
    if not by_name and len(columns) != 1:
        raise CodecError(
            f"a row of {len(columns)} columns is no {type!r}: name a Struct with fields for them"
        )
    made: list[Any] = []
    for number, row in enumerate(rows, 1):
        value = dict(zip(columns, row, strict=True)) if by_name else row[0]
        try:
            # Lax where databases have no better type: SQLite's integers for booleans, texts for dates.
            made.append(msgspec.convert(value, type, strict=False))
        except msgspec.ValidationError as error:
            raise CodecError(f"row {number}: {error}") from None
    return made


def _has_names(wanted: Any) -> bool:
    """Whether values of the type have their members by name."""
    if not isinstance(wanted, builtins.type):
        return False
    kind: Any = wanted
    named = ("__struct_fields__", "__dataclass_fields__", "_fields", "__total__")
    return issubclass(kind, dict) or any(hasattr(kind, name) for name in named)
