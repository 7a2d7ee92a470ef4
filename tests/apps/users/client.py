"""A running users app and its client."""

from __future__ import annotations

from pathlib import Path

from apps.users.app import create_app
from framework.testing import TestClient

__all__ = ["serving"]


def serving(database: Path, **users: object) -> TestClient:
    """The app on a free port, with hashes as cheap as argon2 allows."""
    settings: dict[str, object] = {
        "server.drain_timeout": 5.0,
        "users.database": str(database),
        "users.argon2": {"time_cost": 1, "memory_kib": 8, "parallelism": 1},
        **{f"users.{name}": value for name, value in users.items()},
    }
    host = {"host": "users.example"}
    return TestClient(create_app(), transport="socket", settings=settings, base_headers=host)
