"""The work every server does, so that all of them do the same. Servers import this: standard library only.

An application has three routes that are measured, in the middle of a table of ``routes`` (a router that scans
pays the average, not the best case), two middlewares that only look (one counts methods, one counts statuses)
and ``onions`` middlewares that wrap the handler and await it.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

HOST = "127.0.0.1"
TEXT = "Hello, World!"
TEXT_TYPE = "text/plain; charset=utf-8"
JSON_TYPE = "application/json"
HELLO = "/hello"
USER = "/users/{id:int}"
ORDERS = "/orders"
USER_ID = 48213
# Idle connections stay open while memory is measured: every server keeps them far longer than by default.
KEEP_ALIVE_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Settings:
    """What the harness asks of a server through its environment."""

    port: int
    routes: int = 30
    onions: int = 0

    def environment(self) -> dict[str, str]:
        return {
            "BENCH_PORT": str(self.port),
            "BENCH_ROUTES": str(self.routes),
            "BENCH_ONIONS": str(self.onions),
        }


def settings() -> Settings:
    """The settings of this server process.

    Raises:
        KeyError: not started by the harness (``BENCH_PORT`` is not set).
    """
    return Settings(
        port=int(os.environ["BENCH_PORT"]),
        routes=int(os.environ.get("BENCH_ROUTES", "30")),
        onions=int(os.environ.get("BENCH_ONIONS", "0")),
    )


def user_text(user_id: int) -> str:
    return f"user {user_id}"


def fillers(count: int) -> tuple[list[str], list[str]]:
    """GET patterns that fill a table of ``count`` routes: those before the three measured, and those after.

    Half are static (``/api/v1/things7``), half end in an integer (``/api/v1/things7/{id:int}``).
    """
    wanted = max(0, count - 3)
    patterns: list[str] = []
    for number in range((wanted + 1) // 2):
        patterns += [f"/api/v1/things{number}", f"/api/v1/things{number}/{{id:int}}"]
    patterns = patterns[:wanted]
    return patterns[: wanted // 2], patterns[wanted // 2 :]


def order() -> dict[str, Any]:
    """The document that is posted: nested objects, 1 kB as JSON."""
    lines = [
        {"sku": f"SKU-{1000 + n}", "name": f"Widget, size {n}", "quantity": n + 1, "price": 19.5 + n}
        for n in range(10)
    ]
    address = {"street": "12 Long Acre", "city": "London", "postcode": "WC2E 9LH", "country": "GB"}
    return {
        "id": 90017,
        "customer": {"name": "Ada Lovelace", "email": "ada@example.org", "address": address},
        "lines": lines,
        "tags": ["gift", "express", "fragile"],
        "note": "Leave it with the neighbour at number fourteen if nobody opens; please ring twice.",
    }


def order_body() -> bytes:
    return json.dumps(order(), separators=(",", ":")).encode()


def receipt() -> dict[str, Any]:
    """The answer to ``order()``: needs every line, so that nothing can be left undecoded."""
    placed = order()
    return {
        "order": placed["id"],
        "customer": placed["customer"]["name"],
        "city": placed["customer"]["address"]["city"],
        "quantity": sum(line["quantity"] for line in placed["lines"]),
        "total": sum(line["quantity"] * line["price"] for line in placed["lines"]),
    }
