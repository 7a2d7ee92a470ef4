"""The speed aims of issues 3 to 6, each with the way to its figure in the result documents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

__all__ = ["PROMISES", "Finding", "Promise", "find_all"]

Document = Mapping[str, Any]


class DisturbedError(Exception):
    """The document has the figure, and it cannot be true."""


@dataclass(frozen=True, slots=True)
class Promise:
    """``figure`` takes the document of ``kind``; it raises KeyError (or the like) where the figure is not in it."""

    issue: int
    text: str
    kind: str
    figure: Callable[[Document], float]
    bound: float
    unit: str = ""
    at_least: bool = False

    @property
    def aim(self) -> str:
        number = f"{self.bound:,.0f}" if self.bound >= 1000 else f"{self.bound:g}"
        return f"{'at least' if self.at_least else 'at most'} {number}{self.unit}"

    def judge(self, document: Document | None) -> Finding:
        if document is None:
            return Finding(self, None, f"{self.kind} was not run")
        try:
            return Finding(self, float(self.figure(document)), None)
        except DisturbedError as error:
            return Finding(self, None, str(error))
        except (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError):
            absent = "; ".join(f"{name}: {why}" for name, why in document.get("absent", {}).items())
            return Finding(self, None, f"not in the result{f' ({absent})' if absent else ''}")


@dataclass(frozen=True, slots=True)
class Finding:
    """``value`` is None when it was not measured; ``why`` then says so."""

    promise: Promise
    value: float | None
    why: str | None

    @property
    def met(self) -> bool | None:
        if self.value is None:
            return None
        bound = self.promise.bound
        return self.value >= bound if self.promise.at_least else self.value <= bound

    @property
    def text(self) -> str:
        if self.value is None:
            return "-"
        number = f"{self.value:,.0f}" if abs(self.value) >= 1000 else f"{self.value:.2f}"
        return f"{number}{self.promise.unit}"


def find_all(documents: Mapping[str, Document]) -> list[Finding]:
    """Every promise, judged by the document of its kind."""
    return [promise.judge(documents.get(promise.kind)) for promise in PROMISES]


def echo(scenario: str, over: str, under: str = "listener") -> Callable[[Document], float]:
    """CPU per message of ``over`` by that of ``under``: the median of the rounds' ratios."""

    def figure(document: Document) -> float:
        servers = document["samples"][scenario]
        below = {sample["round"]: sample["cpu_us"] for sample in servers[under]}
        ratios = [one["cpu_us"] / below[one["round"]] for one in servers[over] if one["round"] in below]
        return float(median(ratios))

    return figure


def nanoseconds(document: Document, group: str, name: str) -> float:
    return float(next(f["ns"] for f in _figures(document, group) if f["name"] == name))


def _figures(document: Document, group: str) -> list[Mapping[str, Any]]:
    found = [figure for figure in document["figures"] if figure["group"] == group]
    if not found:
        raise KeyError(group)
    return found


def middleware_us(document: Document) -> float:
    """What the limiter adds to a request and its response."""
    group = "rate limit, middleware"
    limited = nanoseconds(document, group, "with a limit by client and draft-11 fields")
    alone = nanoseconds(document, group, "request and response alone")
    if limited <= alone:
        raise DisturbedError("disturbed: a request with the limiter took less than one without")
    return (limited - alone) / 1e3


def cache_us(name: str) -> Callable[[Document], float]:
    return lambda document: nanoseconds(document, "cache hit", name) / 1e3


def cache_hits(document: Document) -> float:
    """The worst of the Zipf traces."""
    rows = [row for row in document["summary"] if row["trace"].startswith("zipf")]
    return float(min(row["ours"] / row["textbook"] for row in rows))


def observed(document: Document) -> float:
    """Percent more for a whole request, with the plugins as they are by default."""
    return (float(document["summary"]["context"]["to_plain"]) - 1) * 100


