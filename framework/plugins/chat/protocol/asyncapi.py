"""The protocol as an AsyncAPI 3.0 document, made of its types."""

from __future__ import annotations

import inspect
import re
from typing import Any, Final, TypeAlias, cast, get_args

import msgspec

import framework.plugins.chat.protocol as protocol
from framework.plugins.chat.protocol import (
    SUBPROTOCOLS,
    ClientFrame,
    Create,
    Done,
    Error,
    Found,
    Hello,
    History,
    Join,
    Joined,
    ListMembers,
    ListRooms,
    Members,
    Page,
    Ping,
    Pong,
    Rooms,
    Search,
    ServerFrame,
    Typing,
    Welcome,
)
from framework.plugins.chat.protocol.codes import CLOSES, ERRORS
from framework.plugins.chat.protocol.examples import FROM_CLIENTS, FROM_SERVER

__all__ = ["REPLIES", "document", "reply_to"]

Json: TypeAlias = dict[str, Any]

REPLIES: Final[dict[type, type | None]] = {
    Hello: Welcome,
    Ping: Pong,
    Join: Joined,
    Create: Joined,
    History: Page,
    Search: Found,
    ListRooms: Rooms,
    ListMembers: Members,
    Typing: None,
}
"""Replies of requests that are not answered by ``done``."""

_CHANNEL: Final = "#/channels/chat"
_SCHEMAS: Final = "#/components/schemas/"
_REQUESTS: Final[tuple[type, ...]] = get_args(ClientFrame)
_FRAMES: Final[tuple[type, ...]] = get_args(ServerFrame)


def reply_to(request: type) -> type | None:
    """What a request is answered by where nothing speaks against it; None: by nothing."""
    return REPLIES.get(request, Done)


def document(*, path: str = "/chat", version: str = "1.0.0", max_batch: int = 200, host: str = "") -> Json:
    """The document, seen from the server: it receives requests and sends the rest.

    Args:
        path: of the plugin's routes.
        version: of the document.
        max_batch: requests in one message.
        host: with its port, where the document is to name a server.
    """
    replies = {reply_to(kind) for kind in _REQUESTS} | {Error}
    operations = {f"receive_{_tag(kind)}": _received(kind) for kind in _REQUESTS}
    operations["receive_batch"] = {
        "action": "receive",
        "channel": {"$ref": _CHANNEL},
        "summary": "Several requests in one message, handled in their order; each has its own reply",
        "messages": [{"$ref": f"{_CHANNEL}/messages/Batch"}],
    }
    for kind in _FRAMES:
        if kind not in replies or kind is Error:
            operations[f"send_{_tag(kind)}"] = _sent(kind)
    schemas, messages = _components(max_batch)
    made: Json = {
        "asyncapi": "3.0.0",
        "info": {"title": "Chat", "version": version, "description": _plain(inspect.getdoc(protocol) or "")},
        "defaultContentType": "application/json",
        "channels": {"chat": _channel(path, messages)},
        "operations": operations,
        "components": {
            "schemas": schemas,
            "messages": messages,
            "correlationIds": {
                "request": {
                    "location": "$message.payload#/id",
                    "description": "The request's id, in its reply.",
                }
            },
        },
    }
    if host:
        made["servers"] = {
            "chat": {"host": host, "protocol": "ws", "description": "wss where TLS is spoken."}
        }
    return made


def _channel(path: str, messages: Json) -> Json:
    return {
        "address": f"{path.rstrip('/')}/ws",
        "title": "The chat's WebSocket",
        "description": "Either encoding has the same messages: JSON in text messages, MessagePack in binary ones.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {
            "ws": {
                "method": "GET",
                "headers": {
                    "type": "object",
                    "properties": {"Sec-WebSocket-Protocol": {"type": "string", "enum": list(SUBPROTOCOLS)}},
                },
            }
        },
        "x-subprotocols": {
            name: {"contentType": f"application/{name.rpartition('.')[2]}", "messages": frames}
            for name, frames in zip(SUBPROTOCOLS, ("binary", "text"), strict=True)
        },
        "x-close-codes": {
            str(code): {"description": text, "reconnect": again} for code, (text, again) in CLOSES.items()
        },
        "x-error-codes": dict(ERRORS),
    }


