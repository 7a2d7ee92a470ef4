"""What a route answers: by its return type, by what it declares, and where the request does not fit it."""

from __future__ import annotations

import inspect
import typing
from collections.abc import AsyncIterable, Iterable, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, TypeGuard, Union

import msgspec

from framework.app.answers import Answer
from framework.app.built import BuiltRoute
from framework.errors import SetupError
from framework.http.jsonlines import JSON_LINES, JsonLines
from framework.http.problem import PROBLEM_JSON
from framework.http.response import Response
from framework.http.sse import EventStream
from framework.http.status import phrase
from framework.plugins.openapi.problems import Problem, ValidationProblem
from framework.plugins.openapi.requests import refusals
from framework.plugins.openapi.schemas import Json, Schemas

__all__ = ["describe_responses"]

_JSON: Final = "application/json"
_TEXT: Final = "text/plain"
_BYTES: Final = "application/octet-stream"
_NO_BODY: Final = frozenset({204, 205, 304})


def describe_responses(route: BuiltRoute, around: Iterable[Mapping[int, Any]], schemas: Schemas) -> Json:
    """The Responses Object.

    Args:
        around: what the layers and dependencies of the route answer, by status.

    Raises:
        SetupError: a declared response that is neither an Answer nor a text nor a type.
    """
    own = route.record.options.get("status", 200)
    bodies = _results(route, own)
    answers: dict[int, Answer] = {status: Answer() for status in bodies}
    found = refusals(route)
    for each in ({status: Answer(text) for status, text in found.items()}, *around, _declared(route)):
        for status, declared in each.items():
            answers[status] = _joined(answers.get(status), _answer(declared, status, route))
    responses: Json = {}
    for status, answer in sorted(answers.items()):
        content = _content(answer, status, bodies.get(status, []), found, schemas)
        responses[str(status)] = _response(answer, status, content)
    return responses


def _declared(route: BuiltRoute) -> Mapping[int, Any]:
    return route.record.options.get("responses", {})


def _answer(declared: Any, status: int, route: BuiltRoute) -> Answer:
    if isinstance(declared, Answer):
        return declared
    if isinstance(declared, str):
        return Answer(declared)
    if declared is None or isinstance(declared, (int, float)):
        raise SetupError(
            f"{route.record.where}: the response {status} is declared as {declared!r}; write an Answer"
        )
    return Answer(type=declared)


def _joined(first: Answer | None, second: Answer) -> Answer:
    """What ``second`` says counts; where it says nothing, what ``first`` says."""
    if first is None:
        return second
    return Answer(
        second.description or first.description,
        first.type if second.type is None else second.type,
        first.media_type if second.media_type is None else second.media_type,
        {**first.headers, **second.headers},
    )


def _response(answer: Answer, status: int, content: Json) -> Json:
    response: Json = {"description": answer.description or phrase(status)}
    if answer.headers:
        response["headers"] = {
            name: {"description": text, "schema": {"type": "string"}}
            for name, text in sorted(answer.headers.items())
        }
    if content:
        response["content"] = content
    return response


def _content(
    answer: Answer, status: int, results: list[tuple[str, Any]], refused: dict[int, str], schemas: Schemas
) -> Json:
    if answer.media_type == "" or status in _NO_BODY:
        return {}
    if answer.type is not None:
        results = [_body(answer.type)]
    elif not results and status >= 400:
        results = [(PROBLEM_JSON, ValidationProblem if status == 422 and status in refused else Problem)]
    elif not results and answer.media_type is not None:
        results = [(answer.media_type, Any)]
    by_media: dict[str, list[Any]] = {}
    for media_type, kind in results:
        by_media.setdefault(answer.media_type or media_type, []).append(kind)
    return {
        media_type: {} if media_type == _BYTES else {"schema": _schema(kinds, schemas)}
        for media_type, kinds in sorted(by_media.items())
    }


def _schema(kinds: list[Any], schemas: Schemas) -> Json:
    if len(kinds) == 1:
        return schemas.of(kinds[0])
    union = kinds[0]
    for kind in kinds[1:]:
        union = union | kind
    try:
        msgspec.inspect.type_info(union)
    except TypeError:
        # More than one Struct without tags: fine to send, though nothing could decode it.
        return {"anyOf": [schemas.of(kind) for kind in kinds]}
    return schemas.of(union)


# -- what the handler returns ---------------------------------------------------------------------------------------


def _results(route: BuiltRoute, status: int) -> dict[int, list[tuple[str, Any]]]:
    """By status the media types and types of what the handler returns; as ``binding.results`` answers it."""
    options = [*_options(route.returns), *_options(route.record.options.get("returns", Response))]
    found: dict[int, list[tuple[str, Any]]] = {}
    for option in options:
        bare = _bare(option)
        if bare is NoneType:
            found.setdefault(204 if status == 200 else status, [])
            continue
        result = _of_response(bare) if _is_response(bare) else _body(option)
        if result is not None and result not in found.setdefault(status, []):
            found[status].append(result)
    return found or {status: []}


def _options(hint: Any) -> list[Any]:
    if hint is inspect.Parameter.empty or hint is Any:
        return []
    if hint is None:
        return [NoneType]
    if typing.get_origin(hint) in (Union, UnionType):
        return [inner for option in typing.get_args(hint) for inner in _options(option)]
    return [hint]


def _bare(hint: Any) -> Any:
    while typing.get_origin(hint) is Annotated:
        hint = typing.get_args(hint)[0]
    return hint


def _is_response(bare: Any) -> TypeGuard[type[Response]]:
    return isinstance(bare, type) and issubclass(bare, Response)


def _of_response(kind: type[Response]) -> tuple[str, Any] | None:
    """The media type and type of a response of which the class alone tells them."""
    if issubclass(kind, EventStream):
        return "text/event-stream", str
    return (JSON_LINES, str) if issubclass(kind, JsonLines) else None


def _body(hint: Any) -> tuple[str, Any]:
    """The media type of a result, and the type of all of its body."""
    media_type = _media_type(_bare(hint))
    return (media_type, str) if _is_stream(_bare(hint)) else (media_type, hint)


def _is_stream(bare: Any) -> bool:
    kind = typing.get_origin(bare) or bare
    return isinstance(kind, type) and issubclass(kind, AsyncIterable)


def _media_type(bare: Any) -> str:
    kind = typing.get_origin(bare) or bare
    if kind is Literal:
        return _TEXT if all(isinstance(value, str) for value in typing.get_args(bare)) else _JSON
    if not isinstance(kind, type):
        return _JSON
    if issubclass(kind, str):
        return _TEXT
    if _is_stream(bare):
        return _TEXT if typing.get_args(bare)[:1] == (str,) else _BYTES
    if issubclass(kind, (bytes, bytearray, memoryview)):
        return _BYTES
    return _JSON
