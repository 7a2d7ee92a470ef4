from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.load.roster import FLOOR, FOLDER, OURS, PURE, SERVERS, Installed, Server, select, short
from benchmarks.load.scenarios import SCENARIOS
from benchmarks.load.work import Settings

BY_NAME = {server.name: server for server in SERVERS}


def installed(**given: object) -> Installed:
    everything = {"project": {"uvloop": "1"}, "peers": {}, "node": {}, "programs": {}, "twin": "compiled"}
    return Installed(**{**everything, **given})  # type: ignore[arg-type]


def test_names_are_unique_and_each_server_is_one_file() -> None:
    assert len(BY_NAME) == len(SERVERS)
    for server in SERVERS:
        if server.runtime != "nginx":
            name = server.source if server.runtime == "node" else f"{server.source}.py"
            assert (FOLDER / "servers" / name).is_file()


def test_floor_and_framework_take_every_scenario() -> None:
    for scenario in SCENARIOS:
        assert BY_NAME[FLOOR].supports(scenario)
        assert BY_NAME[OURS].supports(scenario)


def test_select_keeps_the_order_of_the_roster() -> None:
    assert [server.name for server in select("starlette,floor")] == ["floor", "starlette"]
    assert select(None) == SERVERS


def test_select_names_what_it_does_not_know() -> None:
    with pytest.raises(ValueError, match="unknown server nope"):
        select("floor,nope")


@pytest.mark.parametrize(
    ("server", "have", "reason"),
    [
        ("floor", {}, None),
        ("floor", {"project": {}}, "uvloop not in this environment"),
        ("starlette", {}, "uvicorn, starlette not in .venv-bench"),
        ("starlette", {"peers": {"uvicorn": "1", "starlette": "1"}}, None),
        ("node", {}, "node is not installed"),
        ("node", {"programs": {"node": "v20"}}, "ajv not in benchmarks/load/node_modules"),
        ("nginx", {}, "nginx is not installed"),
        ("nginx", {"programs": {"nginx": "1.22"}}, None),
        ("framework", {}, None),
        ("framework", {"twin": "pure"}, "the leaves are not compiled"),
        ("framework", {"twin": None}, "framework.wire.leaves does not import"),
        ("framework-pure", {"twin": "pure"}, None),
    ],
)
def test_absence_says_what_is_missing(server: str, have: dict[str, object], reason: str | None) -> None:
    assert installed(**have).absence(BY_NAME[server]) == reason


def test_the_nginx_configuration_listens_where_it_is_told(tmp_path: Path) -> None:
    command = BY_NAME["nginx"].command(Settings(port=8123), tmp_path)
    config = (tmp_path / "nginx.conf").read_text()
    assert command[:2] == ["nginx", "-c"]
    assert "listen 127.0.0.1:8123" in config
    assert "access_log off" in config


def test_a_python_server_runs_as_a_module(tmp_path: Path) -> None:
    server = Server("x", "x", "project", "floor")
    assert server.command(Settings(port=1), tmp_path)[1:] == ["-m", "benchmarks.load.servers.floor"]


def test_without_compiled_leaves_the_pure_twin_stands_for_the_framework() -> None:
    assert short("compiled") == (FLOOR, OURS, "granian-rsgi", "starlette")
    assert short("pure") == short(None) == (FLOOR, PURE, "granian-rsgi", "starlette")
