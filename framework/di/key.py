"""Keys: what a factory provides and a parameter asks for. Their names, and which of them are alike."""

from __future__ import annotations

import re
import types
from collections.abc import Iterable
from typing import Annotated, Any, TypeAlias, Union, get_args, get_origin

__all__ = ["Key", "name_of", "nearest", "slug", "without_none"]

Key: TypeAlias = Any
"""A class, a generic alias, a NewType or ``Annotated[T, "name"]``: any hashable type form.

Type checkers have no name for "a type form as a value" in a mapping; ``get`` is precise all the same.
"""


def without_none(key: Key) -> Key:
    """``T`` for ``T | None``, also inside ``Annotated``; any other key as it is."""
    origin: Any = get_origin(key)
    if origin is Annotated:
        inner = without_none(key.__origin__)
        return key if inner is key.__origin__ else Annotated[(inner, *key.__metadata__)]
    if origin is not Union and origin is not types.UnionType:
        return key
    members = tuple(member for member in get_args(key) if member is not types.NoneType)
    return Union[members] if len(members) < len(get_args(key)) else key  # noqa: UP007 - members known at run time


def name_of(key: Key) -> str:
    """The key as it is written, without modules: ``Repository[User]``, ``Annotated[Database, 'main']``."""
    origin: Any = get_origin(key)
    if origin is Annotated:
        return f"Annotated[{', '.join([name_of(key.__origin__), *map(repr, key.__metadata__)])}]"
    if origin is Union or origin is types.UnionType:
        return " | ".join(map(name_of, get_args(key)))
    if origin is not None:
        return f"{name_of(origin)}[{', '.join(map(name_of, get_args(key)))}]"
    if key is types.NoneType:
        return "None"
    return getattr(key, "__name__", None) or repr(key)


def slug(key: Key) -> str:
    """The key as part of a variable's name: ``user_service`` for ``UserService``."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name_of(key))
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")


def nearest(key: Key, candidates: Iterable[Key]) -> str | None:
    """The name of the candidate that was probably meant, or None. Relatives come before namesakes.

    A namesake from another module is named with its module, for the short name would say nothing.
    """
    keys = list(candidates)
    for candidate in keys:
        if _are_related(_bare(key), _bare(candidate)):
            return _distinct(candidate, key)
    by_name = {name_of(candidate): candidate for candidate in keys}
    if name_of(key) in by_name:
        return _distinct(by_name[name_of(key)], key)
    from difflib import get_close_matches  # costs 5 ms to import, and only a failing start needs it

    matches = get_close_matches(name_of(key), by_name, n=1, cutoff=0.7)
    return matches[0] if matches else None


def _bare(key: Key) -> Key:
    """The class under qualifiers, ``None`` and type arguments."""
    key = without_none(key)
    origin: Any = get_origin(key)
    return _bare(key.__origin__) if origin is Annotated else origin or key


def _are_related(one: Key, other: Key) -> bool:
    if one is other:
        return True
    if not isinstance(one, type) or not isinstance(other, type):
        return False
    return one in other.__mro__[:-1] or other in one.__mro__[:-1]


def _distinct(candidate: Key, key: Key) -> str:
    name = name_of(candidate)
    return f"{candidate.__module__}.{name}" if name == name_of(key) else name
