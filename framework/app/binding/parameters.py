"""Reads a handler's signature: what each parameter is and where it comes from."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from types import UnionType
from typing import Annotated, Any, Final, Union
from uuid import UUID

import msgspec
from msgspec.structs import replace

from framework.app.binding.callee import Callee, name_of, read_callee
from framework.app.binding.markers import File, Marker
from framework.app.binding.shapes import Shape, bare, shape_of, type_name
from framework.di.key import without_none
from framework.errors import BindingError
from framework.http.multipart_form import UploadedFile
from framework.http.request import Request
from framework.net.websocket.socket import WebSocket

__all__ = ["REQUIRED", "Parameter", "Signature", "read_signature"]

REQUIRED: Final = inspect.Parameter.empty
_TEXT_SOURCES: Final = ("query", "header", "cookie")
_NAMELESS: Final = ("body", "form", "inject")
_SAMPLES: Final[Mapping[Any, Any]] = {str: "x", int: 1, float: 1.0, UUID: UUID(int=1)}


class Parameter(msgspec.Struct, frozen=True):
    """One parameter of a handler.

    Args:
        name: in the handler's signature.
        source: "path", "query", "header", "cookie", "body", "form", "file", "inject", "request", "socket", or
            "default" for what is never read.
        key: its name on the wire.
        type: its annotation without our markers; constraints stay on it.
        default: REQUIRED where there is none.
        many: takes every value of the name, not only the first.
        keyword: must be passed by name.
        lists: of a form, the members that take several values.
        max_size: bytes of a file.
    """

    name: str
    source: str
    key: str
    type: Any
    default: Any = REQUIRED
    many: bool = False
    keyword: bool = False
    lists: frozenset[str] = frozenset()
    max_size: int | None = None


class Signature(msgspec.Struct, frozen=True):
    """A handler's signature, read for one route. ``returns`` is REQUIRED where nothing is said."""

    callee: Callee
    parameters: tuple[Parameter, ...]
    returns: Any
    path_types: Mapping[str, Any]

    @property
    def wanted(self) -> tuple[Any, ...]:
        """The keys to be injected, in the order of the parameters."""
        return tuple(one.type for one in self.parameters if one.source == "inject")

    @property
    def body(self) -> Parameter | None:
        """The parameter that is read from the request's body."""
        return next((one for one in self.parameters if one.source in ("body", "form")), None)

    @property
    def takes_files(self) -> bool:
        """The body is a form that may have files."""
        return any(one.source == "file" for one in self.parameters)


def read_signature(
    handler: Callable[..., Any],
    *,
    where: str,
    path_types: Mapping[str, Any],
    provides: Callable[[Any], bool],
    namespace: Mapping[str, Any] | None = None,
    bodiless: bool = False,
) -> Signature:
    """Reads the parameters and the return annotation of ``handler``.

    Args:
        where: the route, for errors.
        path_types: the parameters of the route's pattern, and what their converters make.
        provides: whether the container has a provider for a type.
        namespace: names that annotations may use besides the handler's globals.
        bodiless: the route's methods carry no body, so that a Struct must say that it is one.

    Raises:
        BindingError: with every parameter that cannot be bound.
    """
    reader = _Reader(path_types, provides, namespace or {}, bodiless)
    try:
        callee = read_callee(handler)
    except BindingError as error:
        raise BindingError([f"{where}: {problem}" for problem in error.problems]) from error
    found = [reader.read(parameter, callee) for parameter in callee.parameters]
    returns = reader.attempt("its return annotation", lambda: reader.evaluate(callee.returns, callee.space))
    parameters = tuple(parameter for parameter in found if parameter is not None)
    for rivals in (("body", "form"), ("body", "file")):
        bodies = [parameter.name for parameter in parameters if parameter.source in rivals]
        if len(bodies) > 1 and not all(one.source == "file" for one in parameters if one.name in bodies):
            reader.problems.append(f"{' and '.join(bodies)} both want the body of the request")
    if reader.problems:
        name = name_of(handler)
        raise BindingError([f"{where}: {name}: {problem}" for problem in reader.problems])
    return Signature(callee, parameters, returns, path_types)


