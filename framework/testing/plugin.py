"""The pytest plugin: ``client_for`` gives a test a client over each transport in turn.

Put ``pytest_plugins = ["framework.testing.plugin"]`` into the top conftest.py.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from framework.testing.client import TestClient, Transport

__all__ = ["client_for", "transport"]


@pytest.fixture(params=["memory", "socket", "network"])
def transport(request: pytest.FixtureRequest) -> Transport:
    """The transport of this run of the test; parametrise it to choose fewer."""
    kind: Transport = request.param
    return kind


@pytest.fixture
def client_for(transport: Transport) -> Callable[..., TestClient]:
    """``client_for(app, **options)``: a TestClient over the transport of this run."""
    return partial(TestClient, transport=transport)
