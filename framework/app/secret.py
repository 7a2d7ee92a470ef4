"""A piece of text that does not leak by being printed."""

from __future__ import annotations

__all__ = ["HIDDEN", "Secret"]

HIDDEN = "***"


class Secret:
    """Text that only ``reveal()`` shows; ``repr``, ``str``, ``format`` and error messages show ``***``.

    A Secret has no encoding: msgspec and orjson refuse it, so that it cannot slip into a response.

    Args:
        value: the text to keep.

    Raises:
        TypeError: ``value`` is no str. The message does not repeat it.
    """

    __slots__ = ("_value",)
    _value: str

    def __init__(self, value: str) -> None:
        if not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance] - decoded settings are untyped
            raise TypeError(f"a secret is text, not {type(value).__name__}")
        object.__setattr__(self, "_value", value)

    def reveal(self) -> str:
        """The text itself."""
        return self._value

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a Secret does not change")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("a Secret does not change")

    def __repr__(self) -> str:
        return f"Secret('{HIDDEN}')"

    def __str__(self) -> str:
        return HIDDEN

    def __format__(self, spec: str) -> str:
        return format(HIDDEN, spec)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        from hmac import compare_digest

        return compare_digest(_bytes(self._value), _bytes(other._value))

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> tuple[type[Secret], tuple[str]]:
        return Secret, (self._value,)


def _bytes(text: str) -> bytes:
    # An environment that is not UTF-8 arrives with lone surrogates, which plain UTF-8 would refuse.
    return text.encode("utf-8", "surrogatepass")
