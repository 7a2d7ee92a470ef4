"""Granian and an ASGI function."""

from __future__ import annotations

from granian.constants import Interfaces

from benchmarks.load.servers import asgi
from benchmarks.load.servers.granian_rsgi import serve

application = asgi.bare

if __name__ == "__main__":
    serve("benchmarks.load.servers.granian_asgi:application", Interfaces.ASGINL)
