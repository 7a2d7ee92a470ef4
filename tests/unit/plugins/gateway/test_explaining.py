"""What would become of a request, told without sending it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from framework.errors import SetupError
from framework.plugins.auth import hash_of_password
from framework.plugins.gateway.comparing import differences
from framework.plugins.gateway.config import GatewayConfig
from framework.plugins.gateway.explaining import explain, request_of
from framework.plugins.gateway.gateway import Gateway
from framework.plugins.gateway.schema import file_schema
from framework.plugins.ratelimit.engine import MemoryEngine

TREE: dict[str, Any] = {
    "clusters": {"c": {"endpoints": ["http://127.0.0.1:1"]}, "d": {"endpoints": ["http://127.0.0.1:2"]}},
    "routes": {
        "all": {"cluster": "c"},
        "users": {"cluster": "d", "match": {"path": "/users"}, "strip": "/users", "host": "upstream"},
        "one": {"cluster": "d", "match": {"pattern": "/users/{id:int}", "methods": ["GET"]}},
        "inside": {
            "cluster": "c",
            "match": {"host": "*.inside", "headers": {"x-a": "1"}},
            "policies": {
                "deny": ["10.0.0.0/8"],
                "basic": [{"name": "a", "hash": hash_of_password("x")}],
                "max_body": 3,
            },
        },
    },
}


def gateway(tree: dict[str, Any] = TREE) -> Gateway:
    return Gateway(msgspec.convert(tree, GatewayConfig), engine=MemoryEngine(), secret=b"x" * 32)


def test_route_candidates_policies_and_what_would_be_sent() -> None:
    found = explain(gateway(), request_of("GET", "http://h/users/7?a=b", [("Cookie", "c=d")]))
    assert (found.route, found.target) == ("one", "cluster d")
    fits = [one.name for one in found.candidates if not one.why_not]
    assert fits == ["one", "users", "all"]
    assert {one.name: one.why_not for one in found.candidates}["inside"] == "its host is *.inside"
    found = explain(gateway(), request_of("PUT", "/users/7/x?a=b", [("Connection", "x-b"), ("x-b", "1")]))
    lines = found.sent.splitlines()
    assert (found.route, lines[0], lines[1]) == ("users", "PUT /7/x?a=b HTTP/1.1", "host: the endpoint's")
    assert not any(line.startswith(("x-b", "connection")) for line in lines)


def test_policies_say_their_verdicts() -> None:
    request = request_of("GET", "http://a.inside/", [("x-a", "1")], client="10.1.1.1")
    found = explain(gateway(), request)
    says = {one.name: one.says for one in found.policies}
    assert found.route == "inside"
    assert says["addresses"] == "refuses 10.1.1.1 with 403"
    assert says["authentication"] == "refuses with 401: the request shows nothing (basic)"


@pytest.mark.parametrize(("method", "url", "status"), [("GET", "/%00", 400), ("GET", "/a\\b", 400)])
def test_no_route(method: str, url: str, status: int) -> None:
    found = explain(gateway(), request_of(method, url))
    assert (found.route, found.status) == (None, status)


@pytest.mark.parametrize(("method", "url"), [("GE T", "/"), ("GET", "/ä"), ("GET", "http://h/ x")])
def test_what_is_no_request_is_refused(method: str, url: str) -> None:
    with pytest.raises(SetupError):
        request_of(method, url)


def test_differences_tell_what_is_made_anew() -> None:
    other = msgspec.json.decode(msgspec.json.encode(TREE))
    other["clusters"]["c"]["endpoints"] = ["http://127.0.0.1:9"]
    other["clusters"]["d"]["max_connections"] = 3
    other["clusters"]["e"] = {"endpoints": ["http://127.0.0.1:3"]}
    del other["routes"]["one"]
    other["routes"]["users"]["strip"] = None
    lines = differences(gateway().generation, gateway(other).generation)
    assert lines == [
        "~ cluster c: its connections stay",
        '    endpoints: ["http://127.0.0.1:1"] -> ["http://127.0.0.1:9"]',
        "~ cluster d: it is made anew",
        "    max_connections: 256 -> 3",
        "+ cluster e",
        "~ route users",
        '    strip: "/users" -> nothing',
        "- route one",
    ]
    assert differences(gateway().generation, gateway().generation) == []


def test_the_schema_has_every_table() -> None:
    schema = file_schema()
    assert {"ClusterConfig", "RouteConfig", "PoliciesConfig", "JWTConfig"} <= schema["$defs"].keys()
    assert schema["properties"]["gateway"]["$ref"] == "#/$defs/GatewayConfig"
