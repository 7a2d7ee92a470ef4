"""A chat for each test."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from .serving import Serve, make_server


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """Makes a server; the next one has the first one's rooms."""
    return partial(make_server, tmp_path)
