"""What stands around a route's target, made of its configuration: middlewares, the outermost first.

Maintenance, addresses, faults on purpose, CORS, limits by client, authentication, rights, limits by user, sizes,
compression. After a refusal nothing more runs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any, Protocol, TypeAlias

import msgspec

from framework.errors import HTTPError, SetupError
from framework.http.handler import Handler, Middleware
from framework.http.request import Request
from framework.http.response import Response, StreamingResponse
from framework.middleware.body_limit import BodyLimit
from framework.middleware.compression import Compression
from framework.middleware.cors import CORS
from framework.plugins.auth import (
    JWKS,
    APIKeys,
    BasicAuth,
    ForwardAuth,
    IPRules,
    JWTAuth,
    JWTVerifier,
    StaticKeys,
    require_roles,
    require_scopes,
)
from framework.plugins.auth.forward import Ask
from framework.plugins.gateway.config import JWTConfig, LimitConfig, PoliciesConfig
from framework.plugins.gateway.edits import Edits
from framework.plugins.gateway.layers import (
    Counted,
    answered,
    any_of,
    around,
    cached,
    failing_on_purpose,
    known_user,
    under_maintenance,
)
from framework.plugins.gateway.matching import Found
from framework.plugins.ratelimit import DECISION, Policy, RateLimiter
from framework.plugins.ratelimit.engine import Engine
from framework.plugins.ratelimit.fields import fields_of
from framework.plugins.ratelimit.keys import KeyOf, by_client, by_header, by_user
from framework.plugins.ratelimit.limiter import exceeded

__all__ = ["Fetch", "Policies", "Tools", "merged"]

Fetch: TypeAlias = Callable[[str], Awaitable[bytes]]


class Closing(Protocol):
    """Works in the background until it is closed."""

    async def aclose(self) -> None: ...


class Tools(msgspec.Struct, frozen=True):
    """What policies need of the gateway they stand in.

    Attributes:
        fetch: gets a document by its URL, for JWK Sets.
        ask: makes what asks a cluster, for forward authentication.
        engine: where the states of limits are.
        found: how a request was matched.
    """

    fetch: Fetch
    ask: Callable[[str, str, float], Ask]
    engine: Engine
    found: Callable[[Request], Found[object]]
    random: Random


def merged(outer: PoliciesConfig, inner: PoliciesConfig) -> PoliciesConfig:
    """The route's policies, and the gateway's where the route says nothing."""
    default = PoliciesConfig()
    changed = {
        name: value
        for name in PoliciesConfig.__struct_fields__
        if (value := getattr(inner, name)) != getattr(default, name)
    }
    return msgspec.structs.replace(outer, **changed)


class Policies:
    """The policies of one route.

    Attributes:
        onions: the outermost first.
        limiters: those among them, for their counts.
        drops: fields of clients that only policies may set, for the forwarder to leave out; None where there are none.

    Raises:
        SetupError: with what cannot be made.
    """

    def __init__(self, name: str, config: PoliciesConfig, tools: Tools) -> None:
        self._name = name
        self._tools = tools
        self._closers: list[Closing] = []
        self._forward: ForwardAuth | None = None
        self.limiters: list[RateLimiter] = []
        self.onions: list[Middleware] = []
        self.in_flight = 0
        self._build(config)

    @property
    def drops(self) -> Callable[[str], bool] | None:
        """Whether a client's field is one that only the deciding service may set."""
        return None if self._forward is None else self._forward.is_copied

    def owns(self, closing: Closing) -> None:
        """Something that ends with these policies."""
        self._closers.append(closing)

    async def aclose(self) -> None:
        """Stops what works in the background."""
        for each in self._closers:
            await each.aclose()

    def _build(self, config: PoliciesConfig) -> None:
        add = self.onions.append
        edits = Edits(config.response_headers, where="response_headers")
        if not edits.are_none:
            add(self._edited(edits))
        if config.maintenance is not None:
            add(under_maintenance(config.maintenance))
        if config.allow or config.deny:
            add(around(IPRules(allow=config.allow, deny=config.deny)))
        if config.fault is not None and config.fault.enabled:
            add(failing_on_purpose(config.fault, self._tools.random))
        if config.cors is not None:
            cors = config.cors
            layer = CORS(
                cors.origins,
                methods=cors.methods,
                headers=cors.headers,
                expose=cors.expose,
                credentials=cors.credentials,
                max_age=cors.max_age,
            )
            add(around(layer))
        early = {name: limit for name, limit in config.limits.items() if limit.key != "user"}
        late = {name: limit for name, limit in config.limits.items() if limit.key == "user"}
        if early:
            add(self._limited(early))
        self._authenticated(config)
        if late:
            add(self._limited(late))
        if config.max_in_flight is not None:
            add(self._bounded(config.max_in_flight))
        if config.max_body is not None:
            add(around(BodyLimit(config.max_body)))
        if config.compress:
            add(Compression())
        if config.cache is not None:
            add(cached(config.cache, self._name))

    # -- who asks -----------------------------------------------------------------------------------------------------

    def _authenticated(self, config: PoliciesConfig) -> None:
        ways: list[Middleware] = []
        if config.jwt is not None:
            ways.append(self._jwt(config.jwt))
        if config.api_keys:
            ways.append(APIKeys(config.api_keys))
        if config.basic:
            ways.append(BasicAuth(config.basic, realm=self._name))
        if config.forward_auth is not None:
            asked = config.forward_auth
            self._forward = ForwardAuth(
                self._tools.ask(asked.cluster, asked.path, asked.timeout),
                send=asked.send,
                copy=asked.copy,
                subject=asked.subject,
            )
            ways.append(self._forward)
        if (config.roles or config.scopes) and not ways:
            raise SetupError(
                "roles and scopes are asked of somebody: add jwt, api_keys, basic or forward_auth"
            )
        if ways:
            self.onions.append(ways[0] if len(ways) == 1 else any_of(ways))
            self.onions.append(known_user)
        if config.roles:
            self.onions.append(require_roles(*config.roles))
        if config.scopes:
            self.onions.append(require_scopes(*config.scopes))

    def _jwt(self, config: JWTConfig) -> JWTAuth:
        verifier = JWTVerifier(
            self._keys(config),
            algorithms=config.algorithms,
            issuer=config.issuer,
            audience=config.audience,
            leeway=config.leeway,
            roles_claim=config.roles_claim,
            scopes_claim=config.scopes_claim,
        )
        return JWTAuth(verifier, optional=config.optional, cookie=config.cookie, realm=self._name)

    def _keys(self, config: JWTConfig) -> Any:
        if config.jwks_url is not None:
            url = config.jwks_url
            keys = JWKS(lambda: self._tools.fetch(url))
            self._closers.append(keys)
            return keys
        if config.secret is not None:
            return StaticKeys(secret=config.secret.reveal())
        path = Path(config.public_key_file or config.jwks_file or "")
        try:
            data = path.read_bytes()
        except OSError as error:
            raise SetupError(f"keys for tokens: {path}: {error.strerror}") from None
        return StaticKeys(jwks=data) if config.public_key_file is None else StaticKeys(public_key=data)

    # -- how much -----------------------------------------------------------------------------------------------------

    def _limited(self, limits: dict[str, LimitConfig]) -> Middleware:
        policies = [
            Policy(
                name=name if "." in name else f"{self._name}.{name}",
                quota=limit.quota,
                window=limit.window,
                algorithm=limit.algorithm,
                burst=limit.burst,
                shadow=limit.shadow,
            )
            for name, limit in limits.items()
        ]
        limiter = RateLimiter(policies, self._tools.engine)
        self.limiters.append(limiter)
        keys = [_key_of(limit.key) for limit in limits.values()]
        fields = fields_of("draft-11", policies)
        local = not self._tools.engine.remote

        def layer(handler: Handler) -> Handler:
            async def limited(request: Request) -> Response:
                whose = [key(request) for key in keys]
                decision = limiter.decide_now(whose) if local else await limiter.decide(whose)
                request[DECISION] = decision
                if not decision.allowed:
                    raise exceeded(decision)
                response = await handler(request)
                if decision.source not in ("open", "closed"):
                    response.headers.pairs.extend(fields(decision))
                return response

            return limited

        return layer

    def _bounded(self, limit: int) -> Middleware:
        def layer(handler: Handler) -> Handler:
            async def bounded(request: Request) -> Response:
                if self.in_flight >= limit:
                    raise HTTPError(503, "too many requests are under way", headers={"retry-after": "1"})
                self.in_flight += 1
                try:
                    response = await handler(request)
                except BaseException:
                    self.in_flight -= 1
                    raise
                if isinstance(response, StreamingResponse):
                    response.content = Counted(response.content, self)
                else:
                    self.in_flight -= 1
                return response

            return bounded

        return layer

    def _edited(self, edits: Edits) -> Middleware:
        found = self._tools.found

        def layer(handler: Handler) -> Handler:
            async def edited(request: Request) -> Response:
                response = await answered(handler, request)
                response.headers.pairs[:] = edits.apply(response.headers.pairs, request, found(request))
                return response

            return edited

        return layer


def _key_of(key: str) -> KeyOf:
    if key == "all":
        return lambda request: "all"
    if key == "user":
        return by_user
    return by_client if key == "client" else by_header(key.removeprefix("header:"))
