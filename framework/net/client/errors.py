"""What can go wrong on the client's side, beside ``PeerClosed`` and ``RemoteProtocolError``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from framework.errors import DeadlineExceeded, PeerClosed, ResourceError, TransportError

__all__ = [
    "ConnectError",
    "ExchangeDeadline",
    "NameResolutionError",
    "Phase",
    "PoolExhausted",
    "ResponseTooLarge",
    "StaleConnection",
    "TLSError",
    "TooManyRedirects",
]

Phase: TypeAlias = Literal["acquire", "connect", "send", "head", "body_idle", "total"]


class ConnectError(TransportError):
    """There is no connection to ``target``; nothing was sent. ``causes``: one error for each address tried."""

    def __init__(self, target: str, causes: Sequence[OSError]) -> None:
        self.target = target
        self.causes = tuple(causes)
        super().__init__(target, self.causes)

    def __str__(self) -> str:
        reasons = dict.fromkeys(str(cause) or type(cause).__name__ for cause in self.causes)
        return f"cannot connect to {self.target}: {'; '.join(reasons)}"


class NameResolutionError(ConnectError):
    """The host name has no address."""


class TLSError(ConnectError):
    """The TLS handshake failed: an untrusted or wrong certificate, or no version or cipher in common."""


class ExchangeDeadline(DeadlineExceeded):
    """A deadline of an exchange. ``phase`` names the one: a field of ``Timeouts``, or "total" for ``deadline``, too."""

    def __init__(self, phase: Phase, what: str, seconds: float) -> None:
        super().__init__(what, seconds)
        self.phase = phase
        self.args = (phase, what, seconds)


class StaleConnection(PeerClosed):
    """A kept connection was closed by the peer before any byte of this response came.

    The peer most likely closed it before it saw the request, which can be sent again where that does no harm.
    """


class PoolExhausted(ResourceError):
    """So many already wait for a connection that one more would only wait in vain."""


class ResponseTooLarge(ResourceError):
    """A response body is larger than the caller takes. ``limit`` is in bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the response body is larger than {limit} bytes")
        self.limit = limit
        self.args = (limit,)


class TooManyRedirects(ResourceError):
    """Redirects led on and on. ``urls``: those that answered with one, in order."""

    def __init__(self, urls: Sequence[str]) -> None:
        self.urls = tuple(urls)
        super().__init__(f"more than {len(urls) - 1} redirects, the last to {urls[-1]}")
        self.args = (self.urls,)
