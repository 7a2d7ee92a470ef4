"""Clients that stay with the endpoint they had."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from hashlib import blake2b

from framework.balancing.endpoint import Endpoint
from framework.balancing.policy import NONE, LoadBalancer

__all__ = ["Sticky"]


class Sticky:
    """Picks the endpoint whose token the caller shows as key, while that can be picked; else asks another policy.

    ``token(endpoint)`` is what to give the client, in a cookie say: it tells nothing of the address, and who makes one
    up gets no endpoint by it.

    Args:
        others: picks for those who have no token, or one of an endpoint that is away.
        secret: what tokens are made with; the same for all processes of a service, at most 64 bytes.
    """

    def __init__(self, others: LoadBalancer, secret: bytes) -> None:
        if not 16 <= len(secret) <= 64:
            raise ValueError("the secret of sticky endpoints has 16 to 64 bytes")
        self._others = others
        self._secret = secret
        self._tokens: dict[bytes, Endpoint] = {}

    def token(self, endpoint: Endpoint) -> str:
        """32 hex digits that stand for the endpoint."""
        return blake2b(endpoint.key.encode(), key=self._secret, digest_size=16).hexdigest()

    def update(self, endpoints: Sequence[Endpoint], now: float) -> None:
        """Sets the endpoints."""
        self._tokens = {self.token(endpoint).encode(): endpoint for endpoint in endpoints}
        self._others.update(endpoints, now)

    def pick(
        self, now: float, key: bytes | None = None, avoid: Collection[Endpoint] = NONE
    ) -> Endpoint | None:
        """The endpoint of the token ``key``, or one that the other policy picks."""
        endpoint = None if key is None else self._tokens.get(key)
        if endpoint is not None and endpoint.available and endpoint not in avoid:
            return endpoint
        return self._others.pick(now, None, avoid)
