"""Values of one type below one prefix, and functions whose results are cached."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Generic, ParamSpec, TypeVar, Unpack, cast

import msgspec

from framework.errors import SetupError
from framework.plugins.cache.cache import Cache
from framework.plugins.cache.entry import MISSING, Missing
from framework.plugins.cache.options import LoadOptions

__all__ = ["CachedFunction", "TypedCache", "cached"]

T = TypeVar("T")
D = TypeVar("D")
P = ParamSpec("P")

_encode: Final = msgspec.json.Encoder(order="deterministic").encode


class TypedCache(Generic[T]):
    """A part of a cache with values of one type: ``users = TypedCache(cache, "user", User)``.

    Args:
        name: comes before its keys, with a colon.
        type: of its values, as msgspec takes it.
        options: for its loads, in the place of the cache's.
    """

    def __init__(self, cache: Cache, name: str, type: type[T] | Any, **options: Unpack[LoadOptions]) -> None:
        self._cache = cache
        self._prefix = f"{name}:"
        self._type = type
        self._options = options

    def get_now(self, key: str) -> T | Missing:
        """See ``Cache.get_now``."""
        return cast("T | Missing", self._cache.get_now(self._prefix + key))

    async def get(self, key: str, default: D | Missing = MISSING) -> T | D | Missing:
        """See ``Cache.get``."""
        return cast("T | D | Missing", await self._cache.get(self._prefix + key, default, type=self._type))

    async def get_or_load(
        self,
        key: str,
        loader: Callable[[], Awaitable[T]],
        *,
        tags: Sequence[str] = (),
        **options: Unpack[LoadOptions],
    ) -> T:
        """See ``Cache.get_or_load``."""
        merged = _merged(self._options, options) if options else self._options
        return await self._cache.get_or_load(self._prefix + key, loader, type=self._type, tags=tags, **merged)

    async def set(
        self, key: str, value: T, *, tags: Sequence[str] = (), **options: Unpack[LoadOptions]
    ) -> None:
        """See ``Cache.set``."""
        merged = _merged(self._options, options)
        await self._cache.set(self._prefix + key, value, type=self._type, tags=tags, **merged)

    async def delete(self, *keys: str) -> None:
        """See ``Cache.delete``."""
        await self._cache.delete(*[self._prefix + key for key in keys])


def _merged(outer: LoadOptions, inner: LoadOptions) -> LoadOptions:
    merged: LoadOptions = {**outer, **inner}
    return merged


class CachedFunction(Generic[P, T]):
    """A coroutine function whose results are cached; made by ``cached``.

    Its key is its name and its arguments as JSON, so that 1 and "1" are two keys, and no argument can pretend to be
    two. The values have the type of its return annotation.
    """

    def __init__(
        self,
        function: Callable[P, Awaitable[T]],
        cache: Cache | None,
        name: str | None,
        tags: Callable[P, Sequence[str]],
        options: LoadOptions,
    ) -> None:
        if not inspect.iscoroutinefunction(function):
            raise SetupError(f"{function!r} is no coroutine function, and cannot be cached")
        functools.update_wrapper(self, function)
        self._function = function
        self._cache = cache
        self._name = name or f"{function.__module__}.{function.__qualname__}"
        self._tags = tags
        self._options = options
        signature = inspect.signature(function)
        kinds = {parameter.kind for parameter in signature.parameters.values()}
        self._bind = signature.bind
        self._plain = kinds <= {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
        self._count = len(signature.parameters)
        self._type: Any = None

    def bind(self, cache: Cache) -> None:
        """Has the results in this cache from now on."""
        self._cache = cache

    @property
    def cache(self) -> Cache:
        """Where the results are. Raises SetupError when that was not said yet."""
        if self._cache is None:
            raise SetupError(f"{self._name} is not bound to a cache: give it to the plugin, or bind() it")
        return self._cache

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """The key of a call. Raises TypeError for arguments that do not fit, or have no JSON form."""
        values: Any = args
        if kwargs or not self._plain or len(args) != self._count:
            bound = self._bind(*args, **kwargs)
            bound.apply_defaults()
            values = (*bound.args, bound.kwargs) if bound.kwargs else bound.args
        return f"{self._name}:{_encode(values).decode()}"

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """The result, of the cache or of a call."""
        cache = self.cache
        key = self.key(*args, **kwargs)
        found = cache.get_now(key) if "early_refresh" not in self._options else MISSING
        if found is not MISSING:
            return cast("T", found)
        tags = self._tags(*args, **kwargs)
        return await cache.get_or_load(
            key, lambda: self._function(*args, **kwargs), type=self._returned(), tags=tags, **self._options
        )

    async def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Deletes the result of a call."""
        await self.cache.delete(self.key(*args, **kwargs))

    async def call(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Calls the function itself, past the cache."""
        return await self._function(*args, **kwargs)

    def _returned(self) -> Any:
        if self._type is None:
            self._type = typing.get_type_hints(self._function, include_extras=True).get("return", Any)
        return self._type


def cached(
    name: str | None = None,
    *,
    cache: Cache | None = None,
    tags: Sequence[str] | Callable[..., Sequence[str]] = (),
    **options: Unpack[LoadOptions],
) -> Callable[[Callable[P, Awaitable[T]]], CachedFunction[P, T]]:
    """Caches what a coroutine function returns: ``@cached("user", ttl=60, tags=lambda id: [f"user-{id}"])``.

    Args:
        name: comes before the keys; module and name of the function unless given.
        cache: where to; without one the function is given to the plugin, or bound by its ``bind``.
        tags: of every result, or a function of the arguments.
        options: see ``Options``.

    Raises:
        SetupError: it is no coroutine function.
    """

    tags_of: Callable[..., Sequence[str]] = tags if callable(tags) else lambda *args, **kwargs: tags

    def decorate(function: Callable[P, Awaitable[T]]) -> CachedFunction[P, T]:
        return CachedFunction(function, cache, name, tags_of, options)

    return decorate
