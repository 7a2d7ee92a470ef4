"""A working directory of its own for each test, whose modules are forgotten after it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .driver import Project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    known = set(sys.modules)
    yield Project(tmp_path)
    for name in set(sys.modules) - known:
        places = getattr(sys.modules[name], "__path__", None) or [
            getattr(sys.modules[name], "__file__", "") or ""
        ]
        if any(str(place).startswith(str(tmp_path)) for place in places):
            del sys.modules[name]
