"""Responses kept as a shared cache may (RFC 9111)."""

from framework.plugins.cache.http.middleware import ResponseCache

__all__ = ["ResponseCache"]
