"""What a handler says of itself: summary and description from its docstring, a name from its qualified one."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from framework.app.binding.callee import name_of
from framework.errors import SetupError

__all__ = ["described", "operation_ids"]

_END_OF_SENTENCE: Final = re.compile(r"(?<!e\.g\.)(?<!i\.e\.)(?<=[.!?])\s+(?=[^a-z\s])")
# What follows is written for those who call the function, not for those who call the API.
_FOR_CALLERS: Final = re.compile(
    r"^(?:args|arguments|parameters|raises|returns|yields|attributes|examples?|notes?):\s*$",
    re.IGNORECASE | re.MULTILINE,
)


def described(handler: Callable[..., Any]) -> tuple[str, str]:
    """The first sentence of the docstring without its full stop, and all that follows it, as CommonMark."""
    while isinstance(handler, partial):
        handler = handler.func
    text = inspect.getdoc(handler) or ""
    found = _FOR_CALLERS.search(text)
    text = text[: found.start()].strip() if found else text.strip()
    first, _, rest = text.partition("\n\n")
    sentence, *more = _END_OF_SENTENCE.split(" ".join(first.split()), maxsplit=1)
    summary = sentence.removesuffix(".") if not sentence.endswith("..") else sentence
    return summary, "\n\n".join(part for part in (*more, rest.strip()) if part)


def operation_ids(wanted: Sequence[tuple[str | None, Callable[..., Any], str, str]]) -> list[str]:
    """One id per operation, unique, and the same at every build.

    Those that would share an id all take a longer one: the handler's qualified name, then with its module, the
    method, the place. So a new route never changes the id of another that it has no name in common with.

    Args:
        wanted: the id that the route states, its handler, the method, the place (host and path).

    Raises:
        SetupError: two routes state the same id.
    """
    stated = [id for id, *_ in wanted if id is not None]
    twice = sorted({id for id in stated if stated.count(id) > 1})
    if twice:
        raise SetupError([f"operation_id {id!r} is stated by more than one operation" for id in twice])
    spellings = [_spellings(*each) for each in wanted]
    levels = [0] * len(wanted)
    while True:
        ids = [names[level] for names, level in zip(spellings, levels, strict=True)]
        count = Counter(ids)
        raised = [
            min(level + (count[id] > 1), len(names) - 1)
            for id, level, names in zip(ids, levels, spellings, strict=True)
        ]
        if raised == levels:
            return _numbered(ids)
        levels = raised


def _numbered(ids: list[str]) -> list[str]:
    """Places that differ in what an id cannot hold, such as ``/a-b`` and ``/a_b``, are told apart by a number."""
    seen: Counter[str] = Counter()
    numbered: list[str] = []
    for id in ids:
        seen[id] += 1
        numbered.append(id if seen[id] == 1 else f"{id}_{seen[id]}")
    return numbered


def _spellings(stated: str | None, handler: Callable[..., Any], method: str, place: str) -> list[str]:
    if stated is not None:
        return [stated]
    name = name_of(handler).rpartition("<locals>.")[2]
    module = getattr(handler, "__module__", "")
    verb = method.lower()
    names = [name, f"{module}_{name}", f"{module}_{name}_{verb}", f"{module}_{name}_{verb}_{place}"]
    return [re.sub(r"[^A-Za-z0-9]+", "_", each).strip("_") for each in names]
