"""The chat: the plugin, a page, and what operating it needs."""
