"""What differs between two configurations, as a reload would see it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import msgspec

from framework.plugins.gateway.admin_api import shown
from framework.plugins.gateway.generation import Generation

__all__ = ["differences"]


def differences(old: Generation, new: Generation) -> list[str]:
    """A line for each: ``+`` what is new, ``-`` what is gone, ``~`` what changes, with the values below it."""
    lines: list[str] = []
    for name, upstream in new.upstreams.items():
        known = old.upstreams.get(name)
        if known is None:
            lines.append(f"+ cluster {name}")
        elif known.config != upstream.config:
            how = "its connections stay" if known.can_become(upstream.config) else "it is made anew"
            lines += [f"~ cluster {name}: {how}", *_values(known.config, upstream.config)]
    lines += [f"- cluster {name}" for name in old.upstreams if name not in new.upstreams]
    for name, route in new.routes.items():
        before = old.routes.get(name)
        if before is None:
            lines.append(f"+ route {name}")
        elif before.config != route.config:
            lines += [f"~ route {name}", *_values(before.config, route.config)]
    lines += [f"- route {name}" for name in old.routes if name not in new.routes]
    for key in ("limits_url", "via", "watch", "access_log", "admin"):
        one, other = getattr(old.config, key), getattr(new.config, key)
        if one != other:
            when = "" if key == "via" else " (from the next start on)"
            lines.append(f"~ {key}: {_text(shown(one))} -> {_text(shown(other))}{when}")
    return lines


def _values(one: msgspec.Struct, other: msgspec.Struct) -> Iterator[str]:
    before, after = dict(_flat(shown(one))), dict(_flat(shown(other)))
    changed = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    for key in changed:
        yield f"    {key}: {_text(before.get(key))} -> {_text(after.get(key))}"
    if not changed:
        yield "    a secret"


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for name, one in cast("Mapping[object, object]", value).items():
            yield from _flat(one, f"{key}.{name}" if key else str(name))
    else:
        yield key, value


def _text(value: object) -> str:
    return "nothing" if value is None else msgspec.json.encode(value).decode()
