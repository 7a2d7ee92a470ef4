"""``framework gateway``: checks, compares and explains files. It is run in ``tests/integration/test_gateway.py``."""

from __future__ import annotations

import json

from tests.unit.cli.driver import Project

GOOD = """
    [server]
    port = 8080
    [gateway.clusters.users]
    endpoints = ["http://127.0.0.1:8001"]
    [gateway.routes.users]
    cluster = "users"
    match.path = "/users"
    """
BAD = """
    [gateway.clusters.users]
    endpoints = ["http://127.0.0.1:8001"]
    [gateway.routes.users]
    cluster = "usrs"
    [gateway.routes.one]
    cluster = "users"
    match.path = "/a"
    [gateway.routes.two]
    cluster = "users"
    match.path = "/a"
    """


def test_check_says_every_error_with_its_line(project: Project) -> None:
    project.write("good.toml", GOOD)
    assert project.call("gateway", "check", "good.toml").code == 0
    file = project.write("bad.toml", BAD)
    found = project.call("gateway", "check", "bad.toml")
    assert (found.code, found.errors) == (
        1,
        [
            f"gateway.routes.users: there is no cluster 'usrs' ({file}:3)",
            f"gateway.routes.one: it takes the same requests as two ({file}:5)",
        ],
    )
    file = project.write("typo.toml", GOOD.replace("endpoints", "endpoint"))
    found = project.call("gateway", "check", "typo.toml")
    assert found.code == 1
    assert f"({file}:4)" in found.errors[0]
    assert "did you mean gateway.clusters.users.endpoints?" in found.errors[0]


def test_diff(project: Project) -> None:
    project.write("old.toml", GOOD)
    project.write("new.toml", GOOD.replace("8001", "8002"))
    found = project.call("gateway", "diff", "old.toml", "new.toml")
    assert found.code == 0
    assert found.out.splitlines() == [
        "~ cluster users: its connections stay",
        '    endpoints: ["http://127.0.0.1:8001"] -> ["http://127.0.0.1:8002"]',
    ]
    assert project.call("gateway", "diff", "old.toml", "old.toml").out == "no difference\n"


def test_explain(project: Project) -> None:
    project.write("good.toml", GOOD)
    found = project.call(
        "gateway", "explain", "good.toml", "GET", "http://h/users/7", "-H", "x-a: 1", "--json"
    )
    told = json.loads(found.out)
    assert (found.code, told["route"], told["target"]) == (0, "users", "cluster users")
    assert told["sent"].splitlines()[:3] == ["GET /users/7 HTTP/1.1", "host: h", "x-a: 1"]
    found = project.call("gateway", "explain", "good.toml", "GET", "/other")
    assert (found.code, found.errors) == (1, ["no route takes this: 404"])
    assert "no: its path begins with /users" in found.out
    assert project.call("gateway", "explain", "good.toml", "GET", "/", "-H", "nonsense").code == 2


def test_schema(project: Project) -> None:
    assert "GatewayConfig" in json.loads(project.call("gateway", "schema").out)["$defs"]
