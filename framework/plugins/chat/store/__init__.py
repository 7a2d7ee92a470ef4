"""Where the logs are kept: a contract, and engines that keep it."""

from framework.plugins.chat.store.contract import Appended, ChatStore, Cut, History, Opening

__all__ = ["Appended", "ChatStore", "Cut", "History", "Opening"]
