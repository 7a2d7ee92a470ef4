"""What a handler is beneath what wraps it."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from framework.app.binding.callee import Kind, address_of, name_of, read_callee
from framework.errors import BindingError


async def waits(a: int, b: str = "") -> int:
    return a


def plain(a: int, b: str = "") -> int:
    return a


async def streams(a: int) -> AsyncIterator[str]:
    yield "x"


class Service:
    async def waits(self, a: int) -> int:
        return a

    @classmethod
    async def of_class(cls, a: int) -> int:
        return a

    @staticmethod
    async def alone(a: int) -> int:
        return a


class WaitingCall:
    async def __call__(self, a: int) -> int:
        return a


class PlainCall:
    def __call__(self, a: int) -> int:
        return a


class StreamingCall:
    async def __call__(self, a: int) -> AsyncIterator[str]:
        yield "x"


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


@pytest.mark.parametrize(
    ("handler", "kind", "names"),
    [
        (waits, Kind.COROUTINE, ["a", "b"]),
        (plain, Kind.PLAIN, ["a", "b"]),
        (streams, Kind.STREAM, ["a"]),
        (Service().waits, Kind.COROUTINE, ["a"]),
        (Service.of_class, Kind.COROUTINE, ["a"]),
        (Service.alone, Kind.COROUTINE, ["a"]),
        (WaitingCall(), Kind.COROUTINE, ["a"]),
        (PlainCall(), Kind.PLAIN, ["a"]),
        (StreamingCall(), Kind.STREAM, ["a"]),
        (functools.partial(waits, 1), Kind.COROUTINE, ["b"]),
        (functools.partial(functools.partial(plain, b="x")), Kind.PLAIN, ["a"]),
        (functools.partial(WaitingCall()), Kind.COROUTINE, ["a"]),
        (functools.cache(plain), Kind.PLAIN, ["a", "b"]),
        (decorated(plain), Kind.PLAIN, ["a", "b"]),
        (decorated(waits), Kind.UNSURE, ["a", "b"]),
        (lambda a: a, Kind.PLAIN, ["a"]),
    ],
)
def test_kind_and_parameters(handler: Callable[..., Any], kind: Kind, names: list[str]) -> None:
    callee = read_callee(handler)
    assert callee.handler is handler
    assert callee.kind is kind
    assert [parameter.name for parameter in callee.parameters] == names


def test_what_a_partial_fixed_by_name_is_no_parameter_that_a_client_could_set() -> None:
    def handler(a: int, *, admin: bool) -> None: ...

    assert [one.name for one in read_callee(functools.partial(handler, admin=False)).parameters] == ["a"]


def test_annotations_are_read_where_the_handler_was_written() -> None:
    assert read_callee(decorated(waits)).space["Service"] is Service
    assert read_callee(WaitingCall()).space["Service"] is Service
    assert read_callee(functools.partial(waits, 1)).space["Service"] is Service


def test_names() -> None:
    assert name_of(waits) == "waits"
    assert name_of(Service().waits) == "Service.waits"
    assert name_of(functools.partial(waits, 1)) == "waits"
    assert name_of(WaitingCall()) == "WaitingCall"
    assert address_of(functools.partial(WaitingCall())) == f"{__name__}.WaitingCall"


def test_a_class_is_no_handler() -> None:
    with pytest.raises(
        BindingError, match=r"PlainCall is a class; a handler is a function or an object with"
    ):
        read_callee(PlainCall)


def test_a_plain_generator_is_no_stream() -> None:
    def lines() -> Iterator[str]:
        yield "a"

    for handler in (lines, decorated(lines), functools.partial(lines)):
        with pytest.raises(BindingError, match=r"lines is a plain generator; a stream is an async generator"):
            read_callee(handler)


def test_what_has_no_signature_is_no_handler() -> None:
    with pytest.raises(BindingError, match="no signature that can be read"):
        read_callee(max)
