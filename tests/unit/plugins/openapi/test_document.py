"""Which operations there are, where they stand, and that the same app always gives the same document."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest

from framework import App, WebSocket
from framework.errors import SetupError
from framework.plugins.openapi import OpenAPI

from .describing import describe, operation


async def handler() -> None:
    """Does it."""


def with_id(id: int) -> None: ...


def test_websockets_are_no_operations() -> None:
    app = App()
    app.get("/things")(handler)

    @app.websocket("/live")
    async def live(socket: WebSocket) -> None:
        await socket.close()

    assert list(describe(app)["paths"]) == ["/things"]


def test_info_servers_and_tags() -> None:
    app = App()
    app.get("/", tags=["b", "a", "b"])(handler)
    document = describe(
        app,
        title="Shop",
        version="2",
        description="Buy.",
        info={"license": {"name": "BSD-3-Clause"}, "contact": {"email": "ada@example.com"}},
        servers=["https://example.com", {"url": "/v2", "description": "here"}],
        tags={"a": "The first.", "unused": "Never shown."},
    )
    assert document["openapi"] == "3.1.1"
    assert document["info"] == {
        "title": "Shop",
        "version": "2",
        "description": "Buy.",
        "contact": {"email": "ada@example.com"},
        "license": {"name": "BSD-3-Clause"},
    }
    assert document["servers"] == [{"url": "https://example.com"}, {"url": "/v2", "description": "here"}]
    assert document["tags"] == [{"name": "a", "description": "The first."}, {"name": "b"}]
    assert document["paths"]["/"]["get"]["tags"] == ["b", "a"]


def test_an_app_without_routes() -> None:
    document = describe(App())
    assert document == {"openapi": "3.1.1", "info": {"title": "API", "version": "0.1.0"}, "paths": {}}


def test_paths_lose_their_converters_and_are_sorted() -> None:
    app = App()
    app.post("/b/{id:int}")(with_id)
    app.get("/b/{id:int}")(with_id)
    app.get("/a")(handler)
    paths = describe(app)["paths"]
    assert list(paths) == ["/a", "/b/{id}"]
    assert list(paths["/b/{id}"]) == ["get", "post"]


def test_head_and_options_are_left_out() -> None:
    app = App()
    app.route("/", methods=["GET", "HEAD", "OPTIONS"])(handler)
    app.route("/only", methods=["OPTIONS"])(handler)
    paths = describe(app)["paths"]
    assert {path: list(item) for path, item in paths.items()} == {"/": ["get"]}


def test_a_route_can_be_left_out() -> None:
    app = App()
    app.get("/hidden", include_in_schema=False)(handler)
    assert describe(app)["paths"] == {}


def test_what_a_route_says_of_itself() -> None:
    app = App()
    app.get("/", summary="Short", description="Long", deprecated=True, operation_id="it")(handler)
    found = operation(app)
    assert (found["summary"], found["description"], found["operationId"]) == ("Short", "Long", "it")
    assert found["deprecated"] is True


def test_the_docstring_speaks_for_the_route() -> None:
    app = App()
    app.get("/")(handler)
    found = operation(app)
    assert (found["summary"], found["operationId"]) == ("Does it", "handler")
    assert "description" not in found
    assert "deprecated" not in found


def test_tags_come_from_the_groups_else_from_the_prefix() -> None:
    app = App()
    app.get("/plain")(handler)
    shop = app.group("/shop", tags=["Shop"])
    shop.get("/a")(handler)
    shop.group("/{id:int}/parts", tags=["Parts"]).get("")(with_id)
    shop.get("/b", tags=[])(handler)
    app.group("/api/v1").group("/users/{id:int}").get("")(with_id)
    mounted = App()
    mounted.get("/x")(handler)
    app.mount("/admin", mounted)
    paths = describe(app)["paths"]
    assert {path: item["get"].get("tags") for path, item in paths.items()} == {
        "/plain": None,
        "/shop/a": ["Shop"],
        "/shop/{id}/parts": ["Shop", "Parts"],
        "/shop/b": None,
        "/api/v1/users/{id}": ["users"],
        "/admin/x": ["admin"],
    }


def test_mounted_apps_are_described_below_their_prefix() -> None:
    app, mounted = App(), App()
    app.get("/own")(handler)
    mounted.get("/users/{id:int}")(with_id)
    app.mount("/api", mounted)
    inner = OpenAPI("Inner")
    mounted.install(inner)
    outer = OpenAPI("Outer")
    app.install(outer)
    runtime = app.build(environ={})
    assert b'"/own"' in outer.document(runtime.routes)
    assert b'"/api/users/{id}"' in outer.document(runtime.routes)


def test_hosts_become_servers() -> None:
    app = App()
    app.host("api.example.com").get("/a")(handler)
    app.host("*.example.com").get("/b")(handler)

    @app.host("{tenant}.example.com").get("/c")
    async def of_tenant(tenant: str) -> None: ...

    paths = describe(app)["paths"]
    assert paths["/a"]["get"]["servers"] == [{"url": "//api.example.com"}]
    assert paths["/b"]["get"]["servers"] == [
        {"url": "//{subdomain}.example.com", "variables": {"subdomain": {"default": "www"}}}
    ]
    assert paths["/c"]["get"]["servers"][0]["url"] == "//{tenant}.example.com"
    assert "parameters" not in paths["/c"]["get"]


def test_paths_that_differ_in_names_alone_are_one_path() -> None:
    app = App()

    @app.get("/users/{id:int}")
    async def by_id(id: int) -> None: ...

    @app.delete("/users/{key:uuid}")
    async def by_key(key: UUID) -> None: ...

    paths = describe(app)["paths"]
    assert list(paths) == ["/users/{id}"]
    (renamed,) = paths["/users/{id}"]["delete"]["parameters"]
    assert (renamed["name"], renamed["schema"]["format"]) == ("id", "uuid")


def test_operations_that_openapi_has_no_place_for_are_not_lost() -> None:
    app = App()

    @app.get("/users/{id:int}")
    async def by_id(id: int) -> None: ...

    @app.get("/users/{name}")
    async def by_name(name: str) -> None: ...

    app.host("b.example.com").get("/users/{id:int}", operation_id="elsewhere")(with_id)
    app.route("/users", methods=["PROPFIND"], operation_id="search")(handler)
    document = describe(app)
    assert document["paths"]["/users/{id}"]["get"]["operationId"] == "by_id"
    further = document["x-overlapping-paths"]
    assert [(one["path"], one["method"], one["operation"]["operationId"]) for one in further] == [
        ("/users", "propfind", "search"),
        ("/users/{id}", "get", "elsewhere"),
        ("/users/{name}", "get", "by_name"),
    ]


def test_two_routes_with_one_operation_id_are_a_setup_error() -> None:
    app = App()
    app.get("/a", operation_id="same")(handler)
    app.get("/b", operation_id="same")(handler)
    with pytest.raises(SetupError, match="OpenAPI: operation_id 'same' is stated by more than one operation"):
        describe(app)


def test_all_problems_are_told_at_once() -> None:
    app = App()
    app.get("/a", responses={404: 7})(handler)  # type: ignore[dict-item]
    app.get("/b", responses={404: None})(handler)  # type: ignore[dict-item]
    with pytest.raises(SetupError) as failure:
        describe(app)
    assert len(failure.value.problems) == 2


PROGRAM = """
import enum, sys
from typing import Annotated, Literal
from msgspec import Struct
from framework import App, Query
from framework.plugins.openapi import OpenAPI

class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"
    GREEN = "green"

class Paint(Struct):
    colours: frozenset[str] = frozenset({"a", "b", "c", "d"})
    kind: Literal["oil", "water", "chalk"] = "oil"

app = App()

@app.post("/paint", responses={409: "dry", 404: "gone"}, security=["b", {"a": ["x"]}])
async def paint(paint: Paint, colour: Colour, names: Annotated[frozenset[str], Query] = frozenset("xyz")) -> Paint: ...

plugin = OpenAPI(security_schemes={name: {"type": "http", "scheme": "bearer"} for name in {"b", "a"}})
app.install(plugin)
sys.stdout.buffer.write(plugin.document(app.build(environ={}).routes))
"""


def test_the_same_app_gives_the_same_bytes() -> None:
    root = Path(__file__).resolve().parents[4]

    def document(seed: str) -> bytes:
        env = os.environ | {"PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", PROGRAM]
        return subprocess.run(command, cwd=root, env=env, check=True, capture_output=True).stdout

    first = document("1")
    assert first.startswith(b'{"openapi":"3.1.1"')
    assert document("2") == document("3") == first
