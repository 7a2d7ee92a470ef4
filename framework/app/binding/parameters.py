"""Reads a handler's signature: what each parameter is and where it comes from."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Union

import msgspec

from framework.app.binding.markers import Body, Cookie, Form, Header, Inject, Marker, Path, Query
from framework.errors import BindingError
from framework.http.request import Request

__all__ = ["REQUIRED", "Parameter", "read_parameters"]

REQUIRED: Final = inspect.Parameter.empty
LISTS: Final = (list, tuple, set, frozenset)
SCALARS: Final[tuple[type, ...]] = (str, int, float, bool, bytes)
SOURCES: Final[Mapping[type[Marker], str]] = {
    Path: "path",
    Query: "query",
    Header: "header",
    Cookie: "cookie",
    Body: "body",
    Form: "form",
    Inject: "inject",
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a handler.

    Args:
        name: in the handler's signature.
        source: "path", "query", "header", "cookie", "body", "form", "inject" or "request".
        key: its name on the wire.
        type: its annotation without our markers; constraints stay on it.
        default: REQUIRED where there is none.
        many: takes every value of the name, not only the first.
        keyword: must be passed by name.
    """

    name: str
    source: str
    key: str
    type: Any
    default: Any
    many: bool = False
    keyword: bool = False


def read_parameters(
    handler: Callable[..., Any],
    path_names: Collection[str],
    provides: Callable[[Any], bool],
    namespace: Mapping[str, Any],
    where: str,
) -> tuple[list[Parameter], Any]:
    """The parameters and the return annotation of ``handler``.

    Args:
        path_names: the parameters of the route's pattern.
        provides: whether the container has a provider for a type.
        namespace: names that annotations may use besides the handler's globals.
        where: the route, for errors.

    Raises:
        BindingError: with every parameter that cannot be bound.
    """
    try:
        hints = typing.get_type_hints(handler, localns=dict(namespace), include_extras=True)
    except NameError as error:
        raise BindingError(
            f"{where}: an annotation of {_name(handler)} cannot be evaluated: {error}"
        ) from error
    found: list[Parameter] = []
    problems: list[str] = []
    for parameter in inspect.signature(handler).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            problems.append(f"{where}: {_name(handler)} takes *{parameter.name}, which no request can fill")
            continue
        if parameter.name not in hints and parameter.name not in path_names:
            problems.append(f"{where}: parameter {parameter.name!r} of {_name(handler)} has no annotation")
            continue
        try:
            found.append(_read(parameter, hints.get(parameter.name, str), path_names, provides))
        except BindingError as error:
            problems += [f"{where}: {problem}" for problem in error.problems]
    bodies = [parameter.name for parameter in found if parameter.source in ("body", "form")]
    if len(bodies) > 1:
        problems.append(f"{where}: {' and '.join(bodies)} both want the body of the request")
    if problems:
        raise BindingError(problems)
    return found, hints.get("return", REQUIRED)


def _read(
    parameter: inspect.Parameter, hint: Any, path_names: Collection[str], provides: Callable[[Any], bool]
) -> Parameter:
    marker, bare = _split(hint)
    name = parameter.name
    if marker is not None:
        source = SOURCES[type(marker)]
    elif name in path_names:
        source = "path"
    elif bare is Request:
        source = "request"
    elif provides(hint) or provides(_without_none(hint)):
        return Parameter(name, "inject", name, hint, parameter.default, keyword=_by_name(parameter))
    elif _is_body(bare):
        source = "body"
    elif _is_simple(bare):
        source = "query"
    else:
        raise BindingError(
            f"parameter {name!r}: nothing provides {_type_name(hint)}, and no request can be read as one"
        )
    if source == "path" and (marker.name if marker and marker.name else name) not in path_names:
        raise BindingError(f"parameter {name!r} is not in the pattern")
    key = (marker.name if marker else "") or (name.replace("_", "-") if source == "header" else name)
    many = source in ("query", "header") and typing.get_origin(_strip(bare)) in LISTS
    return Parameter(
        name,
        source,
        key.lower() if source == "header" else key,
        bare,
        parameter.default,
        many,
        _by_name(parameter),
    )


def _by_name(parameter: inspect.Parameter) -> bool:
    return parameter.kind is parameter.KEYWORD_ONLY


def _split(hint: Any) -> tuple[Marker | None, Any]:
    """The marker of an annotation, and the annotation without it."""
    if typing.get_origin(hint) is not Annotated:
        return None, hint
    base, *extras = typing.get_args(hint)
    markers = [
        extra() if isinstance(extra, type) and issubclass(extra, Marker) else extra
        for extra in extras
        if isinstance(extra, Marker) or (isinstance(extra, type) and issubclass(extra, Marker))
    ]
    others = [
        extra
        for extra in extras
        if not isinstance(extra, Marker) and not (isinstance(extra, type) and issubclass(extra, Marker))
    ]
    if not markers:
        return None, hint
    if len(markers) > 1:
        raise BindingError(f"{_type_name(hint)} names more than one source")
    rest: Any = base
    for extra in others:
        rest = Annotated[rest, extra]
    return markers[0], rest


def _strip(hint: Any) -> Any:
    hint = _without_none(hint)
    while typing.get_origin(hint) is Annotated:
        hint = _without_none(typing.get_args(hint)[0])
    return hint


def _without_none(hint: Any) -> Any:
    if typing.get_origin(hint) in (Union, UnionType):
        left = [option for option in typing.get_args(hint) if option is not NoneType]
        if len(left) == 1:
            return left[0]
    return hint


def _options(hint: Any) -> tuple[Any, ...]:
    hint = _strip(hint)
    return typing.get_args(hint) if typing.get_origin(hint) in (Union, UnionType) else (hint,)


def _is_body(hint: Any) -> bool:
    """A Struct, a union of Structs, or a list of them: what only a JSON body can hold."""
    for option in _options(hint):
        bare = _strip(option)
        origin = typing.get_origin(bare)
        if origin in LISTS:
            return any(_is_body(item) for item in typing.get_args(bare) if item is not Ellipsis)
        if isinstance(origin or bare, type) and issubclass(origin or bare, msgspec.Struct):
            return True
    return False


def _is_simple(hint: Any) -> bool:
    """What the text of a query parameter can say, by msgspec's lax conversion."""
    for option in _options(hint):
        bare = _strip(option)
        if typing.get_origin(bare) in LISTS:
            if not all(_is_simple(item) for item in typing.get_args(bare) if item is not Ellipsis):
                return False
            continue
        if bare in SCALARS or bare is NoneType or typing.get_origin(bare) is typing.Literal:
            continue
        try:
            kind = type(msgspec.inspect.type_info(bare)).__name__
        except Exception:
            return False
        if kind not in (
            "EnumType",
            "DateTimeType",
            "DateType",
            "TimeType",
            "TimeDeltaType",
            "UUIDType",
            "DecimalType",
        ):
            return False
    return True


def _name(handler: Callable[..., Any]) -> str:
    return getattr(handler, "__qualname__", repr(handler))


def _type_name(hint: Any) -> str:
    return hint.__qualname__ if isinstance(hint, type) else str(hint).replace("typing.", "")
