"""From a handler back to the path of its route."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from framework.app.binding.callee import name_of
from framework.app.record import AppRecord, all_apps
from framework.errors import CodecError, SetupError
from framework.routing import Converter, RouterBuilder, join, reverse

__all__ = ["all_converters", "find_path"]


def find_path(app: AppRecord, handler: Callable[..., Any] | str, params: Mapping[str, object]) -> str:
    """See ``App.url``. Of several routes of one handler, the first that the parameters fit."""
    builder = RouterBuilder[Any](all_converters(app))
    refusal: CodecError | None = None
    for prefix, each in all_apps(app):
        for record in each.all_records():
            if record.handler != handler and record.options.get("name", record) != handler:
                continue
            try:
                return reverse(builder.parse(join(prefix, record.pattern)), params)
            except CodecError as error:
                refusal = refusal or error
    if refusal is not None:
        raise refusal
    raise CodecError(f"no route leads to {handler if isinstance(handler, str) else name_of(handler)}")


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
