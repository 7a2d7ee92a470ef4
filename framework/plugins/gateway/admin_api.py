"""What operators ask and tell, and the dashboard that does it for them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Iterable, Mapping
from hmac import compare_digest
from importlib.resources import files
from typing import Annotated, Any, Final, Literal, cast

import msgspec

from framework.app.application import App
from framework.app.binding import Header
from framework.app.secret import HIDDEN, Secret
from framework.errors import HTTPError
from framework.http.handler import Handler
from framework.http.request import Request
from framework.http.response import Response
from framework.http.sse import EventStream
from framework.middleware.chain import Phase
from framework.net.numbers import Numbers
from framework.plugins.gateway.config import AdminConfig, is_loopback
from framework.plugins.gateway.crew import Action, Crew, Outcome
from framework.plugins.gateway.matching import host_name
from framework.plugins.gateway.stats import BOUNDS

__all__ = ["admin_app", "shown"]

INTERVAL: Final = 1.0
_OPEN: Final = frozenset({"/", "/assets/dashboard.js", "/assets/dashboard.css", "/assets/icon.svg"})
_TYPES: Final = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml", "html": "text/html"}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)


class _EndpointNamed(msgspec.Struct, forbid_unknown_fields=True):
    endpoint: str


def admin_app(crew: Crew, config: AdminConfig, numbers: Numbers | None = None) -> App:
    """The app behind the operators' listener.

    ``GET /state``, ``/endpoints``, ``/config``, ``/events`` (the state each second, as server-sent events),
    ``/metrics`` where the gateway's app counts (``numbers``);
    ``POST /reload``, ``/clusters/{cluster}/drain``, ``undrain`` and ``readmit`` with ``{"endpoint": key}``,
    ``/clusters/{cluster}/reset`` for its breaker; ``GET /`` is the dashboard.
    """
    app = App()
    app.use(_guard(config), Phase.EDGE)

    async def state() -> Response:
        return _json(await crew.state())

    async def endpoints() -> Response:
        clusters = (await crew.state()).clusters
        return _json({name: list(cluster.endpoints.values()) for name, cluster in clusters.items()})

    async def configuration() -> Response:
        return _json(shown(crew.gateway.generation.config))

    async def events() -> EventStream:
        return EventStream(_states(crew), retry=1.0)

    async def metrics(accept: Annotated[str | None, Header] = None) -> Response:
        return await _metrics(numbers, accept)

    async def reload() -> Response:
        return _done(await crew.act(Action("reload")))

    async def act(
        cluster: str, kind: Literal["drain", "undrain", "readmit"], named: _EndpointNamed
    ) -> Response:
        return _done(await crew.act(Action(kind, cluster, named.endpoint)))

    async def reset(cluster: str) -> Response:
        return _done(await crew.act(Action("reset", cluster)))

    app.get("/state")(state)
    app.get("/endpoints")(endpoints)
    app.get("/config")(configuration)
    app.get("/metrics")(metrics)
    app.get("/events", timeout=None)(events)
    app.post("/reload")(reload)
    app.post("/clusters/{cluster}/reset")(reset)
    app.post("/clusters/{cluster}/{kind}")(act)
    if config.dashboard:
        for path, name in {
            "/": "dashboard.html",
            **{path: path[8:] for path in _OPEN if path != "/"},
        }.items():
            app.get(path)(_asset(name))
    return app


async def _states(crew: Crew) -> AsyncGenerator[str]:
    head = {"bounds": BOUNDS}
    while True:
        state = msgspec.to_builtins(await crew.state(), str_keys=True)
        yield msgspec.json.encode({**head, **state}).decode()
        head = {}
        await asyncio.sleep(INTERVAL)


def _json(value: object, status: int = 200) -> Response:
    body = msgspec.json.encode(value, enc_hook=_hide)
    return Response(body, status, headers={"cache-control": "no-store"}, media_type="application/json")


async def _metrics(numbers: Numbers | None, accept: str | None) -> Response:
    """The metrics of all workers. Those of this process alone are taken in a thread, as the metrics plugin does."""
    if numbers is None or numbers.count is None:
        raise HTTPError(404, "nothing is counted for Prometheus: install framework[metrics]")
    from framework.plugins.metrics.exposition import choose_format, render
    from framework.plugins.metrics.registry import as_metrics

    wanted = choose_format(accept)
    tally = await asyncio.to_thread(numbers.count) if numbers.gather is None else await numbers.gather()
    body = await asyncio.to_thread(lambda: render(as_metrics(tally), wanted))
    return Response(body, headers={"cache-control": "no-store"}, media_type=wanted.media_type)


def _done(outcomes: list[Outcome]) -> Response:
    if not any(one.known for one in outcomes):
        raise HTTPError(404, "there is none of that name")
    if any(one.problems for one in outcomes if one.generation is not None):
        return _json(outcomes, 422)
    return _json(outcomes, 504 if any(one.generation is None for one in outcomes) else 200)


def _hide(value: Any) -> object:
    if isinstance(value, Secret):
        return HIDDEN
    raise NotImplementedError(f"{type(value).__name__} has no JSON form")


def shown(value: Any) -> Any:
    """A configuration as plain data, without what lets somebody in: secrets, and hashes of passwords and keys."""
    if isinstance(value, Secret):
        return HIDDEN
    if isinstance(value, msgspec.Struct):
        return {
            name: HIDDEN if name in ("hash", "password") else shown(getattr(value, name))
            for name in value.__struct_fields__
        }
    if isinstance(value, Mapping):
        table = cast("Mapping[object, object]", value)
        return {str(key): shown(one) for key, one in table.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [shown(one) for one in cast("Iterable[object]", value)]
    return msgspec.to_builtins(value, enc_hook=_hide)


# -- who may ----------------------------------------------------------------------------------------------------------


def _guard(config: AdminConfig) -> Any:
    """Lets operators in: by the token, or without one by the loopback interface, where a page of a stranger that had
    its name point here (DNS rebinding), or sends a form here, gets nothing."""
    token = None if config.token is None else config.token.reveal().encode()

    def layer(handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            if token is None:
                if not is_loopback(host_name(request.origin.host)):
                    raise HTTPError(421, "operators come by a loopback address, or with a token")
            elif request.path not in _OPEN and not _has(request, token):
                raise HTTPError(401, "operators show their token", headers={"www-authenticate": "Bearer"})
            if request.method == "POST" and not _is_own(request):
                raise HTTPError(403, "another site sent this")
            return await handler(request)

        return guarded

    return layer


def _has(request: Request, token: bytes) -> bool:
    scheme, _, given = (request.field("authorization") or "").partition(" ")
    return scheme.lower() == "bearer" and compare_digest(given.strip().encode("latin-1"), token)


def _is_own(request: Request) -> bool:
    origin = request.field("origin")
    if origin is not None:
        return origin.partition("://")[2] == request.origin.host
    return request.field("sec-fetch-site") in (None, "same-origin", "none")


# -- the page ---------------------------------------------------------------------------------------------------------


def _asset(name: str) -> Any:
    data = (files("framework.plugins.gateway") / "dashboard" / name).read_bytes()
    fields = {
        "content-security-policy": _POLICY,
        "cache-control": "no-cache",
        "etag": f'"{hashlib.blake2s(data, digest_size=8).hexdigest()}"',
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
    }
    media_type = f"{_TYPES[name.rpartition('.')[2]]}; charset=utf-8"

    async def asset(request: Request) -> Response:
        if request.field("if-none-match") == fields["etag"]:
            return Response(b"", 304, headers=fields)
        return Response(data, headers=fields, media_type=media_type)

    return asset
