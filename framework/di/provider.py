"""Reads a factory's signature once: what it needs, what it provides, how it is called. Knows no graph."""

from __future__ import annotations

import collections.abc
import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from functools import partial
from typing import Any, TypeGuard, get_args, get_origin

import msgspec

from framework.di.key import Key, name_of
from framework.di.scope import Scope
from framework.errors import GraphError

__all__ = ["Dependency", "Kind", "Provider", "is_factory", "parse", "value"]

_ITERATORS = (
    collections.abc.Iterator,
    collections.abc.Iterable,
    collections.abc.Generator,
    collections.abc.AsyncIterator,
    collections.abc.AsyncIterable,
    collections.abc.AsyncGenerator,
)
_NO_DEFAULT = inspect.Parameter.empty


class Kind(Enum):
    """How the object comes out of what was registered."""

    VALUE = "value"
    CALL = "call"
    COROUTINE = "coroutine"
    GENERATOR = "generator"
    ASYNC_GENERATOR = "async generator"


class Dependency(msgspec.Struct, frozen=True):
    """One parameter of a factory."""

    parameter: str
    key: Key
    default: object
    positional_only: bool
    keyword_only: bool

    @property
    def has_default(self) -> bool:
        """Whether the factory can be called without it."""
        return self.default is not _NO_DEFAULT


class Provider(msgspec.Struct, frozen=True, eq=False):
    """A factory, read. ``source`` is the factory, or the object itself when ``kind`` is VALUE."""

    key: Key
    scope: Scope
    kind: Kind
    source: Any
    dependencies: tuple[Dependency, ...]
    label: str


def value(key: Key, instance: object) -> Provider:
    """A provider of an object that exists already and belongs to someone else."""
    return Provider(key, Scope.APP, Kind.VALUE, instance, (), f"a value ({type(instance).__qualname__})")


def is_factory(thing: object) -> TypeGuard[Callable[..., Any]]:
    """Whether ``thing`` is meant to be called: a class, a function or a partial; a callable object is not."""
    return inspect.isclass(thing) or inspect.isroutine(thing) or isinstance(thing, partial)


def parse(factory: Callable[..., Any], scope: Scope, provides: Key = None) -> Provider:
    """Reads ``factory``; ``provides`` stands in for its return annotation.

    Raises:
        GraphError: every annotation that is missing or cannot be resolved, or a factory that cannot serve.
    """
    reading = _Reading(factory)
    reading.finish()
    key = reading.provided() if provides is None else provides
    dependencies = tuple(reading.dependencies())
    reading.finish()
    return Provider(key, scope, reading.kind, factory, dependencies, reading.label)


class _Reading:
    """One pass over a factory, collecting what is wrong with it."""

    def __init__(self, factory: Callable[..., Any]) -> None:
        self.problems: list[str] = []
        self.factory = factory
        self.fixed: set[str] = set()
        target: Any = factory
        while _is_partial(target):
            self.fixed |= target.keywords.keys()
            target = target.func
        self.target: Any = target
        named: Any = target if hasattr(target, "__qualname__") else target.__class__
        self.label = f"{named.__module__}.{named.__qualname__}"
        self.code = _code(self.target)
        self.kind = Kind.CALL if inspect.isclass(self.target) else _kind(self.code)
        self.hints = self._hints()
        self._refuse_unusable()

    def finish(self) -> None:
        if self.problems:
            raise GraphError(self.problems)

    def provided(self) -> Key:
        if inspect.isclass(self.target):
            return self.target
        key = self.hints.get("return", _NO_DEFAULT)
        if key is typing.Self:
            key = self.target.__self__
        if self.kind in (Kind.GENERATOR, Kind.ASYNC_GENERATOR) and key is not _NO_DEFAULT:
            if get_origin(key) not in _ITERATORS:
                self._problem(f"yields, but its return annotation {name_of(key)} is no (Async)Iterator")
                return None
            key = get_args(key)[0]
        if key is _NO_DEFAULT or key is Any or key is type(None):
            self._problem("has no return annotation that says what it provides")
        return key

    def dependencies(self) -> Iterator[Dependency]:
        for parameter in self._parameters():
            is_rest = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
            if is_rest or parameter.name in self.fixed:
                continue
            key = self.hints.get(parameter.name, _NO_DEFAULT)
            if key is not _NO_DEFAULT and _is_hashable(key):
                yield Dependency(
                    parameter.name,
                    key,
                    parameter.default,
                    positional_only=parameter.kind is parameter.POSITIONAL_ONLY,
                    keyword_only=parameter.kind is parameter.KEYWORD_ONLY,
                )
            elif parameter.default is _NO_DEFAULT:
                fault = "has no annotation" if key is _NO_DEFAULT else "has an unhashable annotation"
                self._problem(f"parameter {parameter.name!r} {fault}")

    def _parameters(self) -> list[inspect.Parameter]:
        try:
            if self.factory is self.target and inspect.isclass(self.target) and self.code is not self.target:
                return list(inspect.signature(self.code).parameters.values())[1:]
            return list(inspect.signature(self.factory).parameters.values())
        except ValueError:
            self._problem("has no signature that can be read; wrap it in a function")
            return []

    def _hints(self) -> Mapping[str, Any]:
        try:
            return typing.get_type_hints(self.code, include_extras=True)
        except Exception as error:  # an annotation is any expression, and can raise anything
            self._problem(f"has an annotation that cannot be resolved at run time: {error}")
            return {}

    def _refuse_unusable(self) -> None:
        if inspect.isabstract(self.target) or getattr(self.target, "_is_protocol", False):
            self._problem("is abstract: provide a class that implements it, with provides=")
        wrapped = inspect.unwrap(self.target) if callable(self.target) else None
        if wrapped is not self.target and _kind(wrapped) in (Kind.GENERATOR, Kind.ASYNC_GENERATOR):
            self._problem("wraps a generator function: provide the undecorated function, which is cleaned up")

    def _problem(self, text: str) -> None:
        self.problems.append(f"{self.label} (factory: {text})")


def _code(target: Any) -> Any:
    """What carries the annotations: a class's initialiser, an instance's ``__call__``, or the thing as is."""
    if inspect.isclass(target):
        if hasattr(target, "_field_defaults"):
            return target  # a named tuple's constructor has lost its module
        own = (function for function in (target.__init__, target.__new__) if inspect.isfunction(function))
        return next(own, target)
    return target if inspect.isroutine(target) else type(target).__call__


def _kind(code: Any) -> Kind:
    if inspect.isasyncgenfunction(code):
        return Kind.ASYNC_GENERATOR
    if inspect.isgeneratorfunction(code):
        return Kind.GENERATOR
    return Kind.COROUTINE if inspect.iscoroutinefunction(code) else Kind.CALL


def _is_partial(target: object) -> TypeGuard[partial[Any]]:
    return isinstance(target, partial)


def _is_hashable(key: Key) -> bool:
    try:
        hash(key)
    except TypeError:
        return False
    return True
