"""What must not be read in a log: values of fields whose names tell of secrets, passwords in URLs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import is_dataclass
from typing import Any, Final

import msgspec

from framework.app.secret import HIDDEN, Secret

__all__ = ["Redaction", "plain"]

_MAX_DEPTH: Final = 8
_MAX_REMEMBERED: Final = 4096
_HARMLESS: Final[frozenset[type[Any]]] = frozenset({int, float, bool, type(None)})
_BYTES: Final = (bytes, bytearray, memoryview)
_SECRETS: Final = (
    "authorization",
    "cookies?",
    "credentials?",
    "passphrase",
    "passwd",
    "passwords?",
    "private_?key",
    "pwd",
    "secrets?",
    "tokens?",
    "api_?keys?",
)
_user_in_url = re.compile(r"(?<=://)[^/\s?#@]+@").sub
_camel = re.compile(r"(?<=[a-z0-9])(?=[A-Z])").sub


class Redaction:
    """Puts ``***`` in the place of secrets.

    A name tells of one when it is, or ends with, a word such as ``password``, ``token``, ``api_key``, ``cookie`` or
    ``authorization``, however it is spelled: ``X-Api-Key``, ``userPassword``. Numbers are left alone (``max_tokens``).

    Args:
        names: more such words.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        words = [*_SECRETS, *(re.escape(_spelled(name)) for name in names)]
        self._tells = re.compile(rf"(?:.*_)?(?:{'|'.join(words)})").fullmatch
        self._known: dict[str, bool] = {}

    def hides(self, name: str) -> bool:
        """Whether values of that name are hidden."""
        known = self._known.get(name)
        if known is None:
            if len(self._known) >= _MAX_REMEMBERED:
                self._known.clear()
            known = self._known[name] = self._tells(_spelled(name)) is not None
        return known

    def text(self, text: str) -> str:
        """A text without the user names and passwords of the URLs in it."""
        return _user_in_url(f"{HIDDEN}@", text) if "://" in text else text

    def fields(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The fields, with all that is in them, redacted."""
        return {name: self._named(name, value, 0) for name, value in fields.items()}

    def _value(self, value: Any, depth: int) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if type(value) in _HARMLESS:
            return value
        if depth >= _MAX_DEPTH:
            return "..."
        if _is_record(value):
            value = msgspec.to_builtins(value, enc_hook=plain)
        inner: Any = value
        if isinstance(value, Mapping):
            return {str(name): self._named(str(name), each, depth + 1) for name, each in inner.items()}
        if isinstance(value, Sequence | Set) and not isinstance(value, _BYTES):
            return [self._value(each, depth + 1) for each in inner]
        return inner

    def _named(self, name: str, value: Any, depth: int) -> Any:
        return HIDDEN if type(value) not in _HARMLESS and self.hides(name) else self._value(value, depth)


def _is_record(value: Any) -> bool:
    return isinstance(value, msgspec.Struct) or (is_dataclass(value) and not isinstance(value, type))


def _spelled(name: str) -> str:
    return _camel("_", name).replace("-", "_").lower()


def plain(value: object) -> str:
    """A value as text, whatever it is."""
    if isinstance(value, Secret):
        return HIDDEN
    try:
        return value if isinstance(value, str) else repr(value)
    except Exception:
        return f"<{type(value).__qualname__}>"
