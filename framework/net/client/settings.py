"""The numbers of the client's side: how long to wait, how much to keep."""

from __future__ import annotations

import msgspec

__all__ = ["PoolSettings", "Timeouts"]


class Timeouts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long each part of an exchange may take, in seconds; a deadline comes up to 50 ms late, never early.

    Args:
        acquire: to wait for a free connection where the origin's are all in use.
        connect: for the name, the TCP connection and the TLS handshake together.
        send: until the peer takes any of what waits to be sent to it; looked at once in that time, so that a peer
            that stops in between has up to twice as long.
        head: from the request's last byte to the end of the response's head.
        body_idle: between two pieces of the response's body, while somebody waits for them.
        total: for everything from the call to the body's end; None is no bound of its own.
    """

    acquire: float = 10.0
    connect: float = 10.0
    send: float = 30.0
    head: float = 30.0
    body_idle: float = 30.0
    total: float | None = None

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name}: a time to wait is more than 0 seconds")


class PoolSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The bounds of the connections to one origin.

    Args:
        max_connections: open at once, those in use and those kept.
        max_idle: kept while nobody uses them.
        max_waiting: who may wait for a connection; one more gets PoolExhausted.
        idle_timeout: seconds a connection is kept without use. A server that says ``Keep-Alive: timeout=n`` is
            left a little before its n seconds are over.
        max_age: seconds after which a connection is not used again, so that new addresses of a name are found.
        max_head: bytes of a response's head.
        max_fields: field lines of a head, and of a trailer section.
        high_water: bytes of a body that wait for their reader before reading stops.
    """

    max_connections: int = 100
    max_idle: int = 32
    max_waiting: int = 256
    idle_timeout: float = 15.0
    max_age: float = 600.0
    max_head: int = 65_536
    max_fields: int = 200
    high_water: int = 65_536

    def __post_init__(self) -> None:
        least = {"max_idle": 0, "max_waiting": 0, "max_head": 64}
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if value < least.get(name, 1) and not (isinstance(value, float) and value > 0):
                raise ValueError(f"{name}: {value} is too small")
