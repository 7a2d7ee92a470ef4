"""Changes of fields that a configuration asks for, compiled once."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from framework.errors import SetupError
from framework.http.request import Request
from framework.plugins.auth import PRINCIPAL
from framework.plugins.gateway.config import FieldEdits
from framework.plugins.gateway.fields import HOP_BY_HOP, alias_of
from framework.plugins.gateway.matching import Found

__all__ = ["Edits"]

Pairs = list[tuple[str, str]]
Value = Callable[[Request, Found[object]], str]

_named = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_is_name = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
_clean = re.compile(r"[^\t\x20-\x7e\x80-\xff]").sub
_RESERVED: Final = HOP_BY_HOP | {"content-length", "host"}

_KNOWN: Final[dict[str, Value]] = {
    "client": lambda request, _: "" if request.client is None else request.client.host,
    "host": lambda request, _: request.origin.host,
    "method": lambda request, _: request.method,
    "path": lambda request, _: request.raw_path,
    "scheme": lambda request, _: request.scheme,
    "request_id": lambda request, _: request.id,
    "subject": lambda request, _: _subject(request),
}


def _subject(request: Request) -> str:
    principal = request.get(PRINCIPAL)
    return "" if principal is None else principal.subject


class Edits:
    """``remove``, then ``set``, then ``add``.

    Raises:
        SetupError: a name that is none, or a field of the framing.
    """

    def __init__(self, config: FieldEdits, *, where: str) -> None:
        names = [*config.remove, *config.set, *config.add]
        wrong = [name for name in names if _is_name(name) is None or name.lower() in _RESERVED]
        if wrong:
            raise SetupError(f"{where}: {', '.join(wrong)} cannot be edited")
        self._removed = frozenset(alias_of(name.lower()) for name in (*config.remove, *config.set))
        self._added = [
            (name.lower(), _value(text)) for name, text in (*config.set.items(), *config.add.items())
        ]

    @property
    def are_none(self) -> bool:
        """Nothing is changed."""
        return not self._removed and not self._added

    def apply(self, fields: Pairs, request: Request, found: Found[object]) -> Pairs:
        """The fields as they are to be."""
        if self._removed:
            fields = [pair for pair in fields if alias_of(pair[0]) not in self._removed]
        if self._added:
            fields = [*fields, *((name, _clean("", value(request, found))) for name, value in self._added)]
        return fields


def _value(text: str) -> Value:
    """What a field's text comes to for a request. A name that is not known stands for a parameter of the pattern, and
    for nothing where that has none of the name."""
    if _named.search(text) is None:
        return lambda _, __: text

    def made(request: Request, found: Found[object]) -> str:
        def one(name: re.Match[str]) -> str:
            known = _KNOWN.get(name[1])
            return known(request, found) if known is not None else str(found.params.get(name[1], ""))

        return _named.sub(one, text)

    return made
