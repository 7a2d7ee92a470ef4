"""Which bus a URL stands for."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

from framework.errors import ConfigError
from framework.plugins.chat.bus.contract import Bus, LocalBus

__all__ = ["bus_of"]

_KNOWN: Final = "memory://, workers://, redis:// (rediss://, unix://) and postgresql://"


def bus_of(url: str, *, name: str = "chat") -> Bus:
    """The bus, not opened. Raises ConfigError for a URL that stands for none, or whose driver is not installed.

    Args:
        name: apart from other chats on the same Redis, database or machine.
    """
    scheme, separator, rest = url.partition("://")
    if scheme == "memory" and separator and not rest:
        return LocalBus()
    if scheme == "workers" and separator:
        from framework.plugins.chat.bus.workers import WorkersBus

        return WorkersBus(Path(rest) if rest else _folder_of_supervisor(name))
    try:
        if scheme in ("redis", "rediss", "unix") and separator:
            from framework.plugins.chat.bus.redis import RedisBus

            return RedisBus(url, channel=f"{name}.bus")
        if scheme in ("postgresql", "postgres") and separator:
            from framework.plugins.chat.bus.postgresql import PostgreSQLBus

            return PostgreSQLBus(url, channel=f"framework_{name}")
    except ImportError as error:
        extra = "redis" if scheme != "postgresql" else "postgresql"
        raise ConfigError(
            f"chat.bus: {error.name} is not installed: install the extra framework[{extra}]"
        ) from None
    raise ConfigError(f"chat.bus: {url!r} is no bus; known are {_KNOWN}")


def _folder_of_supervisor(name: str) -> Path:
    """The same for all workers of one supervisor: their parent."""
    return Path(tempfile.gettempdir()) / f"framework-{name}-{os.getuid()}-{os.getppid()}"
