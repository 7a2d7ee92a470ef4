"""What a request is hashed by."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from framework.http.request import Request
from framework.plugins.gateway.config import ClusterConfig

__all__ = ["KeyOf", "key_function"]

KeyOf: TypeAlias = Callable[[Request], bytes | None]


def key_function(config: ClusterConfig) -> KeyOf | None:
    """The key of a request for a cluster's policy; None where the policy looks at none."""
    if config.sticky_cookie is not None:
        name = config.sticky_cookie
        return lambda request: _bytes(request.cookies.get(name))
    if config.policy not in ("ring_hash", "maglev"):
        return None
    kind, _, name = config.hash_on.partition(":")
    if kind == "header":
        field = name.lower()
        return lambda request: _bytes(request.field(field))
    if kind == "cookie":
        return lambda request: _bytes(request.cookies.get(name))
    if kind == "query":
        return lambda request: _bytes(request.query.get(name))
    if kind == "path":
        return lambda request: _bytes(request.path)
    return lambda request: None if request.client is None else request.client.host.encode()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode("utf-8", "surrogateescape")