def asgi(app: str) -> Callable[[Document], float]:
    """The worst of the requests of one application."""

    def figure(document: Document) -> float:
        ratios = [
            cell["rate_ratio"]["uvicorn"]
            for name, cell in document["summary"].items()
            if name.startswith(f"{app} ")
        ]
        return float(min(ratios))

    return figure


def flood_growth(document: Document) -> float:
    """MB that all keys take more than the first million, ten times what the engine remembers."""
    marks = document["summary"]["megabytes"]
    return float(marks[str(document["summary"]["keys"])]) - float(marks["1000000"])


def pool_over_held(document: Document) -> float:
    summary = document["summary"]
    held, through = summary["SELECT 1: a held connection"], summary["SELECT 1: this pool"]
    return float(through) / (float(held) + 1.5)


def pool_ratio(case: str) -> Callable[[Document], float]:
    def figure(document: Document) -> float:
        summary = document["summary"]
        return float(summary[f"{case}: asyncpg, reset left out"]) / float(summary[f"{case}: this pool"])

    return figure


def proxied(scenario: str, over: str, under: str, figure: str = "rate") -> Callable[[Document], float]:
    """A figure of ``over`` by that of ``under``: the median of the rounds' ratios."""

    def ratio(document: Document) -> float:
        contestants = document["samples"][scenario]
        below = {one["round"]: one[figure] for one in contestants[under]}
        return float(
            median(one[figure] / below[one["round"]] for one in contestants[over] if one["round"] in below)
        )

    return ratio


def held_kib(scenario: str) -> Callable[[Document], float]:
    return lambda document: float(document["summary"][scenario]["ours"]["bytes"]) / 1024


def _summary(*path: str) -> Callable[[Document], float]:
    def figure(document: Document) -> float:
        value: Any = document["summary"]
        for name in path:
            value = value[name]
        return float(value)

    return figure


def _said(outstanding: int) -> Callable[[Document], float]:
    return _summary(f"{outstanding} outstanding", "socketify", "ours_to_its_rate")


def _peer_file(document: Document) -> float:
    return float(min(cell["rate_ratio"] for cell in document["peer"].values()))


def _grown(document: Document) -> float:
    return float(max(document["memory_mib"].values()))


