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
    │   │   └── WebSocketClosed   by the code and reason of its close
    │   └── DeadlineExceeded  a wait ended without its event
    ├── ResourceError         a bounded thing is exhausted
    │   ├── PoolTimeout       no connection became free in time
    │   └── PoolExhausted     too many wait for a connection already
    ├── CodecError            a value that does not encode or decode
    └── HTTPError             an answer other than the handler's own
        ├── ValidationError   every error of a request at once
        └── LimitExceeded     a rate limit refuses the request for now
"""

from __future__ import annotations

import math
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
    "LimitExceeded",
    "LocalProtocolError",
    "PeerClosed",
    "PluginError",
    "PoolExhausted",
    "PoolTimeout",
    "ProtocolError",
    "RemoteProtocolError",
    "ResourceError",
    "RouteConflict",
    "SetupError",
    "TransportError",
    "ValidationError",
    "WebSocketClosed",
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


class WebSocketClosed(PeerClosed):
    """The WebSocket is closed, by whichever side. ``code`` is that of the close (RFC 6455 section 7.4): 1005 where the
    peer gave none, 1006 where the connection broke without a close."""

    def __init__(self, code: int, reason: str = "") -> None:
        self.code = code
        self.reason = reason
        super().__init__(code, reason)

    def __str__(self) -> str:
        return f"the WebSocket is closed: {self.code}{f' {self.reason}' if self.reason else ''}"


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


class PoolTimeout(ResourceError):
    """A connection did not become free in time.

    Attributes:
        pool: its name.
        seconds: how long was waited.
        waiting: how many others wait still.
        holder: who has held a connection for longest, None when nobody holds one.
        failure: why the last attempt to connect failed, None when it did not.
    """

    def __init__(
        self,
        pool: str,
        seconds: float,
        *,
        waiting: int = 0,
        holder: str | None = None,
        failure: BaseException | None = None,
    ) -> None:
        self.pool = pool
        self.seconds = seconds
        self.waiting = waiting
        self.holder = holder
        self.failure = failure
        super().__init__(pool)

    def __str__(self) -> str:
        text = f"pool {self.pool}: no connection within {self.seconds:.3g} s; {self.waiting} others wait"
        if self.holder is not None:
            text += f"; held longest by {self.holder}"
        if self.failure is not None:
            text += f"; connecting fails: {type(self.failure).__name__}: {self.failure}"
        return text


class PoolExhausted(ResourceError):
    """Nobody more may wait for a connection, or nobody could ever get one.

    Attributes:
        pool: its name.
        waiting: how many wait already.
        holder: who has held a connection for longest, None when nobody holds one.
        why: what was exhausted.
    """

    def __init__(
        self, pool: str, *, waiting: int, holder: str | None = None, why: str = "too many wait already"
    ) -> None:
        self.pool = pool
        self.waiting = waiting
        self.holder = holder
        self.why = why
        super().__init__(pool, 1.0)

    def __str__(self) -> str:
        text = f"pool {self.pool}: {self.why}; {self.waiting} wait"
        return text if self.holder is None else f"{text}; held longest by {self.holder}"


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


class LimitExceeded(HTTPError):
    """A rate limit refuses the request for now.

    Attributes:
        policy: the name of the limit that refuses for longest.
        retry_after: seconds until it would be admitted; infinite where it costs more than the limit ever admits.
        violated: the names of all limits that refuse it.
    """

    def __init__(
        self,
        policy: str,
        *,
        retry_after: float,
        status: int = 429,
        headers: Mapping[str, str] | None = None,
        type: str = "about:blank",
        violated: Sequence[str] = (),
    ) -> None:
        self.policy = policy
        self.retry_after = retry_after
        self.violated = tuple(violated) or (policy,)
        # A wait that never ends is told as none: there is no use in coming back.
        seconds = None if math.isinf(retry_after) else max(1, math.ceil(retry_after))
        detail = (
            "this costs more than the limit allows at all" if seconds is None else f"come back in {seconds} s"
        )
        fields = dict(headers or {})
        if seconds is not None:
            fields.setdefault("retry-after", str(seconds))
        super().__init__(
            status,
            f"the limit {policy} is exceeded: {detail}",
            headers=fields,
            type=type,
            extensions={"violated-policies": list(self.violated)},
        )


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