class _Reader:
    """Reads one signature, and goes on after a fault."""

    def __init__(
        self,
        path_types: Mapping[str, Any],
        provides: Callable[[Any], bool],
        namespace: Mapping[str, Any],
        bodiless: bool,
    ) -> None:
        self.problems: list[str] = []
        self._path_types = path_types
        self._provides = provides
        self._namespace = namespace
        self._bodiless = bodiless

    def attempt(self, what: str, read: Callable[[], Any]) -> Any:
        """The result of ``read``; a fault is noted as one of ``what``, and None is the result."""
        try:
            return read()
        except BindingError as error:
            self.problems += [f"{what}: {problem}" for problem in error.problems]
            return None

    def read(self, parameter: inspect.Parameter, callee: Callee) -> Parameter | None:
        """What a parameter is; None where that cannot be told."""
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            self.problems.append(
                f"no request can fill {str(parameter).partition(':')[0]}; a decorator keeps the signature of what "
                "it wraps with functools.wraps"
            )
            return None
        found: Parameter | None = self.attempt(
            f"parameter {parameter.name!r}", lambda: self._read(parameter, callee)
        )
        if found is None:
            return None
        return replace(found, keyword=parameter.kind is parameter.KEYWORD_ONLY)

    def evaluate(self, annotation: Any, space: Mapping[str, Any]) -> Any:
        """An annotation as a type; text is evaluated, also inside."""
        if annotation is REQUIRED:
            return REQUIRED

        def holder() -> None: ...

        holder.__annotations__ = {"it": annotation}
        try:
            return typing.get_type_hints(
                holder, globalns=dict(space), localns=dict(self._namespace), include_extras=True
            )["it"]
        except NameError as error:
            hint = "; import it at run time, not only under TYPE_CHECKING"
            raise BindingError(f"{annotation} cannot be evaluated: {error}{hint}") from error
        except Exception as error:  # an annotation is any expression, and can raise anything
            raise BindingError(f"{annotation!r} is no type: {error}") from error

    def _read(self, parameter: inspect.Parameter, callee: Callee) -> Parameter:
        name, default = parameter.name, parameter.default
        if isinstance(default, Marker) or (isinstance(default, type) and issubclass(default, Marker)):
            said = type_name(default if isinstance(default, type) else type(default))
            raise BindingError(f"{said} belongs in the annotation: Annotated[..., {said}]")
        if parameter.annotation is REQUIRED:
            if name in self._path_types:
                return Parameter(name, "path", name, Any)
            raise BindingError("it has no annotation, and the pattern does not name it")
        hint = self.evaluate(parameter.annotation, callee.space)
        marker, kept = _split(hint)
        if marker is not None:
            return self._marked(marker, name, kept, default)
        if name in self._path_types:
            return self._checked(Parameter(name, "path", name, hint))
        if bare(hint) is Request:
            return Parameter(name, "request", name, hint)
        kind = typing.get_origin(bare(hint)) or bare(hint)
        if isinstance(kind, type) and issubclass(kind, WebSocket):
            return Parameter(name, "socket", name, bare(hint))
        if self._is_provided(hint):
            return Parameter(name, "inject", name, hint, default)
        if _file_type(hint) is not None:
            return self._file(File(), name, hint, default)
        return self._unmarked(name, hint, default)

    def _marked(self, marker: Marker, name: str, hint: Any, default: Any) -> Parameter:
        source = marker.source
        if not source:
            raise BindingError(f"{type_name(type(marker))} says no source")
        if source in _NAMELESS and marker.name:
            raise BindingError(f"{type_name(type(marker))} takes no name, and has {marker.name!r}")
        if source == "inject":
            without = default is not REQUIRED and not self._is_provided(hint)
            return Parameter(name, "default" if without else "inject", name, hint, default)
        if isinstance(marker, File):
            return self._file(marker, name, hint, default)
        key = marker.name or name
        if source == "path":
            if key not in self._path_types:
                raise BindingError(f"the pattern has no {key!r}")
            return self._checked(Parameter(name, source, key, hint))
        if source == "header":
            key = (marker.name or name.replace("_", "-")).lower()
        return self._checked(Parameter(name, source, key, hint, default))

    def _file(self, marker: File, name: str, hint: Any, default: Any) -> Parameter:
        found = _file_type(hint)
        if found is None:
            raise BindingError(f"a file is an UploadedFile or a list of them, not {type_name(hint)}")
        if self._bodiless:
            raise BindingError("this route's requests have no body, and so no files")
        many, optional = found
        if optional and default is REQUIRED:
            default = None
        key = marker.name or name
        return Parameter(name, "file", key, hint, default, many=many, max_size=marker.max_size)

    def _unmarked(self, name: str, hint: Any, default: Any) -> Parameter:
        shape = _shape(hint)
        if shape.document:
            if self._bodiless:
                raise BindingError(
                    f"{type_name(hint)} would be the body, and this route's requests have none; "
                    "Annotated[..., Body] reads one all the same"
                )
            return self._checked(Parameter(name, "body", name, hint, default))
        if (shape.text or shape.many) and bare(hint) is not Any:
            return self._checked(Parameter(name, "query", name, hint, default))
        also = "; Annotated[..., Body] or Form reads the body as it" if shape.fields else ""
        raise BindingError(f"nothing provides {type_name(hint)}, and no text can be read as one{also}")

    def _checked(self, parameter: Parameter) -> Parameter:
        """The parameter, completed by what its type allows, once the two are found to fit."""
        source, hint = parameter.source, parameter.type
        if source == "path" and hint in (self._path_types[parameter.key], Any):
            return parameter
        shape = _shape(hint)
        if source == "path" and bare(hint) is self._path_types[parameter.key]:
            return parameter
        if source in ("body", "form"):
            if shape.opaque:
                raise BindingError(f"{', '.join(shape.opaque)}, which no document can hold")
            if source == "form" and not shape.fields:
                raise BindingError(f"a form has named fields, and {type_name(hint)} has none")
        elif not shape.text and not (shape.many and source in ("query", "header")):
            what = f"a {source}, which has one value," if shape.many else f"the text of a {source}"
            raise BindingError(f"{what} cannot be read as {type_name(hint)}")
        if source == "path":
            self._check_conversion(parameter)
            return parameter
        default = None if parameter.default is REQUIRED and shape.optional else parameter.default
        many = shape.many and source in _TEXT_SOURCES
        # A text that is there is not None, as which lax conversion would read the text "null".
        kept = without_none(hint) if source in _TEXT_SOURCES else hint
        return replace(parameter, type=kept, default=default, many=many, lists=shape.lists)

    def _check_conversion(self, parameter: Parameter) -> None:
        """Refuses a type that no value of the pattern's converter can become, constraints left aside."""
        made = self._path_types[parameter.key]
        wanted = bare(parameter.type)
        if made not in _SAMPLES or made is str or wanted not in (*_SAMPLES, bool, bytes):
            return
        try:
            msgspec.convert(_SAMPLES[made], wanted, strict=False)
        except msgspec.ValidationError as error:
            raise BindingError(f"the pattern makes it a {type_name(made)}: {error}") from error

    def _is_provided(self, hint: Any) -> bool:
        return self._provides(hint) or self._provides(without_none(hint))


