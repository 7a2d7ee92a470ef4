"""Fixtures for every test: async tests run on plain asyncio and on uvloop."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

FRAMEWORK = Path(__file__).resolve().parent.parent / "framework"


def pytest_configure(config: pytest.Config) -> None:
    """Tests of a compiled module whose source has changed since would test what is no more.

    Only then the plugin, which every test has: it imports the framework.
    """
    for compiled in FRAMEWORK.rglob("*.so"):
        stem = compiled.with_name(compiled.name.partition(".")[0])
        sources = [stem.with_suffix(kind) for kind in (".py", ".pyx", ".pxd")]
        if any(source.exists() and source.stat().st_mtime > compiled.stat().st_mtime for source in sources):
            pytest.exit(f"{compiled.name} is older than its source: make build", returncode=3)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell gives that to whatever it starts with "&", and each program a test starts would inherit it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.pluginmanager.import_plugin("framework.testing.plugin")


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param == "uvloop"}
