"""A directory of files as a server is given it, with a secret beside it."""

from __future__ import annotations

import os
import random
from pathlib import Path

from framework.http.openfile import CHUNK

__all__ = ["DATE", "DAY_OLD", "LARGE", "SECRET", "TEXT", "make_site", "write"]

DAY_OLD = 1_700_000_000
DATE = "Tue, 14 Nov 2023 22:13:20 GMT"
TEXT = b"<h1>hello</h1>\n" * 10
LARGE = random.Random(7).randbytes(3 * CHUNK + 17)
SECRET = b"the secret"


def write(path: Path, content: bytes) -> None:
    """Writes a file, and the directories it is in; it seems not to be new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (DAY_OLD, DAY_OLD))


def make_site(parent: Path) -> Path:
    """The directory ``site`` in ``parent``."""
    site = parent / "site"
    write(site / "index.html", TEXT)
    write(site / "large.bin", LARGE)
    write(site / "empty.txt", b"")
    write(site / "docs" / "index.html", b"docs")
    write(site / "docs" / "a b%é.txt", b"odd name")
    write(site / "bare" / "file.txt", b"no index beside me")
    write(site / ".git" / "config", SECRET)
    write(site / ".env", SECRET)
    write(site / ".well-known" / "security.txt", b"contact")
    write(parent / "secret.txt", SECRET)
    write(parent / "site_secret" / "secret.txt", SECRET)
    return site
