"""The protocol's document: whole, of the types as they are, and with examples that are good."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

import framework.plugins.chat as plugin
from framework.plugins.chat.codec import CODECS, JSON, MSGPACK
from framework.plugins.chat.protocol import SUBPROTOCOLS, ClientFrame, CloseCode, ServerFrame
from framework.plugins.chat.protocol.asyncapi import document, reply_to
from framework.plugins.chat.protocol.codes import CLOSES, ERRORS
from framework.plugins.chat.protocol.examples import FROM_CLIENTS, FROM_SERVER

REQUESTS = get_args(ClientFrame)
FRAMES = get_args(ServerFrame)
DOCUMENT: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(document(path="/talk", host="h.test:80")))


def inside(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from inside(each)
    elif isinstance(value, list):
        for each in value:
            yield from inside(each)


def found(ref: str) -> Any:
    value: Any = DOCUMENT
    assert ref.startswith("#/")
    for part in ref[2:].split("/"):
        value = value[part]
    return value


def test_what_every_document_has() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert set(DOCUMENT["info"]) == {"title", "version", "description"}
    assert DOCUMENT["channels"]["chat"]["address"] == "/talk/ws"
    assert DOCUMENT["servers"]["chat"]["host"] == "h.test:80"
    assert "servers" not in document()


def test_every_reference_leads_somewhere() -> None:
    refs = [each["$ref"] for each in inside(DOCUMENT) if "$ref" in each]
    assert len(refs) > 100
    assert all(isinstance(found(ref), dict) for ref in refs)


def test_every_type_is_a_message_of_the_channel_and_of_an_operation() -> None:
    names = {kind.__name__ for kind in (*REQUESTS, *FRAMES)} | {"Batch"}
    assert set(DOCUMENT["components"]["messages"]) == names
    assert set(DOCUMENT["channels"]["chat"]["messages"]) == names
    said: dict[str, set[str]] = {"receive": set(), "send": set()}
    for operation in DOCUMENT["operations"].values():
        said[operation["action"]] |= {
            found(each["$ref"])["$ref"].rpartition("/")[2] for each in operation["messages"]
        }
        replies = operation.get("reply", {"messages": []})["messages"]
        said["send"] |= {found(each["$ref"])["$ref"].rpartition("/")[2] for each in replies}
    assert said["receive"] == {kind.__name__ for kind in REQUESTS} | {"Batch"}
    assert said["send"] == {kind.__name__ for kind in FRAMES}


def test_schemas_say_how_a_type_is_named() -> None:
    for kind in (*REQUESTS, *FRAMES):
        schema = DOCUMENT["components"]["schemas"][kind.__name__]
        assert schema["properties"]["t"] == {"const": kind.__struct_config__.tag}
        assert "t" in schema["required"]
        assert set(schema["properties"]) == {"t", *kind.__struct_fields__}
    described = [each for each in inside(DOCUMENT) if "Attributes:" in str(each.get("description", ""))]
    assert described == []
    # A discriminator is a name here, not an object as in OpenAPI.
    assert {each["discriminator"] for each in inside(DOCUMENT) if "discriminator" in each} == {"t", "e"}


@pytest.mark.parametrize("kind", REQUESTS, ids=lambda kind: kind.__name__)
def test_replies_are_those_that_the_docstrings_name(kind: type) -> None:
    named = re.search(r"Reply:\s+``(\w+)``", inspect.getdoc(kind) or "")
    reply: Any = reply_to(kind)
    assert (named and named[1]) == (reply and reply.__struct_config__.tag)


def test_examples_are_one_of_each_and_good() -> None:
    assert sorted(type(each).__name__ for each in FROM_CLIENTS) == sorted(kind.__name__ for kind in REQUESTS)
    assert sorted(type(each).__name__ for each in FROM_SERVER) == sorted(kind.__name__ for kind in FRAMES)
    for frame in FROM_CLIENTS:
        payload = DOCUMENT["components"]["messages"][type(frame).__name__]["examples"][0]["payload"]
        assert JSON.decode(msgspec.json.encode(payload).decode(), 1) == [frame]
        assert MSGPACK.decode(msgspec.msgpack.encode(payload), 1) == [frame]
    for sent in FROM_SERVER:
        payload = DOCUMENT["components"]["messages"][type(sent).__name__]["examples"][0]["payload"]
        assert msgspec.json.decode(JSON.encode(sent), type=ServerFrame) == sent
        assert payload == msgspec.json.decode(JSON.encode(sent))
    batch = DOCUMENT["components"]["messages"]["Batch"]["examples"][0]["payload"]
    assert len(JSON.decode(msgspec.json.encode(batch).decode(), 10)) == 3


def test_both_encodings_are_told() -> None:
    channel = DOCUMENT["channels"]["chat"]
    assert channel["bindings"]["ws"]["headers"]["properties"]["Sec-WebSocket-Protocol"]["enum"] == [
        *SUBPROTOCOLS
    ]
    assert channel["x-subprotocols"] == {
        codec.name: {
            "contentType": "application/msgpack" if codec.binary else "application/json",
            "messages": "binary" if codec.binary else "text",
        }
        for codec in CODECS
    }


def test_codes_are_those_that_are_used() -> None:
    channel = DOCUMENT["channels"]["chat"]
    assert {int(code) for code in channel["x-close-codes"]} == {*CLOSES}
    assert {code.value for code in CloseCode} < {*CLOSES}
    # Which of them one comes back from is said by the number, as the protocol says.
    assert all(again == (code < 4000 or code >= 4500) for code, (_, again) in CLOSES.items())
    assert set(DOCUMENT["components"]["schemas"]["Error"]["properties"]["code"]["enum"]) == {*ERRORS}
    assert used() == {*ERRORS}


def used() -> set[str]:
    """The codes that the plugin's sources name, where they make errors."""
    codes: set[str] = set()
    for path in Path(plugin.__file__).parent.rglob("*.py"):
        if path.name == "examples.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                at = {"ChatError": 0, "Error": 1, "Faulty": 1}.get(node.func.id)
                if at is not None and at < len(node.args) and isinstance(node.args[at], ast.Constant):
                    codes.add(ast.literal_eval(node.args[at]))
    return codes
