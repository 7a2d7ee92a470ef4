"""Heads: parsed and written by the compiled leaves and by their pure twin."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from types import ModuleType

from benchmarks.load.scenarios import SCENARIOS, request_bytes
from benchmarks.micro.runner import Case

MESSAGES = {
    "GET": request_bytes(SCENARIOS[0], "127.0.0.1:8000"),
    "GET with a browser's head": request_bytes(SCENARIOS[1], "127.0.0.1:8000"),
    "POST with a length": request_bytes(SCENARIOS[3], "127.0.0.1:8000"),
}
PREFIX = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\n"
TAIL = b"date: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\n"
FIELDS = [
    ("cache-control", "no-store"),
    ("x-request-id", "4f9a3c1e7b2d48059c6f1a2b3c4d5e6f"),
    ("vary", "accept"),
]


def twins() -> dict[str, tuple[ModuleType, ModuleType, ModuleType]]:
    """The modules that limit, parse and write, by twin; the compiled ones only where they were built."""
    pure = import_module("framework.wire._pure")
    found = {"pure": (pure, pure, pure)}
    try:
        head, request, encode = (
            import_module(f"framework.wire.{name}") for name in ("_head", "_request", "_encode")
        )
    except ImportError:
        return found
    return {"compiled": (head, request, encode), **found}


def cases() -> Iterator[Case]:
    for twin, (head, request, encode) in twins().items():
        names = {"limits": head.Limits(), "parse": request.parse_request, "cls": request.RequestHead}
        for message, data in MESSAGES.items():
            baseline = f"{message}, {next(iter(twins()))}"
            call = "parse(data, 0, limits, cls)"
            yield Case("parse a head", f"{message}, {twin}", call, {**names, "data": data}, baseline=baseline)
        for title, pairs in (("no fields", []), ("three fields", FIELDS)):
            yield Case(
                "write a response",
                f"{title}, {twin}",
                "encode(prefix, pairs, body, tail, True)",
                {
                    "encode": encode.encode_response,
                    "prefix": PREFIX,
                    "pairs": pairs,
                    "body": b"Hello, World!",
                    "tail": TAIL,
                },
                baseline=f"{title}, {next(iter(twins()))}",
            )