PROMISES: tuple[Promise, ...] = (
    Promise(3, "two workers, times one (CPU per request)", "workers", _summary("scale"), 1.8, " x", True),
    Promise(3, "50 kB file, requests/s by uvicorn + Starlette's", "files", _peer_file, 1.3, " x", True),
    Promise(3, "1 GB up and down, growth of memory", "files", _grown, 8, " MiB"),
    Promise(3, "failed requests in 100 reloads", "reload", _summary("failed"), 0),
    Promise(3, "reloads done", "reload", _summary("reloads"), 100, "", True),
    Promise(3, "metrics, logs and trace context, more CPU on GET text", "observed", observed, 20, " %"),
    Promise(3, "users app, start to listening", "startup", _summary("users_app_ms"), 500, " ms"),
    Promise(3, "import framework", "startup", _summary("import_ms"), 120, " ms"),
    Promise(
        4,
        "echo 64 B text, picows' CPU by the listener's",
        "websocket",
        echo("text64", "picows_echo"),
        1.0,
        " x",
        True,
    ),
    Promise(
        4,
        "echo 16 deep, socketify's CPU by the listener's",
        "websocket",
        echo("pipelined", "socketify_echo"),
        1.0,
        " x",
        True,
    ),
    Promise(
        4,
        "echo 16 KiB binary, picows' CPU by the listener's",
        "websocket",
        echo("binary16k", "picows_echo"),
        1.0,
        " x",
        True,
    ),
    Promise(4, "async for, CPU by the listener's", "websocket", echo("text64", "handler"), 1.5, " x"),
    Promise(
        4,
        "async for, aiohttp's CPU by it",
        "websocket",
        echo("text64", "aiohttp_echo", "handler"),
        1.0,
        " x",
        True,
    ),
    Promise(
        4, "broadcast to 500, 8 outstanding, rate by socketify's", "broadcast", _said(8), 0.85, " x", True
    ),
    Promise(
        4, "broadcast to 500, 1 outstanding, rate by socketify's", "broadcast", _said(1), 0.8, " x", True
    ),
    Promise(4, "idle WebSocket, listener", "websocket-idle", _summary("listener", "kib"), 4, " KiB"),
    Promise(4, "idle WebSocket, async for", "websocket-idle", _summary("handler", "kib"), 8, " KiB"),
    Promise(4, "deflate, 1,000 connections talking, each", "websocket-deflate", _summary("kib"), 60, " KiB"),
    Promise(
        4,
        "Starlette app, requests/s by uvicorn's (worst request)",
        "asgi",
        asgi("starlette"),
        1.3,
        " x",
        True,
    ),
    Promise(
        4, "FastAPI app, requests/s by uvicorn's (worst request)", "asgi", asgi("fastapi"), 1.3, " x", True
    ),
    Promise(
        5, "pool, acquire + release of an idle connection", "pool", _summary("idle: this pool"), 1.5, " µs"
    ),
    Promise(5, "pool, SELECT 1 by a held connection's + 1.5 µs", "pool", pool_over_held, 1.05, " x"),
    Promise(
        5,
        "pool, 64 tasks on 10, asyncpg's time by ours",
        "pool",
        pool_ratio("64 tasks on 10"),
        1.0,
        " x",
        True,
    ),
    Promise(
        5,
        "limiter in memory, GCRA, 10,000 keys",
        "micro",
        lambda d: nanoseconds(d, "rate limit", "gcra, 10,000 keys") / 1e3,
        0.6,
        " µs",
    ),
    Promise(5, "limiter through the middleware", "micro", middleware_us, 1.5, " µs"),
    Promise(
        5,
        "limiter on Redis, one client, 64 tasks",
        "ratelimit-redis",
        _summary("gcra", "per_second"),
        60_000,
        "/s",
        True,
    ),
    Promise(5, "flood of 1 to 10 million keys, growth of memory", "ratelimit-flood", flood_growth, 1, " MB"),
    Promise(5, "cache, hit in memory, synchronous", "micro", cache_us("get_now"), 0.5, " µs"),
    Promise(5, "cache, hits on Zipf by a textbook W-TinyLFU's", "cache", cache_hits, 1.0, " x", True),
    Promise(5, "cache, hit in memory, awaited", "micro", cache_us("await get"), 0.9, " µs"),
    Promise(6, "1 kB, requests/s by nginx's", "gateway", proxied("1k", "ours", "nginx"), 0.45, " x", True),
    Promise(
        6,
        "1 kB, requests/s by Node http-proxy's",
        "gateway",
        proxied("1k", "ours", "http-proxy"),
        2.5,
        " x",
        True,
    ),
    Promise(
        6,
        "1 kB, requests/s by an aiohttp proxy's",
        "gateway",
        proxied("1k", "ours", "aiohttp"),
        4,
        " x",
        True,
    ),
    Promise(
        6,
        "JWT, rate limit and metrics on, requests/s by those without",
        "gateway",
        proxied("1k", "ours-policies", "ours"),
        0.6,
        " x",
        True,
    ),
    Promise(
        6, "600 routes, CPU by one route's", "gateway", proxied("1k", "ours-600", "ours", "cpu"), 1.05, " x"
    ),
    Promise(
        6, "1 MB bodies, throughput by nginx's", "gateway", proxied("1m", "ours", "nginx"), 0.8, " x", True
    ),
    Promise(6, "a stream whose client does not read on", "gateway", held_kib("streams"), 256, " KiB"),
    Promise(
        6, "latency added at half load, p99", "gateway", _summary("latency", "ours", "added_p99"), 1, " ms"
    ),
    Promise(6, "5,000 tunnelled WebSockets, each", "gateway", held_kib("tunnels"), 16, " KiB"),
)
