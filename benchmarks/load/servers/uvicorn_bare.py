"""uvicorn and an ASGI function."""

from __future__ import annotations

from benchmarks.load.servers import asgi

if __name__ == "__main__":
    asgi.serve(asgi.bare, lifespan="off")
