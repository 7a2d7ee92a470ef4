"""The server's settings: section ``[server]``. Durations in seconds, sizes in bytes."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

__all__ = ["ServerSettings"]

Seconds = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the server listens, how long it waits and how much it takes."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8000
    unix_socket: str | None = None
    backlog: Count = 2048

    max_connections: Count = 20_000
    max_active_requests: Count = 4_096
    max_head: Count = 32_768
    max_fields: Count = 100
    max_target: Count = 8_192
    max_body_in_flight: Count = 65_536
    max_drained_body: Annotated[int, Meta(ge=0)] = 262_144
    max_pipelined_per_turn: Count = 32

    header_timeout: Seconds = 10.0
    body_timeout: Seconds = 30.0
    keep_alive_timeout: Seconds = 75.0
    write_timeout: Seconds = 30.0
    linger_timeout: Seconds = 2.0

    not_ready_timeout: Annotated[float, Meta(ge=0)] = 0.0
    drain_timeout: Annotated[float, Meta(ge=0)] = 30.0
    cancel_timeout: Annotated[float, Meta(ge=0)] = 5.0

    trusted_proxies: tuple[str, ...] = ()
    half_close: bool = False
