"""The server's settings: section ``[server]``. Durations in seconds, sizes in bytes."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from framework.errors import ConfigError
from framework.http.forwarded import TrustedProxies

__all__ = ["ServerSettings", "TLSFiles"]

Seconds = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]
ZeroOrSeconds = Annotated[float, Meta(ge=0)]


class TLSFiles(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A certificate with its chain, and its private key: PEM files, or one that holds both."""

    certificate: str
    key: str | None = None


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the server listens, how long it waits and how much it takes.

    Timeouts of connections are kept to a quarter of a second.

    Attributes:
        host: name or address to listen on; 0.0.0.0 and :: are all addresses of the machine.
        port: 0 takes a free one, which is said at the start.
        unix_socket: a path to listen on, instead of ``host`` and ``port``.
        backlog: connections that wait in the kernel to be accepted.
        max_connections: further ones are told 503 and closed.
        max_active_requests: handlers that wait at the same time; further requests are answered 503.
        max_head: bytes of a request's head; ``max_fields`` and ``max_target`` bound its parts.
        max_fields: lines of header fields.
        max_target: bytes of the request target, which is path and query.
        max_body_in_flight: bytes of one body, or of pipelined requests, that may wait here before reading pauses.
        max_drained_body: bytes that may be left of a body nobody read, for the connection to live on.
        max_pipelined_per_turn: requests of one connection that are begun before others have their turn.
        max_background_tasks: pieces of work, begun with ``Request.background``, that run at the same time.
        header_timeout: seconds from the first byte of a head (of a connection, for the first) to its last.
        body_timeout: seconds within which a kilobyte of the body has to come, or its rest.
        keep_alive_timeout: seconds from a response to the next request.
        write_timeout: seconds within which the client has to take some of what waits for it.
        linger_timeout: seconds that a refused client may go on sending.
        not_ready_timeout: seconds at shutdown, from the moment the app is not ready until the server stops accepting.
        drain_timeout: seconds then for requests under way, and background work, to end by themselves.
        cancel_timeout: seconds then for what was cancelled to clean up.
        idle_grace: seconds at shutdown in which keep-alive connections may still bring a request (which is answered
            with ``Connection: close``) before the idle ones are closed.
        workers: processes that serve.
        worker_timeout: seconds without a sign of life after which a worker is killed and replaced; 0 waits for ever.
        worker_start_timeout: seconds that a worker may take to start; 0 waits for ever.
        max_requests: after which a worker is replaced, give or take the part ``max_requests_jitter`` of it.
        max_requests_jitter: the part of ``max_requests`` by which workers differ, so that they do not go all at once.
        max_rss: bytes of resident memory at which a worker is replaced.
        gc_threshold: objects made and not freed after which Python's cyclic collector runs in a process that serves; 0
            leaves Python's own, which is less than what a few dozen requests under way have.
        tls_certificate: for clients that name no host of ``tls_hosts``; a PEM file, with its chain. It turns TLS on.
        tls_key: the PEM file of its private key, where that is not in the certificate's.
        tls_hosts: certificates by host name; ``*.example.com`` stands for one label.
        tls_client_ca: the authority of the clients' certificates, asked for as ``tls_client_auth`` says; a PEM file.
        tls_client_auth: whether clients are asked for a certificate, and refused without one.
        tls_min_version: the oldest version of TLS that is spoken.
        tls_ciphers: for TLS 1.2, in OpenSSL's notation.
        tls_handshake_timeout: seconds that a client may take for the handshake.
        tls_shutdown_timeout: seconds that it may take to answer the end of TLS.
        tls_check_interval: seconds between looks for changed certificate files; 0 looks only when told to reload.
        trusted_proxies: addresses, networks or "unix", whose X-Forwarded-* fields are believed.
        half_close: a client that closed its side of the connection still gets the answers to what it sent; else it
            counts as gone.
    """

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
    max_background_tasks: Count = 10_000

    header_timeout: Seconds = 10.0
    body_timeout: Seconds = 30.0
    keep_alive_timeout: Seconds = 75.0
    write_timeout: Seconds = 30.0
    linger_timeout: Seconds = 2.0

    not_ready_timeout: Annotated[float, Meta(ge=0)] = 0.0
    drain_timeout: Annotated[float, Meta(ge=0)] = 30.0
    cancel_timeout: Annotated[float, Meta(ge=0)] = 5.0

    idle_grace: ZeroOrSeconds = 0.5

    workers: Count = 1
    worker_timeout: ZeroOrSeconds = 30.0
    worker_start_timeout: ZeroOrSeconds = 60.0
    max_requests: Count | None = None
    max_requests_jitter: Annotated[float, Meta(ge=0, le=1)] = 0.1
    max_rss: Count | None = None
    gc_threshold: Annotated[int, Meta(ge=0)] = 10_000

    tls_certificate: str | None = None
    tls_key: str | None = None
    tls_hosts: dict[str, TLSFiles] = {}
    tls_client_ca: str | None = None
    tls_client_auth: Literal["none", "optional", "required"] = "none"
    tls_min_version: Literal["1.2", "1.3"] = "1.2"
    tls_ciphers: str | None = None
    tls_handshake_timeout: Seconds = 10.0
    tls_shutdown_timeout: Seconds = 5.0
    tls_check_interval: ZeroOrSeconds = 10.0

    trusted_proxies: tuple[str, ...] = ()
    half_close: bool = False

    def __post_init__(self) -> None:
        if self.max_target >= self.max_head:
            raise ValueError(f"max_target ({self.max_target}) has to be less than max_head ({self.max_head})")
        try:
            TrustedProxies(self.trusted_proxies)
        except ConfigError as error:
            raise ValueError(str(error)) from error
