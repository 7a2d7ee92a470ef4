"""Real-time chat: rooms with provable logs, over WebSockets. Needs the extra ``auth`` (PyJWT).

``app.install(ChatPlugin())`` is all; see ``docs/chat.md``.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from framework.plugins.chat.hub import Hub
    from framework.plugins.chat.plugin import ChatPlugin
    from framework.plugins.chat.settings import ChatSettings
    from framework.plugins.chat.store import ChatStore
    from framework.plugins.chat.tokens import Tokens

__all__ = ["ChatPlugin", "ChatSettings", "ChatStore", "Hub", "Tokens"]

# A terminal client needs the protocol alone, and none of the server.
_WHERE = {
    "ChatPlugin": "plugin",
    "ChatSettings": "settings",
    "ChatStore": "store",
    "Hub": "hub",
    "Tokens": "tokens",
}


def __getattr__(name: str) -> object:
    module = _WHERE.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_import_module(f"{__name__}.{module}"), name)
