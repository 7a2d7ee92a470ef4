"""ASGI applications of others on this server and on uvicorn:  python -m benchmarks.asgi [--rounds N] [--out FILE]

A bare ASGI function, a Starlette app and a FastAPI app, each served by ``framework run --asgi`` and by uvicorn with
httptools and uvloop, in this environment: same interpreter, same versions, same loop. uvicorn runs without its access
log (``uvicorn``) and as its command line starts it (``uvicorn-log``, which writes to /dev/null). The server runs on
core 0, wrk with 64 connections on core 1. Rounds go there and back, and a ratio is taken inside a round.

``rate`` is requests per second and ``cost`` CPU microseconds per request, which a busy machine disturbs less. The
application's own part of the cost is the same on both: ``app`` says what it is without any server, and so how much of a
ratio is left to a server at all. The aim for Starlette and FastAPI is 1.3 x uvicorn's rate.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.facts import ROOT, busy_warning, machine_facts, tell
from benchmarks.load.process import cpu_seconds, free_port, pinned
from benchmarks.load.wrk import DONE, parse

AIM = 1.3
CONNECTIONS = 64
START_TIMEOUT = 20.0
HELLO = b"Hello, World!"


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """No framework: what the server alone costs."""
    if scope["type"] == "lifespan":
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"13")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": HELLO})


def starlette() -> Any:
    """The first page of its documentation, with a path parameter and a body more."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse, PlainTextResponse
    from starlette.routing import Route

    async def hello(request: Request) -> PlainTextResponse:
        return PlainTextResponse("Hello, World!")

    async def item(request: Request) -> JSONResponse:
        return JSONResponse({"item_id": request.path_params["item_id"], "q": request.query_params.get("q")})

    async def echo(request: Request) -> JSONResponse:
        return JSONResponse(await request.json())

    routes = [
        Route("/hello", hello),
        Route("/items/{item_id:int}", item),
        Route("/echo", echo, methods=["POST"]),
    ]
    return Starlette(routes=routes)


def fastapi() -> Any:
    """The first page of its tutorial: a path, a query and a typed body."""
    from fastapi import FastAPI
    from pydantic import BaseModel

    app = FastAPI()

    class Item(BaseModel):
        name: str
        price: float
        is_offer: bool | None = None

    async def hello() -> dict[str, str]:
        return {"Hello": "World"}

    async def item(item_id: int, q: str | None = None) -> dict[str, Any]:
        return {"item_id": item_id, "q": q}

    async def echo(item: Item) -> Item:
        return item

    Item.model_rebuild()
    echo.__annotations__.update(item=Item)
    app.get("/hello")(hello)
    app.get("/items/{item_id}")(item)
    app.post("/echo", response_model=Item)(echo)
    return app


APPS = {
    "bare": "benchmarks.asgi:bare",
    "starlette": "benchmarks.asgi:starlette",
    "fastapi": "benchmarks.asgi:fastapi",
}
BODY = json.dumps({"name": "Foo", "price": 45.2, "is_offer": True})
SERVERS = ("framework", "uvicorn", "uvicorn-log")
REQUESTS: dict[str, tuple[str, str, str]] = {
    "hello": ("GET", "/hello", ""),
    "item": ("GET", "/items/5?q=somequery", ""),
    "echo": ("POST", "/echo", BODY),
}


def command(server: str, app: str, port: int) -> list[str]:
    """What serves ``app`` on ``port``."""
    target = APPS[app]
    if server == "framework":
        return [sys.executable, "-m", "framework", "run", "--asgi", target, "--port", str(port)]
    factory = [] if app == "bare" else ["--factory"]
    quiet = [] if server == "uvicorn-log" else ["--no-access-log", "--no-proxy-headers"]
    how = ["--loop", "uvloop", "--http", "httptools", "--ws", "none", "--port", str(port)]
    return [sys.executable, "-m", "uvicorn", target, *factory, *how, *quiet]