def _received(kind: type) -> Json:
    reply = reply_to(kind)
    operation = _operation("receive", kind)
    if reply is not None:
        operation["reply"] = {
            "channel": {"$ref": _CHANNEL},
            "messages": [{"$ref": f"{_CHANNEL}/messages/{each.__name__}"} for each in (reply, Error)],
        }
    return operation


def _sent(kind: type) -> Json:
    return _operation("send", kind)


def _operation(action: str, kind: type) -> Json:
    return {
        "action": action,
        "channel": {"$ref": _CHANNEL},
        "summary": _summary(kind),
        "messages": [{"$ref": f"{_CHANNEL}/messages/{kind.__name__}"}],
    }


def _components(max_batch: int) -> tuple[Json, Json]:
    kinds = (*_REQUESTS, *_FRAMES)
    _, found = msgspec.json.schema_components(kinds, ref_template=_SCHEMAS + "{name}")
    schemas: Json = {name: _described(_tidy(found[name])) for name in sorted(found)}
    schemas["Error"]["properties"]["code"]["enum"] = list(ERRORS)
    schemas["Batch"] = {
        "type": "array",
        "maxItems": max_batch,
        "items": {"oneOf": [{"$ref": _SCHEMAS + kind.__name__} for kind in _REQUESTS], "discriminator": "t"},
    }
    examples = {type(each): msgspec.to_builtins(each) for each in (*FROM_CLIENTS, *FROM_SERVER)}
    messages: Json = {}
    for kind in kinds:
        message: Json = {
            "name": _tag(kind),
            "title": kind.__name__,
            "summary": _summary(kind),
            "payload": {"$ref": _SCHEMAS + kind.__name__},
            "examples": [{"payload": examples[kind]}],
        }
        if "id" in cast("Any", kind).__struct_fields__:
            message["correlationId"] = {"$ref": "#/components/correlationIds/request"}
        messages[kind.__name__] = message
    messages["Batch"] = {
        "name": "batch",
        "title": "Batch",
        "payload": {"$ref": f"{_SCHEMAS}Batch"},
        "examples": [{"payload": [msgspec.to_builtins(each) for each in FROM_CLIENTS[2:5]]}],
    }
    return schemas, messages


def _tag(kind: type) -> str:
    config = cast("Any", kind).__struct_config__
    return cast("str", config.tag)


def _summary(kind: type) -> str:
    """The first sentence of the docstring, in one line."""
    text = " ".join(_plain(inspect.getdoc(kind) or "").split())
    return re.split(r"(?<=\.) ", text, maxsplit=1)[0].removesuffix(".")


def _plain(text: str) -> str:
    """A docstring as CommonMark."""
    return text.replace("``", "`")


def _tidy(schema: Any) -> Any:
    """The schema in the words of AsyncAPI: its discriminator is a name, one possible value a constant."""
    if isinstance(schema, list):
        return [_tidy(item) for item in cast("list[Any]", schema)]  # type: ignore[redundant-cast]
    if not isinstance(schema, dict):
        return schema
    tidy: Json = {}
    for key, value in cast("Json", schema).items():
        if key == "discriminator":
            tidy[key] = value["propertyName"]
        elif key == "enum" and len(value) == 1:
            tidy["const"] = value[0]
        elif key == "default":
            tidy[key] = value
        else:
            tidy[key] = _tidy(value)
    return tidy


def _described(schema: Json) -> Json:
    """With what its docstring says of members said at these."""
    text, _, attributes = inspect.cleandoc(schema.get("description", "")).partition("\nAttributes:\n")
    if text:
        schema["description"] = _plain(text.strip())
    # "name, other: text", and further lines of it deeper than that.
    for names, said in re.findall(r"^ {4}([a-z_, ]+): (.+(?:\n {8}.+)*)", attributes, re.MULTILINE):
        for name in names.split(", "):
            member = schema["properties"][name]
            schema["properties"][name] = _with_description(member, _plain(" ".join(said.split())))
    return schema


def _with_description(member: Json, text: str) -> Json:
    # Nothing counts beside a reference.
    return {"allOf": [member], "description": text} if "$ref" in member else {**member, "description": text}
