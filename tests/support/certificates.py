"""Certificates for tests, made on the spot by an authority of their own."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme

__all__ = ["Authority"]


class Authority:
    """Issues certificates into a folder.

    Attributes:
        file: the authority's own certificate.
    """

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self.folder = folder
        self.file = folder / f"{name}.pem"
        self._ca = trustme.CA()
        self._ca.cert_pem.write_to_path(self.file)

    def issue(self, *names: str, stem: str = "server", common_name: str | None = None) -> tuple[str, str]:
        """Writes a certificate and its key; returns their files."""
        made = self._ca.issue_cert(*names, common_name=common_name)
        certificate, key = self.folder / f"{stem}.pem", self.folder / f"{stem}.key"
        certificate.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
        made.private_key_pem.write_to_path(key)
        return str(certificate), str(key)

    def client(self, certificate: tuple[str, str] | None = None) -> ssl.SSLContext:
        """A context that trusts this authority, and shows a certificate if it has one."""
        context = ssl.create_default_context(cafile=str(self.file))
        context.set_alpn_protocols(["http/1.1"])
        if certificate is not None:
            context.load_cert_chain(*certificate)
        return context
