"""Where a request goes: what makes two requests share connections. It does no I/O."""

from __future__ import annotations

import ssl
from typing import NamedTuple

__all__ = ["Origin"]


class Origin(NamedTuple):
    """Everything that two requests must agree on to use one connection.

    ``host``: a name or an IP address, without brackets. ``tls``: the context, None for plain TCP; contexts are
    compared by identity, so requests with other certificates never meet. ``server_name``: what the certificate is
    checked against and SNI says, ``host`` where it is None. ``unix_socket``: the path that replaces host and port.
    """

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    server_name: str | None = None
    unix_socket: str | None = None

    @property
    def scheme(self) -> str:
        """http or https."""
        return "http" if self.tls is None else "https"

    @property
    def authority(self) -> str:
        """What the Host field says: the port only where it is not the scheme's own (RFC 9110 section 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (80 if self.tls is None else 443) else f"{host}:{self.port}"

    def __str__(self) -> str:
        if self.unix_socket is not None:
            return f"{self.scheme}://{self.authority} at {self.unix_socket}"
        return f"{self.scheme}://{self.authority}"
