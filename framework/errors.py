"""The tree of errors. Data in attributes, text made late in ``__str__``; one map turns them into responses.

::

    FrameworkError
    ├── SetupError            the app is wrong; found before it listens
    │   ├── ConfigError       a setting, with its key and origin
    │   ├── RouteConflict     two routes that cannot both be reached
    │   ├── GraphError        the dependency graph
    │   ├── BindingError      a handler's signature
    │   └── PluginError       a plugin's needs or order
    ├── ProtocolError         bytes that break the protocol
    │   ├── LocalProtocolError    by us: a bug of the app or of the framework
    │   └── RemoteProtocolError   by the peer, with the status that answers it
    ├── TransportError
    │   ├── PeerClosed        the peer went away
    │   └── DeadlineExceeded  a wait ended without its event
    ├── ResourceError         a bounded thing is exhausted
    ├── CodecError            a value that does not encode or decode
    └── HTTPError             an answer other than the handler's own
        └── ValidationError   every error of a request at once
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
    "BindingError",
    "CodecError",
    "ConfigError",
    "DeadlineExceeded",
    "FieldError",
    "FrameworkError",
    "GraphError",
    "HTTPError",
    "LocalProtocolError",
    "PeerClosed",
    "PluginError",
    "ProtocolError",
    "RemoteProtocolError",
    "ResourceError",
    "RouteConflict",
    "SetupError",
    "TransportError",
    "ValidationError",
]


class FrameworkError(Exception):
    """The root of every error this package raises on purpose."""


class SetupError(FrameworkError):
    """The application is put together wrongly. ``problems`` holds every fault found, not only the first."""

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems: tuple[str, ...] = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(self.problems)


class ConfigError(SetupError):
    """Settings that are missing, unknown, of the wrong type or out of range; each names its key and origin."""


class RouteConflict(SetupError):
    """Two routes claim the same requests, or one can never be reached."""


class GraphError(SetupError):
    """The dependency graph has a cycle, a hole, or a wide scope that needs a narrow one."""


class BindingError(SetupError):
    """A handler's signature cannot be bound to a request."""


class PluginError(SetupError):
    """A plugin requires another that is not installed, or the requirements form a circle."""


class ProtocolError(FrameworkError):
    """Bytes or calls that break the protocol. ``status`` hints the response that says so."""

    def __init__(self, reason: str, status: int = 400) -> None:
        self.reason = reason
        self.status = status
        super().__init__(reason, status)

    def __str__(self) -> str:
        return self.reason


class LocalProtocolError(ProtocolError):
    """We tried to send what the protocol forbids: a bug on this side, answered by 500."""

    def __init__(self, reason: str, status: int = 500) -> None:
        super().__init__(reason, status)


class RemoteProtocolError(ProtocolError):
    """The peer sent what the protocol forbids."""


class TransportError(FrameworkError):
    """The connection, not what was said on it, failed."""


class PeerClosed(TransportError):
    """The peer closed the connection before the exchange was complete."""


class DeadlineExceeded(TransportError):
    """A wait reached its deadline. ``what`` names the wait, ``seconds`` its length."""

    def __init__(self, what: str, seconds: float) -> None:
        self.what = what
        self.seconds = seconds
        super().__init__(what, seconds)

    def __str__(self) -> str:
        return f"{self.what} took longer than {self.seconds:g} s"


class ResourceError(FrameworkError):
    """A bounded resource is exhausted. ``retry_after`` is in seconds, None when unknown."""

    def __init__(self, what: str, retry_after: float | None = None) -> None:
        self.what = what
        self.retry_after = retry_after
        super().__init__(what, retry_after)

    def __str__(self) -> str:
        return self.what


class CodecError(FrameworkError):
    """A value does not encode, or bytes do not decode. ``position`` is the byte offset where known."""

    def __init__(self, reason: str, position: int | None = None) -> None:
        self.reason = reason
        self.position = position
        super().__init__(reason, position)

    def __str__(self) -> str:
        return self.reason if self.position is None else f"{self.reason} at byte {self.position}"


class HTTPError(FrameworkError):
    """Answers the request with ``status`` as problem+json (RFC 9457).

    Args:
        status: 400 to 599.
        detail: what went wrong in this occurrence, safe for the client to read.
        headers: fields to add to the response.
        type: a URI that names the problem's kind.
        extensions: further members of the problem document.
    """

    def __init__(
        self,
        status: int,
        detail: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        type: str = "about:blank",
        extensions: Mapping[str, Any] | None = None,
    ) -> None:
        self.status = status
        self.detail = detail
        self.headers: Mapping[str, str] = headers or {}
        self.type = type
        self.extensions: Mapping[str, Any] = extensions or {}
        super().__init__(status, detail)

    def __str__(self) -> str:
        return f"{self.status}: {self.detail}" if self.detail else str(self.status)


class FieldError:
    """One fault of a request: where (``source`` and JSON Pointer, RFC 6901) and what."""

    __slots__ = ("detail", "pointer", "source")

    def __init__(self, source: str, pointer: str, detail: str) -> None:
        self.source = source
        self.pointer = pointer
        self.detail = detail

    def __repr__(self) -> str:
        return f"FieldError({self.source!r}, {self.pointer!r}, {self.detail!r})"

    def as_dict(self) -> dict[str, str]:
        return {"in": self.source, "pointer": self.pointer, "detail": self.detail}


class ValidationError(HTTPError):
    """Every error of a request at once; answered by 422 unless told otherwise."""

    def __init__(self, errors: Sequence[FieldError], status: int = 422) -> None:
        self.errors = tuple(errors)
        count = len(self.errors)
        super().__init__(
            status,
            f"{count} error{'s' if count != 1 else ''} in the request",
            extensions={"errors": [error.as_dict() for error in self.errors]},
        )