@contextmanager
def serving(server: str, app: str) -> Iterator[tuple[int, int]]:
    """A server that answers: its process and port."""
    port = free_port()
    process = subprocess.Popen(
        pinned(0, command(server, app, port)), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + START_TIMEOUT
        while ask(port) != 200:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{server} does not serve {app}")
            time.sleep(0.05)
        yield process.pid, port
    finally:
        process.terminate()
        process.wait(10)


def ask(port: int) -> int:
    """The status of one GET; 0 while there is no connection."""
    from http.client import HTTPConnection, HTTPException

    connection = HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/hello")
        return connection.getresponse().status
    except (OSError, HTTPException):
        return 0
    finally:
        connection.close()


def load(port: int, request: str, seconds: int) -> tuple[int, float]:
    """Requests and seconds of one run of wrk."""
    method, target, body = REQUESTS[request]
    lines = [f'wrk.method = "{method}"']
    if body:
        lines += ['wrk.headers["Content-Type"] = "application/json"', f"wrk.body = [==[{body}]==]"]
    script = ROOT / f".bench-asgi-{port}.lua"
    script.write_text("\n".join(lines) + DONE)
    wrk = [
        "wrk",
        "-t1",
        f"-c{CONNECTIONS}",
        f"-d{seconds}s",
        "-s",
        str(script),
        f"http://127.0.0.1:{port}{target}",
    ]
    try:
        done = subprocess.run(
            pinned(1, wrk), capture_output=True, text=True, check=True, timeout=seconds + 30
        )
    finally:
        script.unlink()
    found = parse(done.stdout)
    if found.errors or not found.requests:
        raise SystemExit(f"{found.errors} of {found.requests} requests failed")
    return found.requests, found.seconds


def own_cost(app: str) -> float:
    """CPU microseconds of one call of the application, without a server."""
    made: Any = globals()[app] if app == "bare" else globals()[app]()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        pass

    async def calls(count: int) -> float:
        begun = time.process_time()
        for _ in range(count):
            scope = {
                "type": "http",
                "asgi": {"version": "3.0", "spec_version": "2.3"},
                "http_version": "1.1",
                "method": "GET",
                "scheme": "http",
                "path": "/hello",
                "raw_path": b"/hello",
                "query_string": b"",
                "root_path": "",
                "headers": [(b"host", b"127.0.0.1")],
                "client": ("127.0.0.1", 1),
                "server": ("127.0.0.1", 2),
                "state": {},
            }
            await made(scope, receive, send)
        return (time.process_time() - begun) / count * 1e6

    async def measured() -> float:
        await calls(500)
        return min([await calls(1000) for _ in range(5)])

    return asyncio.run(measured())


def measure(
    apps: Sequence[str], requests: Sequence[str], servers: Sequence[str], rounds: int, seconds: int
) -> dict[str, Any]:
    """Medians and ratios, by application and request."""
    rates: dict[tuple[str, str, str], list[float]] = {}
    costs: dict[tuple[str, str, str], list[float]] = {}
    for number in range(rounds):
        for app in apps:
            for server in servers if number % 2 == 0 else reversed(servers):
                with serving(server, app) as (pid, port):
                    for request in requests if app != "bare" else requests[:1]:
                        load(port, request, 1)
                        before = cpu_seconds(pid)
                        count, took = load(port, request, seconds)
                        key = app, request, server
                        costs.setdefault(key, []).append((cpu_seconds(pid) - before) / count * 1e6)
                        rates.setdefault(key, []).append(count / took)
                        line = f"{app} {request} {server}: {rates[key][-1]:.0f}/s, {costs[key][-1]:.1f} us"
                        sys.stderr.write(f"{line}\n")
    found: dict[str, Any] = {}
    for app, request, server in rates:
        if server != "framework":
            continue
        keys = {name: (app, request, name) for name in servers}
        ours = keys["framework"]
        found[f"{app} {request}"] = {
            "rate": {name: round(statistics.median(rates[key])) for name, key in keys.items()},
            "cost": {name: round(statistics.median(costs[key]), 1) for name, key in keys.items()},
            "rate_ratio": {
                name: round(statistics.median(map(_divide, rates[ours], rates[key])), 3)
                for name, key in keys.items()
                if key != ours
            },
            "cost_ratio": {
                name: round(statistics.median(map(_divide, costs[key], costs[ours])), 3)
                for name, key in keys.items()
                if key != ours
            },
        }
    return found


def _divide(one: float, other: float) -> float:
    return one / other


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.asgi", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--apps", default=",".join(APPS))
    parser.add_argument("--requests", default=",".join(REQUESTS))
    parser.add_argument("--servers", default=",".join(SERVERS), help="framework, and which uvicorn")
    parser.add_argument("--out", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {1})
    facts = machine_facts()
    if warning := busy_warning(facts["load_average"]):
        sys.stderr.write(f"warning: {warning}\n")
    apps, requests = arguments.apps.split(","), arguments.requests.split(",")
    servers = arguments.servers.split(",")
    found = measure(apps, requests, servers, arguments.rounds, arguments.seconds)
    alone = {app: round(own_cost(app), 1) for app in apps}
    settings = {"rounds": arguments.rounds, "seconds": arguments.seconds, "connections": CONNECTIONS}
    document = {"kind": "asgi", "facts": facts, "settings": settings, "summary": found, "app": alone}
    tell(document, arguments.out)
    missed = [
        name
        for name, one in found.items()
        if not name.startswith("bare") and one["rate_ratio"].get("uvicorn", AIM) < AIM
    ]
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
