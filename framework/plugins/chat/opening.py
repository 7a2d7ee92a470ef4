"""Which store a URL stands for."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from urllib.parse import unquote

from framework.errors import ConfigError
from framework.plugins.chat.store import ChatStore

__all__ = ["open_store"]


def open_store(url: str) -> AbstractAsyncContextManager[ChatStore]:
    """Opens the store of ``sqlite:///chat.db`` (relative; four slashes begin an absolute path) or ``postgresql://...``.

    Raises:
        ConfigError: a URL that stands for none, or a driver that is not installed.
    """
    scheme, separator, rest = url.partition("://")
    if scheme == "sqlite" and rest.startswith("/") and len(rest) > 1:
        from framework.plugins.chat.store.sqlite import SQLiteChatStore

        return SQLiteChatStore.open(Path(unquote(rest[1:])))
    if scheme in ("postgresql", "postgres") and separator:
        try:
            from framework.plugins.chat.store.postgresql import PostgreSQLChatStore
        except ImportError as error:
            raise ConfigError(
                f"chat.store: {error.name} is not installed: install the extra framework[postgresql]"
            ) from None
        return PostgreSQLChatStore.open(url)
    raise ConfigError("chat.store: known are sqlite:///chat.db and postgresql://...")
