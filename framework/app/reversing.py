"""From a handler back to the path of its route."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from framework.app.binding.callee import name_of
from framework.app.record import AppRecord, all_apps
from framework.errors import CodecError, SetupError
from framework.routing import Converter, RouterBuilder, join, reverse
from framework.routing.pattern import Pattern

__all__ = ["all_converters", "find_path", "patterns_of"]


def find_path(app: AppRecord, handler: Callable[..., Any] | str, params: Mapping[str, object]) -> str:
    """See ``App.url``. Of several routes of one handler, the first that the parameters fit.

    What the build has found is asked first; then, for routes that came later, all that is recorded.
    """
    try:
        known = app.derived.patterns.get(handler, ())
    except TypeError:  # a callable that has no hash
        known = ()
    for pattern in known:
        try:
            return reverse(pattern, params)
        except CodecError:
            continue
    return _search(app, handler, params)


def _search(app: AppRecord, handler: Callable[..., Any] | str, params: Mapping[str, object]) -> str:
    refusal: CodecError | None = None
    for key, pattern in _recorded(app, all_converters(app)):
        if key != handler:
            continue
        try:
            return reverse(pattern, params)
        except CodecError as error:
            refusal = refusal or error
    if refusal is not None:
        raise refusal
    raise CodecError(f"no route leads to {handler if isinstance(handler, str) else name_of(handler)}")


def patterns_of(app: AppRecord, converters: Mapping[str, Converter]) -> dict[object, tuple[Pattern, ...]]:
    """The patterns of all routes of ``app`` and of what is mounted in it, by handler and by name."""
    found: dict[object, list[Pattern]] = {}
    for key, pattern in _recorded(app, converters):
        try:
            found.setdefault(key, []).append(pattern)
        except TypeError:  # a callable that has no hash
            continue
    return {key: tuple(patterns) for key, patterns in found.items()}


def _recorded(app: AppRecord, converters: Mapping[str, Converter]) -> Iterator[tuple[object, Pattern]]:
    """Every route's pattern, with its handler and again with its name."""
    builder = RouterBuilder[Any](converters)
    for prefix, each in all_apps(app):
        for record in each.all_records():
            pattern = builder.parse(join(prefix, record.pattern))
            yield record.handler, pattern
            if "name" in record.options:
                yield record.options["name"], pattern


def all_converters(app: AppRecord) -> dict[str, Converter]:
    """The kinds of path parameters of an app and of all that is mounted in it: patterns may use each other's.

    Raises:
        SetupError: two apps call different kinds the same.
    """
    converters: dict[str, Converter] = {}
    for _, each in all_apps(app):
        for name, converter in each.converters.items():
            if converters.setdefault(name, converter) is not converter:
                raise SetupError(f"path converter {name!r} is declared twice, differently")
    return converters
