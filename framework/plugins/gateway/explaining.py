"""What would become of a request: which routes could take it, which does, what its policies say, what would be sent."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

import msgspec

from framework.errors import FrameworkError, HTTPError, SetupError
from framework.http.request import Address, Origin, Request
from framework.plugins.gateway.config import PoliciesConfig
from framework.plugins.gateway.forward import FOUND
from framework.plugins.gateway.gateway import Gateway, Route
from framework.wire.leaves import Limits, parse_request
from framework.wire.request_head import encode_request_head

__all__ = ["Explained", "PolicyVerdict", "RouteVerdict", "explain", "request_of"]


class RouteVerdict(msgspec.Struct):
    """What a route says to the request: ``why_not`` is empty where it fits. ``score``: how specific it is, as its parts
    are compared: host, path, then conditions."""

    name: str
    score: tuple[int, ...]
    why_not: str


class PolicyVerdict(msgspec.Struct):
    """What a policy would say: "passes", "refuses with ...", or what it depends on."""

    name: str
    says: str


class Explained(msgspec.Struct):
    """``status``: of the refusal where no route fits, or None. ``sent``: the head that would go on."""

    route: str | None
    status: int | None
    candidates: list[RouteVerdict]
    policies: list[PolicyVerdict]
    target: str
    endpoints: list[str]
    sent: str


class _Asking:
    """The connection of a request that nobody sent."""

    def __init__(self, client: str, scheme: str, host: str) -> None:
        self.scheme = scheme
        self.peer = Address(client, 0)
        self._host = host

    def extra(self, name: str) -> Any:
        return None

    def resolve(self, request: Request) -> Origin:
        return Origin(self.peer, self.scheme, self._host)

    def after_response(self, function: Any, args: tuple[Any, ...]) -> None:
        raise RuntimeError("nobody waits for this")


def request_of(
    method: str, url: str, fields: Sequence[tuple[str, str]] = (), *, client: str = "127.0.0.1"
) -> Request:
    """A request as a client would send it. Raises SetupError for what is no request."""
    parts = urlsplit(url)
    host = next((value for name, value in fields if name.lower() == "host"), parts.netloc or "localhost")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    others = [(name.lower(), value) for name, value in fields if name.lower() != "host"]
    try:
        head = encode_request_head(method, target, [("host", host), *others])
        request = parse_request(head, 0, Limits(), Request)
    except FrameworkError as error:
        raise SetupError(f"{method} {url}: {error}") from None
    assert request is not None  # the head is complete
    request.attach(_Asking(client, parts.scheme or "http", host), b"", None)
    return request


def explain(gateway: Gateway, request: Request) -> Explained:
    """What would become of it. Asks no upstream, spends no limit, makes no decision that another call would see."""
    candidates: list[RouteVerdict] = []
    status: int | None = None
    route: Route | None = None
    try:
        judged = gateway.generation.matcher.judge(request)
        candidates = [RouteVerdict(name, score, why) for name, score, why in judged]
        route = gateway.find(request)
    except HTTPError as error:
        status = error.status
    if route is None:
        return Explained(None, status, candidates, [], "", [], "")
    return Explained(
        route.name,
        None,
        candidates,
        _policies(route.config.policies, request),
        _target_of(route),
        _endpoints(route),
        _sent(route, request),
    )


def _target_of(route: Route) -> str:
    config = route.config
    if config.redirect is not None:
        return f"redirect {config.redirect.status} to {config.redirect.to}"
    if config.handler is not None:
        return f"handler {config.handler}"
    if config.cluster is not None:
        return f"cluster {config.cluster}"
    total = sum(one.weight for one in config.split)
    return ", ".join(f"cluster {one.cluster} ({one.weight / total:.0%})" for one in config.split)


def _endpoints(route: Route) -> list[str]:
    return [
        f"{upstream.name}: {one.key}{'' if one.available else f' (out: {one.why})'}"
        for upstream in route.upstreams
        for one in upstream.cluster.report()
    ]


def _sent(route: Route, request: Request) -> str:
    forwarder = route.forwarder
    if forwarder is None:
        return ""
    found = request[FOUND]
    host = route.config.host
    host = request.origin.host if host == "keep" else "the endpoint's" if host == "upstream" else host
    lines = [f"{request.method} {forwarder.target(request, found)} HTTP/1.1", f"host: {host}"]
    lines += [f"{name}: {value}" for name, value in forwarder.fields(request, found)]
    return "\n".join(lines)


def _policies(config: PoliciesConfig, request: Request) -> list[PolicyVerdict]:
    """In the order in which they stand."""
    found: list[PolicyVerdict] = []

    def says(name: str, text: str) -> None:
        found.append(PolicyVerdict(name, text))

    if config.maintenance is not None:
        says("maintenance", "refuses with 503")
    if config.allow or config.deny:
        says("addresses", _address(config, request))
    if config.fault is not None and config.fault.enabled:
        says("fault", f"fails {config.fault.abort_part:.0%}, delays {config.fault.delay_part:.0%}")
    if config.cors is not None:
        says("cors", "answers" if request.field("origin") else "passes: no Origin")
    for name, limit in config.limits.items():
        says(f"limit {name}", f"{limit.quota} in {limit.window:g} s for each {limit.key}")
    ways = _ways(config, request)
    if ways:
        says("authentication", ways)
    if config.roles:
        says("roles", f"asks for any of {', '.join(config.roles)}")
    if config.scopes:
        says("scopes", f"asks for all of {', '.join(config.scopes)}")
    if config.max_in_flight is not None:
        says("max_in_flight", f"refuses with 503 beyond {config.max_in_flight}")
    if config.max_body is not None:
        large = request.content_length > config.max_body
        says("max_body", "refuses with 413" if large else f"refuses with 413 beyond {config.max_body} bytes")
    if config.cache is not None:
        says("cache", "answers from what it has, as RFC 9111 allows")
    if config.compress:
        says("compress", "encodes what the client takes")
    if config.mirror is not None:
        says("mirror", f"copies {config.mirror.part:.0%} to {config.mirror.cluster}")
    return found


def _address(config: PoliciesConfig, request: Request) -> str:
    client = ip_address("127.0.0.1" if request.client is None else request.client.host)
    if any(client in ip_network(each, strict=False) for each in config.deny):
        return f"refuses {client} with 403"
    if config.allow and not any(client in ip_network(each, strict=False) for each in config.allow):
        return f"refuses {client} with 403"
    return f"passes {client}"


def _ways(config: PoliciesConfig, request: Request) -> str:
    scheme = (request.field("authorization") or "").partition(" ")[0].lower()
    ways: list[str] = []
    if config.jwt is not None:
        ways.append("jwt")
    if config.api_keys:
        ways.append("api_keys")
    if config.basic:
        ways.append("basic")
    if config.forward_auth is not None:
        ways.append(f"forward_auth (asks {config.forward_auth.cluster}{config.forward_auth.path})")
    if not ways:
        return ""
    shown = scheme in ("bearer", "basic") or request.field("x-api-key") is not None
    optional = config.jwt is not None and config.jwt.optional
    if not shown and not optional and config.forward_auth is None:
        return f"refuses with 401: the request shows nothing ({' or '.join(ways)})"
    return f"judged by {' or '.join(ways)}"
