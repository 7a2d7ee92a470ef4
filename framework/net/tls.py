"""TLS: contexts from the settings, certificates by host name, new certificates without a dropped connection.

A front context takes every handshake and hands it to the context of the host name asked for (SNI, RFC 6066 section 3)
in the table of the moment. A reload replaces the table whole, or not at all; connections that are up keep their own.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import ssl
import weakref
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

from framework.errors import SetupError
from framework.http.request import Request
from framework.net.connection import Connection
from framework.net.core import Core
from framework.net.settings import ServerSettings

__all__ = ["TLS", "Handshakes", "TLSConnection", "TLSSession", "renewing", "tls_session"]

_PROTOCOLS: Final = ("http/1.1",)
_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_AUTH: Final = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


class TLSSession(NamedTuple):
    """What was agreed with a client. ``peer`` is its certificate as ``SSLSocket.getpeercert()`` tells it, checked
    against ``server.tls_client_ca``; ``peer_der`` the same as bytes; both None when it showed none."""

    version: str
    cipher: str
    protocol: str | None
    peer: Mapping[str, Any] | None
    peer_der: bytes | None


def tls_session(request: Request) -> TLSSession | None:
    """The TLS session that a request came in; None when it came in plain (or through a proxy that ended TLS)."""
    found = request.exchange.extra("ssl_object")
    if found is None:
        return None
    cipher = found.cipher()
    return TLSSession(
        found.version() or "",
        cipher[0] if cipher else "",
        found.selected_alpn_protocol(),
        found.getpeercert() or None,
        found.getpeercert(binary_form=True),
    )


class _Table(NamedTuple):
    default: ssl.SSLContext
    hosts: Mapping[str, ssl.SSLContext]

    def find(self, name: str | None) -> ssl.SSLContext:
        """By the whole name, else by "*." and the rest of it, which stands for one label (RFC 6125 section 6.4.3)."""
        if not name or not self.hosts:
            return self.default
        name = name.lower().rstrip(".")
        found = self.hosts.get(name)
        return found or self.hosts.get(f"*.{name.partition('.')[2]}", self.default)


class TLS:
    """The TLS side of a listener.

    Raises:
        SetupError: everything that is wrong with the ``server.tls_*`` settings and the files they name.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._seen = self._signature()
        self._table = _build(settings)
        self._front = _context(settings)
        self._front.sni_callback = self._choose
        self.handshakes = Handshakes()
        self.check_interval = settings.tls_check_interval

    @classmethod
    def of(cls, settings: ServerSettings) -> TLS | None:
        """None when no certificate is set. Raises SetupError as the constructor does."""
        if settings.tls_certificate is not None:
            return cls(settings)
        stray = [
            name
            for name in ("tls_key", "tls_hosts", "tls_client_ca", "tls_ciphers")
            if getattr(settings, name)
        ]
        if settings.tls_client_auth != "none":
            stray.append("tls_client_auth")
        if stray:
            raise SetupError(
                [f"server.{name}: has no effect without server.tls_certificate" for name in stray]
            )
        return None

    def options(self) -> dict[str, Any]:
        """What ``loop.create_server`` is given."""
        return {
            "ssl": self._front,
            "ssl_handshake_timeout": self._settings.tls_handshake_timeout,
            "ssl_shutdown_timeout": self._settings.tls_shutdown_timeout,
        }

    def factory(self, core: Core) -> Callable[[], Connection]:
        """Makes the protocol of each accepted connection."""
        return lambda: TLSConnection(core, self.handshakes)

    def reload(self) -> None:
        """Reads all certificates anew; handshakes from now on get them. Raises SetupError, and keeps the old ones,
        when one of them is broken."""
        self._seen = self._signature()
        self._table = _build(self._settings)

    def has_changed(self) -> bool:
        """Whether a file is another one than at the last (re)load, be that good or bad."""
        return self._signature() != self._seen

    def _choose(self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
        connection.context = self._table.find(name)

    def _signature(self) -> list[tuple[int, int, int] | None]:
        return [_stamp(path) for path in _files(self._settings)]


class Handshakes:
    """The connections that are accepted and have not finished their handshake.

    The loops do not say that one failed; its protocol then merely goes away, which is noticed by a weak reference.
    """

    def __init__(self) -> None:
        self._pending: dict[int, weakref.ref[Connection]] = {}
        self._emptied: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        return len(self._pending)

    def begin(self, connection: Connection) -> None:
        key = id(connection)
        self._pending[key] = weakref.ref(connection, lambda _: self._ended(key))

    def end(self, connection: Connection) -> None:
        self._ended(id(connection))

    def _ended(self, key: int) -> None:
        self._pending.pop(key, None)
        if not self._pending and self._emptied is not None and not self._emptied.done():
            self._emptied.set_result(None)

    def sweep(self) -> None:
        """Plain asyncio leaves failed ones in reference cycles: collects those, where there may be any."""
        if self._pending:
            gc.collect()

    def emptied(self) -> asyncio.Future[None]:
        """Done when none is under way any more."""
        if self._emptied is None or self._emptied.done():
            self._emptied = asyncio.get_running_loop().create_future()
            if not self._pending:
                self._emptied.set_result(None)
        return self._emptied


@asynccontextmanager
async def renewing(tls: TLS | None) -> AsyncGenerator[Callable[[], None]]:
    """Renews the certificates when their files change, while the block runs; yields what does it now.

    A broken certificate is logged once and the old one kept, until its file changes again.
    """
    if tls is None:
        yield lambda: None
        return
    loop = asyncio.get_running_loop()
    log = logging.getLogger("framework.server")
    timer: asyncio.TimerHandle | None = None

    def renew() -> None:
        try:
            tls.reload()
        except SetupError as error:
            for problem in error.problems:
                log.error("the old certificates are kept: %s", problem)
        else:
            log.info("the certificates were read anew")

    def look() -> None:
        nonlocal timer
        if tls.has_changed():
            renew()
        timer = loop.call_later(tls.check_interval, look)

    if tls.check_interval > 0:
        timer = loop.call_later(tls.check_interval, look)
    try:
        yield renew
    finally:
        if timer is not None:
            timer.cancel()


class TLSConnection(Connection):
    """A connection whose transport begins with a handshake."""

    __slots__ = ("__weakref__", "_handshakes")

    def __init__(self, core: Core, handshakes: Handshakes) -> None:
        super().__init__(core)
        self._handshakes = handshakes
        handshakes.begin(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._handshakes.end(self)
        super().connection_made(transport)

    def eof_received(self) -> bool | None:
        super().eof_received()
        return None  # TLS cannot be closed on one side only (RFC 8446 section 6.1 could; the loops do not)


# -- contexts ---------------------------------------------------------------------------------------------------------


def _context(settings: ServerSettings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[settings.tls_min_version]
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(_PROTOCOLS)
    context.verify_mode = _AUTH[settings.tls_client_auth]
    if settings.tls_ciphers is not None:
        context.set_ciphers(settings.tls_ciphers)
    return context


def _build(settings: ServerSettings) -> _Table:
    """Raises SetupError with every problem."""
    problems = list(_contradictions(settings))
    pairs = [("server.tls_", "", settings.tls_certificate or "", settings.tls_key)]
    for name, files in settings.tls_hosts.items():
        pairs.append((f"{_host_key(name)}.", name, files.certificate, files.key))
    contexts: dict[str, ssl.SSLContext] = {}
    if not problems:
        for prefix, name, certificate, key in pairs:
            context = contexts[name.lower()] = _context(settings)
            problem = _load(context, prefix, certificate, key)
            if problem:
                problems.append(problem)
            if settings.tls_client_ca is not None:
                context.load_verify_locations(settings.tls_client_ca)
    if problems:
        raise SetupError(problems)
    return _Table(contexts.pop(""), contexts)


def _contradictions(settings: ServerSettings) -> Iterator[str]:
    """What is wrong whatever the certificates are."""
    probe = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if settings.tls_ciphers is not None:
        try:
            probe.set_ciphers(settings.tls_ciphers)
        except ssl.SSLError:
            yield f"server.tls_ciphers: OpenSSL knows no cipher of {settings.tls_ciphers!r}"
    if settings.tls_client_auth != "none" and settings.tls_client_ca is None:
        yield "server.tls_client_auth: needs server.tls_client_ca, the authority of the clients' certificates"
    if settings.tls_client_ca is not None:
        if settings.tls_client_auth == "none":
            yield 'server.tls_client_ca: has no effect while server.tls_client_auth is "none"'
        try:
            probe.load_verify_locations(settings.tls_client_ca)
        except ssl.SSLError:
            yield f"server.tls_client_ca: {settings.tls_client_ca} holds no certificate in PEM form"
        except OSError as error:
            yield f"server.tls_client_ca: {settings.tls_client_ca}: {error.strerror}"
    for name in settings.tls_hosts:
        if not _is_host_name(name):
            yield f'{_host_key(name)}: is no host name, nor "*." and one'


def _host_key(name: str) -> str:
    """The setting's key as TOML has it."""
    bare = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return f"server.tls_hosts.{name if bare else json.dumps(name)}"


def _is_host_name(name: str) -> bool:
    labels = name.removeprefix("*.").split(".")
    return all(label and label.isascii() and label.replace("-", "").isalnum() for label in labels)


def _load(context: ssl.SSLContext, prefix: str, certificate: str, key: str | None) -> str:
    """Loads a certificate and its key; returns what is wrong, "" when all is well."""
    chain_key, key_key = f"{prefix}certificate", f"{prefix}key" if key is not None else f"{prefix}certificate"
    where = certificate
    try:
        with open(certificate, "rb") as file:
            chain = file.read()
        where = key or certificate
        with open(where, "rb") as file:
            secret = file.read()
    except OSError as error:
        return f"{chain_key if where == certificate else key_key}: {where}: {error.strerror}"
    if b"-----BEGIN CERTIFICATE-----" not in chain:
        return f"{chain_key}: {certificate} holds no certificate in PEM form"
    if b"PRIVATE KEY-----" not in secret:
        return f"{key_key}: {where} holds no private key in PEM form"
    if b"ENCRYPTED" in secret:
        return f"{key_key}: {where} is encrypted; the server has nobody to ask for its password"
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            return f"{key_key}: {where} is not the key of the certificate {certificate}"
        return f"{chain_key}: OpenSSL refuses {certificate} with {where}: {error.reason or error}"
    except (OSError, ValueError) as error:
        return f"{chain_key}: {certificate} with {where}: {error}"
    return ""


def _no_password() -> str:
    """OpenSSL would ask on the terminal."""
    raise ValueError("the key is encrypted")


def _files(settings: ServerSettings) -> Iterator[str]:
    hosts = settings.tls_hosts.values()
    pairs = [
        (settings.tls_certificate, settings.tls_key),
        *((files.certificate, files.key) for files in hosts),
    ]
    for path in (*(path for pair in pairs for path in pair), settings.tls_client_ca):
        if path is not None:
            yield path


def _stamp(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
