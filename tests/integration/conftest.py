"""What the tests with real processes share."""

from __future__ import annotations

from pathlib import Path

import pytest

SHOP = """
import asyncio
import os
import sys
import time
from pathlib import Path

from framework import App

app = App()


@app.get("/")
def pid() -> str:
    return str(os.getpid())


@app.get("/slow")
async def slow(seconds: float = 1.0) -> str:
    print("the slow handler has begun", file=sys.stderr, flush=True)
    await asyncio.sleep(seconds)
    return str(os.getpid())


@app.get("/hang")
def hang() -> str:
    print("the loop stands still", file=sys.stderr, flush=True)
    time.sleep(600)
    return ""


@app.get("/workers")
def workers(settings: "ServerSettings") -> str:
    return str(settings.workers)


from framework import ServerSettings
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with the app ``shop:app``, whose answers name the process that made them."""
    (tmp_path / "shop.py").write_text(SHOP)
    return tmp_path
