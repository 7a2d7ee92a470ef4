"""What is asked of the servers: each scenario's request, the answer it must get, the application it needs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from benchmarks.load import work

__all__ = ["SCENARIOS", "Reply", "Scenario", "Variant", "complaint", "refusals", "request_bytes", "select"]

BROWSER_HEAD: Mapping[str, str] = MappingProxyType(
    {
        "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
        "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "Accept-Language": "en-GB,en;q=0.7,de;q=0.3",
        "Accept-Encoding": "gzip, deflate, br, zstd",
        "Connection": "keep-alive",
        "Cookie": "theme=dark; session=4f9a3c1e7b2d48059c6f",
        "Upgrade-Insecure-Requests": "1",
        "Sec-Fetch-Dest": "document",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Site": "none",
        "Sec-Fetch-User": "?1",
        "Priority": "u=0, i",
    }
)
JSON_HEAD: Mapping[str, str] = MappingProxyType({"Content-Type": "application/json"})


@dataclass(frozen=True, slots=True)
class Variant:
    """The application a scenario runs against; scenarios of one variant share one start of the server."""

    routes: int = 30
    onions: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """One response as a client sees it; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of request. ``expected`` is the body: text as it must be, or what its JSON must equal."""

    name: str
    title: str
    target: str
    expected: str | dict[str, Any]
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    depth: int = 1
    variant: Variant = Variant()


SCENARIOS: tuple[Scenario, ...] = (
    Scenario("text", "GET text: router, two look-only middlewares", work.HELLO, work.TEXT),
    Scenario(
        "browser", "The same with a browser's head (500 bytes)", work.HELLO, work.TEXT, headers=BROWSER_HEAD
    ),
    Scenario(
        "param", "GET /users/{id:int} among 30 routes", f"/users/{work.USER_ID}", work.user_text(work.USER_ID)
    ),
    Scenario(
        "post",
        "POST 1 kB of JSON, validated into nested types",
        work.ORDERS,
        work.receipt(),
        method="POST",
        headers=JSON_HEAD,
        body=work.order_body(),
    ),
    Scenario("pipeline", "GET text, 16 requests pipelined", work.HELLO, work.TEXT, depth=16),
    Scenario(
        "param600",
        "GET /users/{id:int} among 600 routes",
        f"/users/{work.USER_ID}",
        work.user_text(work.USER_ID),
        variant=Variant(routes=600),
    ),
    Scenario(
        "onions",
        "GET text through 5 onion middlewares more",
        work.HELLO,
        work.TEXT,
        variant=Variant(onions=5),
    ),
)


def select(names: str | None) -> tuple[Scenario, ...]:
    """The scenarios named in a comma-separated list, in their own order; all for None.

    Raises:
        ValueError: a name that no scenario has.
    """
    if names is None:
        return SCENARIOS
    wanted = {name.strip() for name in names.split(",") if name.strip()}
    unknown = wanted - {scenario.name for scenario in SCENARIOS}
    if unknown:
        known = ", ".join(scenario.name for scenario in SCENARIOS)
        raise ValueError(f"unknown scenario {', '.join(sorted(unknown))}; known are {known}")
    return tuple(scenario for scenario in SCENARIOS if scenario.name in wanted)


def request_bytes(scenario: Scenario, authority: str) -> bytes:
    """One request of the scenario as it goes on the wire: what wrk sends, but for the order of the fields."""
    lines = [f"{scenario.method} {scenario.target} HTTP/1.1", f"Host: {authority}"]
    lines += [f"{name}: {value}" for name, value in scenario.headers.items()]
    if scenario.body:
        lines.append(f"Content-Length: {len(scenario.body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + scenario.body


def complaint(scenario: Scenario, reply: Reply) -> str | None:
    """Why the reply is not the scenario's answer, or None if it is."""
    if reply.status != 200:
        return f"status {reply.status} instead of 200"
    is_json = not isinstance(scenario.expected, str)
    media_type = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    wanted = "application/json" if is_json else "text/plain"
    if media_type != wanted:
        return f"content type {media_type or '(none)'} instead of {wanted}"
    try:
        found = json.loads(reply.body) if is_json else reply.body.decode()
    except ValueError:
        return f"a body that does not decode: {reply.body[:80]!r}"
    return (
        None if found == scenario.expected else f"body {reply.body[:80]!r} instead of {scenario.expected!r}"
    )


def refusals(scenario: Scenario) -> tuple[Scenario, ...]:
    """Requests that a server doing its work must answer with 4xx: nobody saves the validation."""
    if scenario.method == "POST":
        wrong = work.order()
        wrong["lines"][-1]["quantity"] = "many"
        missing = work.order()
        del missing["customer"]["address"]["city"]
        return tuple(replace(scenario, body=json.dumps(document).encode()) for document in (wrong, missing))
    if scenario.target.startswith("/users/"):
        return (replace(scenario, target="/users/nobody"),)
    return (replace(scenario, target="/nowhere"),)
