"""Connections that stop being HTTP: bytes from one side go to the other as they are, until both have ended.

WebSockets mostly. Neither side is read faster than the other takes. The end of one side is the end of both, behind what
was said before it; so are ``idle_timeout`` seconds without a byte either way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import uniform
from typing import Any, Final

from framework.http.request import Request
from framework.http.upgrade import Taken, Upgrade
from framework.net.client import RawResponse, Tunnel
from framework.net.wheel import NEVER
from framework.plugins.gateway.fields import response_fields

__all__ = ["TunnelPair", "is_upgrade", "tunnelled"]

HIGH_WATER: Final = 16_384
SPREAD: Final = 0.7


def is_upgrade(request: Request) -> bool:
    """Whether the client asks for another protocol (RFC 9110 section 7.8). HTTP/2 is not spoken behind this gateway."""
    wanted = request.field("upgrade")
    if wanted is None or wanted.lower() == "h2c":
        return False
    options = (request.headers.combined("connection") or "").lower()
    return "upgrade" in {option.strip(" \t") for option in options.split(",")}


def tunnelled(
    request: Request, raw: RawResponse, *, idle_timeout: float, ended: Callable[[], None]
) -> Upgrade:
    """The answer 101, behind which the two connections are joined. ``ended`` is called once, when both are gone."""
    head = raw.head
    fields = response_fields(head.fields())
    pair = TunnelPair(idle_timeout, ended)

    def connect(taken: Taken) -> None:
        try:
            tunnel = raw.detach()
        except Exception:
            taken.transport.abort()
            pair.finish()
            raise
        pair.join(taken, tunnel)

    upgrade = _Tunnelled(head.field("upgrade") or "websocket", connect, headers=fields)

    def forget() -> None:
        raw.close()
        pair.finish()

    upgrade.forget = forget
    return upgrade


class _Tunnelled(Upgrade):
    """An upgrade whose upstream is closed when it is not sent after all."""

    __slots__ = ("forget",)

    forget: Callable[[], None] | None

    def connect(self, link: Taken) -> None:
        self.forget = None
        super().connect(link)

    def dropped(self) -> None:
        forget, self.forget = getattr(self, "forget", None), None
        if forget is not None:
            forget()
        super().dropped()


class TunnelPair:
    """Two joined connections. On the books of the server, as one."""

    __slots__ = ("_core", "_ended", "_idle_timeout", "_timer", "client", "due", "moved", "upstream")

    def __init__(self, idle_timeout: float, ended: Callable[[], None]) -> None:
        self._core: Any = None
        self._ended: Callable[[], None] | None = ended
        self._idle_timeout = idle_timeout
        self._timer: asyncio.TimerHandle | None = None
        self.client = _End(self)
        self.upstream = _End(self)
        self.due = NEVER
        self.moved = 0

    def join(self, taken: Taken, tunnel: Tunnel) -> None:
        """Begins to pass bytes on, those first that came with the heads."""
        core = self._core = taken.core
        core.connections.add(self)
        core.wheel.wake()
        client, upstream = self.client, self.upstream
        client.join(taken.transport, upstream)
        upstream.join(tunnel.transport, client)
        core.wheel.watch(self, core.wheel.now + self._idle_timeout)
        if taken.received:
            client.data_received(taken.received)
        if tunnel.received:
            upstream.data_received(tunnel.received)
        upstream.resume()
        if taken.leaving:
            self.shut_down()

    def on_due(self, now: float) -> float:
        """Closes what has been silent both ways for too long."""
        moved, self.moved = self.moved, 0
        if moved:
            return now + self._idle_timeout
        self.abort()
        return NEVER

    # -- the server's side --------------------------------------------------------------------------------------------

    def shut_down(self) -> None:
        """The server drains. What is said in the tunnel is not ours to end: it is closed, at a random moment of the
        drain, so that not all clients come back at once."""
        if self._timer is None:
            wait = uniform(0.0, SPREAD * self._core.settings.drain_timeout)
            self._timer = self._core.loop.call_later(wait, self.close)

    def cancel(self) -> None:
        """The server's patience is over."""
        self.abort()

    def close(self) -> None:
        """Closes both, behind what was written."""
        self.client.close()
        self.upstream.close()

    def abort(self) -> None:
        """Closes both at once."""
        self.client.abort()
        self.upstream.abort()

    def lost(self) -> None:
        """One of the two is gone: the other goes as well, behind what is still to be written to it."""
        if self.client.transport is not None or self.upstream.transport is not None:
            self.close()
            return
        self.finish()

    def finish(self) -> None:
        """Both are gone."""
        if self._timer is not None:
            self._timer.cancel()
        if self._core is not None:
            self._core.wheel.forget(self)
            self._core.leave(self)
        ended, self._ended = self._ended, None
        if ended is not None:
            ended()


class _End(asyncio.Protocol):
    """One of the two connections."""

    __slots__ = ("_other", "_pair", "_paused", "transport")

    def __init__(self, pair: TunnelPair) -> None:
        self._pair = pair
        self._other: _End | None = None
        self._paused = False
        self.transport: asyncio.Transport | None = None

    def join(self, transport: asyncio.Transport, other: _End) -> None:
        self.transport = transport
        self._other = other
        transport.set_write_buffer_limits(HIGH_WATER)
        transport.set_protocol(self)

    def data_received(self, data: bytes) -> None:
        self._pair.moved += 1
        other = self._other
        if other is not None and other.transport is not None:
            other.transport.write(data)

    def eof_received(self) -> None:
        """Who ends its half has gone, in the protocols that are tunnelled: the other gets what is on its way, and the
        end. (A side that says nothing more, and reads on, would hold both connections for nothing.)"""
        if self._other is not None:
            self._other.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self._pair.lost()

    def pause_writing(self) -> None:
        if self._other is not None:
            self._other.pause()

    def resume_writing(self) -> None:
        if self._other is not None:
            self._other.resume()

    def pause(self) -> None:
        if self.transport is not None and not self._paused:
            self._paused = True
            self.transport.pause_reading()

    def resume(self) -> None:
        self._paused = False
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()
