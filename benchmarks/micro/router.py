"""Finding a route: static, with a parameter, and none, among 30 and among 600."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.load import work
from benchmarks.micro.runner import Case
from framework.routing import Router, RouterBuilder

TABLES = (30, 600)


def table(count: int) -> Router[str]:
    builder: RouterBuilder[str] = RouterBuilder()
    before, after = work.fillers(count)
    for pattern in (*before, work.HELLO, work.USER, *after):
        builder.add(pattern, ["GET"], pattern)
    builder.add(work.ORDERS, ["POST"], work.ORDERS)
    return builder.build(lambda allowed: "405", lambda allowed: "options", "404", head=lambda value: value)


def cases() -> Iterator[Case]:
    questions = {"static": work.HELLO, "parameter": f"/users/{work.USER_ID}", "miss": "/nowhere/at/all"}
    for question, path in questions.items():
        for count in TABLES:
            yield Case(
                "router",
                f"{question}, {count} routes",
                "find('GET', path)",
                {"find": table(count).find, "path": path},
                baseline=f"{question}, {TABLES[0]} routes",
            )
