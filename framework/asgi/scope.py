"""From a request to the scope of ASGI (HTTP and WebSocket message format, version 2.5)."""

from __future__ import annotations

import ssl
from typing import Any, Final
from urllib.parse import quote, unquote

from framework.http.path import unescape_segment
from framework.http.request import Request

__all__ = ["http_scope", "mounted_scope", "socket_scope", "tls_extension"]

_TLS_VERSIONS: Final = {"TLSv1": 0x0301, "TLSv1.1": 0x0302, "TLSv1.2": 0x0303, "TLSv1.3": 0x0304}
# What a canonical path has of ASCII stays as it is; it keeps two escapes, and so the percent sign.
_KEPT_IN_PATHS: Final = "!$%&'()*+,-./:;=@_~|\"<>[]\\^`{}"


def http_scope(request: Request, state: dict[str, Any], proxied: bool = False) -> dict[str, Any]:
    """The scope of a request to an application that has the server to itself: its path is the one that was sent.

    Made for every request, and so in one go: each call in here shows in the rate.

    Args:
        state: what the lifespan filled; the scope gets a copy of its own.
        proxied: client and scheme are as trusted proxies tell them.
    """
    exchange = request.exchange
    scheme = exchange.scheme
    client = exchange.peer
    path = request.raw_path
    name = exchange.extra("sockname")
    extensions: dict[str, Any] = {
        "http.response.pathsend": {},
        "http.response.early_hint": {},
        "http.response.trailers": {},
    }
    if scheme == "https":
        extensions["tls"] = tls_extension(exchange.extra("ssl_object"))
    if proxied:
        client, scheme, _ = request.origin
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1" if request.minor else "1.0",
        "method": request.method,
        "scheme": scheme,
        "path": unquote(path) if "%" in path else path,
        "raw_path": path.encode("latin-1"),
        "query_string": request.query_string.encode("latin-1"),
        "root_path": "",
        "headers": request.raw_fields(),
        "client": client,
        "server": (name[0], name[1]) if isinstance(name, tuple) else _unix(name),
        "extensions": extensions,
        "state": state.copy(),
    }


def mounted_scope(request: Request, state: dict[str, Any], root_path: str) -> dict[str, Any]:
    """The scope of a request to an application that is mounted below ``root_path``, which its path begins with.

    That path is the canonical one, by which the request was routed and judged: the application sees no other.
    """
    canonical = request.path
    raw = request.raw_path if request.plain_path else quote(canonical, safe=_KEPT_IN_PATHS)
    outer: str = getattr(request.exchange, "root_path", "")  # of our app, where another server runs it
    if outer:
        raw = quote(outer, safe="/") + raw
    scope = http_scope(request, state, proxied=True)
    scope["path"] = outer + unescape_segment(canonical)
    scope["raw_path"] = raw.encode("latin-1")
    scope["root_path"] = outer + unescape_segment(root_path)
    return scope


def socket_scope(scope: dict[str, Any], subprotocols: list[str]) -> dict[str, Any]:
    """The scope of a request to upgrade to WebSocket, made of that of the request."""
    del scope["method"]
    scope["type"] = "websocket"
    scope["scheme"] = "wss" if scope["scheme"] == "https" else "ws"
    scope["subprotocols"] = subprotocols
    extensions: dict[str, Any] = {"websocket.http.response": {}}
    if "tls" in scope["extensions"]:
        extensions["tls"] = scope["extensions"]["tls"]
    scope["extensions"] = extensions
    return scope


def _unix(name: Any) -> tuple[str, None] | None:
    """The address of a unix socket, by what that says of itself; "" where it has no path."""
    return (name, None) if isinstance(name, str) and name else None


def tls_extension(connection: Any) -> dict[str, Any]:
    """The extension ``tls`` (ASGI TLS extension, version 0.2) of an ``ssl.SSLObject``, or of None for TLS that ended
    elsewhere.

    The server's own certificate is not told, because the ``ssl`` module does not.
    """
    told: dict[str, Any] = {
        "server_cert": None,
        "client_cert_chain": (),
        "client_cert_name": None,
        "client_cert_error": None,
        "tls_version": None,
        "cipher_suite": None,
    }
    if connection is None:
        return told
    told["tls_version"] = _TLS_VERSIONS.get(connection.version())
    context: ssl.SSLContext = connection.context
    cipher = connection.cipher()
    if cipher is not None:
        told["cipher_suite"] = next(
            (known["id"] & 0xFFFF for known in context.get_ciphers() if known["name"] == cipher[0]), None
        )
    if context.verify_mode != ssl.CERT_NONE:
        certificate: bytes | None = connection.getpeercert(binary_form=True)
        if certificate is not None:
            told["client_cert_chain"] = (ssl.DER_cert_to_PEM_cert(certificate),)
            told["client_cert_name"] = _distinguished_name(connection.getpeercert().get("subject", ()))
    return told


_RDN_NAMES: Final = {
    "commonName": "CN",
    "localityName": "L",
    "stateOrProvinceName": "ST",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "countryName": "C",
    "streetAddress": "STREET",
    "domainComponent": "DC",
    "userId": "UID",
}


def _distinguished_name(subject: tuple[tuple[tuple[str, str], ...], ...]) -> str:
    """A subject as RFC 4514 writes it: the last part first."""
    parts = [
        "+".join(f"{_RDN_NAMES.get(kind, kind)}={_escaped(value)}" for kind, value in one) for one in subject
    ]
    return ",".join(reversed(parts))


def _escaped(value: str) -> str:
    """A value as RFC 4514 section 2.4 has it."""
    text = "".join(f"\\{letter}" if letter in '"+,;<>\\' else letter for letter in value).replace(
        "\0", "\\00"
    )
    if text[:1] in ("#", " "):
        text = f"\\{text}"
    return f"{text[:-1]}\\ " if text.endswith(" ") and len(value) > 1 else text
