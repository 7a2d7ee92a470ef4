"""The project's own sources, for the tests that read them."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def python_sources() -> list[Path]:
    """Every Python file of the framework and the apps."""
    return sorted(path for top in ("framework", "apps") for path in (ROOT / top).rglob("*.py"))