def _file_type(hint: Any) -> tuple[bool, bool] | None:
    """Whether a type is a list of files, and whether it may be None; None for what is no file."""
    kind = bare(hint)
    many = typing.get_origin(kind) is list
    if many:
        (kind,) = typing.get_args(kind)
    return (many, without_none(hint) != hint) if bare(kind) is UploadedFile else None


def _shape(hint: Any) -> Shape:
    try:
        return shape_of(hint)
    except TypeError as error:
        raise BindingError(str(error)) from error


def _split(hint: Any) -> tuple[Marker | None, Any]:
    """The marker of an annotation, and the annotation without it; a marker inside ``| None`` counts as outside."""
    origin = typing.get_origin(hint)
    if origin in (Union, UnionType):
        parts = [_split(option) for option in typing.get_args(hint)]
        markers = [marker for marker, _ in parts if marker is not None]
        rest: Any = Union[tuple(kept for _, kept in parts)]  # noqa: UP007 - the members are known at run time only
    elif origin is Annotated:
        rest, *extras = typing.get_args(hint)
        markers = [marker for extra in extras if (marker := _as_marker(extra)) is not None]
        for extra in extras:
            if _as_marker(extra) is None:
                rest = Annotated[rest, extra]
    else:
        return None, hint
    if len(markers) > 1:
        raise BindingError(f"{type_name(hint)} names more than one source")
    return (markers[0], rest) if markers else (None, hint)


def _as_marker(extra: Any) -> Marker | None:
    if isinstance(extra, type):
        return extra() if issubclass(extra, Marker) else None
    return extra if isinstance(extra, Marker) else None
