"""``framework version``."""

from __future__ import annotations

import importlib.metadata
import json
import platform

import pytest

import framework
from framework.cli.version import facts, loop_in_use
from framework.wire.leaves import TWIN

from .driver import Project


def test_what_runs_is_told(project: Project) -> None:
    outcome = project.call("version")
    lines = dict(line.split(maxsplit=1) for line in outcome.out.splitlines())
    assert lines["framework"] == framework.__version__
    assert lines["leaves"] == TWIN
    assert lines["python"] == f"{platform.python_implementation()} {platform.python_version()}"
    assert lines["msgspec"] == importlib.metadata.version("msgspec")


def test_as_json(project: Project) -> None:
    found = json.loads(project.call("version", "--json").out)
    assert found["loop"] == loop_in_use()
    assert "orjson" in found["dependencies"]


def test_the_short_flag(project: Project) -> None:
    assert project.call("--version").out == f"framework {framework.__version__}\n"


def test_a_source_tree_that_is_not_installed_has_no_list(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", missing)
    assert facts()["dependencies"] == {}


def test_what_is_not_installed_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ["msgspec>=0.20", 'not-there-at-all>=1 ; extra == "x"']
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: wanted)
    found = facts()["dependencies"]
    assert found["not-there-at-all"] is None
    assert found["msgspec"] is not None
