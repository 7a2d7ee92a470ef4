"""JSON Web Tokens (RFC 7519) as bearer tokens (RFC 6750), verified as RFC 8725 wants it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, cast

import msgspec

from framework.errors import FrameworkError, SetupError
from framework.http.handler import Handler
from framework.http.request import Request
from framework.http.response import Response
from framework.plugins.auth.jwks import Key, KeySource
from framework.plugins.auth.principal import PRINCIPAL, Principal, Unauthorized

__all__ = ["ALGORITHMS", "BadToken", "JWTAuth", "JWTVerifier"]

ALGORITHMS: Final = frozenset(
    {
        *("HS256", "HS384", "HS512"),
        *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
        *("ES256", "ES384", "ES512", "EdDSA"),
    }
)
MAX_TOKEN: Final = 8192
MAX_CACHED: Final = 10_000

_bearer: Final = re.compile(r"(?i:bearer) +([A-Za-z0-9._~+/=-]+)").fullmatch


class BadToken(FrameworkError):
    """A token that is not good; the text may be told to whoever sent it."""


class _Known(msgspec.Struct):
    """A token that was good, until ``until`` (Unix time)."""

    principal: Principal
    until: float


class JWTVerifier:
    """Verifies tokens, and remembers good ones until they expire: a token is sent with every request.

    Args:
        keys: where the keys are.
        algorithms: those that are taken; a key is used with those of its own kind alone, whatever a token says.
        issuer: the value of ``iss``; None takes any.
        audience: one of the values of ``aud``; None takes tokens without ``aud`` only.
        require: claims that must be there; ``exp`` always must.
        leeway: seconds that clocks may differ.
        roles_claim, scopes_claim: dotted names of the claims with the roles (a list, or words) and scopes.
        max_cached: tokens that are remembered; of more, the oldest are forgotten.

    Raises:
        SetupError: an unknown algorithm, or none; or PyJWT is not installed.
    """

    def __init__(
        self,
        keys: KeySource,
        *,
        algorithms: Collection[str],
        issuer: str | None = None,
        audience: str | Collection[str] | None = None,
        require: Collection[str] = ("sub",),
        leeway: float = 10.0,
        roles_claim: str = "roles",
        scopes_claim: str = "scope",
        max_cached: int = MAX_CACHED,
        clock: Callable[[], float] = time.time,
    ) -> None:
        unknown = sorted(set(algorithms) - ALGORITHMS)
        if unknown or not algorithms:
            wrong, known = ", ".join(unknown) or "nothing", ", ".join(sorted(ALGORITHMS))
            raise SetupError(f"tokens: {wrong} is no algorithm to verify with; known are {known}")
        try:
            import jwt
        except ImportError:
            raise SetupError("tokens need PyJWT: install the extra framework[auth]") from None
        self._jwt = jwt
        self._keys = keys
        self._algorithms = frozenset(algorithms)
        self._issuer = issuer
        self._audience = (
            [audience] if isinstance(audience, str) else None if audience is None else list(audience)
        )
        self._required = sorted({"exp", *require})
        self._leeway = leeway
        self._roles = roles_claim.split(".")
        self._scopes = scopes_claim.split(".")
        self._max_cached = max_cached
        self._clock = clock
        self._known: dict[str, _Known] = {}

    def known(self, token: str) -> Principal | None:
        """Whose token it is, where it was good before and has not expired since."""
        known = self._known.get(token)
        if known is None:
            return None
        if self._clock() >= known.until:
            del self._known[token]
            return None
        return known.principal

    def forget(self) -> None:
        """Forgets all good tokens: keys were withdrawn."""
        self._known.clear()

    async def verify(self, token: str) -> Principal:
        """Whose token it is. Raises BadToken."""
        principal = self.known(token)
        return principal if principal is not None else await self._verify(token)

    async def _verify(self, token: str) -> Principal:
        if len(token) > MAX_TOKEN:
            raise BadToken("the token is too long")
        header = self._header(token)
        algorithm = header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in self._algorithms:
            raise BadToken("the token's algorithm is not accepted")
        # Keys are found by their id alone. What else a header may name (jku, jwk, x5u, x5c) is a stranger's word.
        kid = header.get("kid")
        if "crit" in header or not (kid is None or isinstance(kid, str)):
            raise BadToken("the token asks for what is not understood")
        candidates = [key for key in await self._keys.keys_for(kid) if algorithm in key.algorithms]
        if not candidates:
            raise BadToken("no key for this token")
        claims = self._claims(token, algorithm, candidates)
        principal = self._principal(claims)
        self._remember(token, principal, claims["exp"] + self._leeway)
        return principal

    def _header(self, token: str) -> Mapping[str, Any]:
        try:
            header: Mapping[str, Any] = self._jwt.get_unverified_header(token)
        except self._jwt.PyJWTError:
            raise BadToken("this is no token") from None
        return header

    def _claims(self, token: str, algorithm: str, candidates: list[Key]) -> dict[str, Any]:
        jwt = self._jwt
        failure = "no key for this token"
        for key in candidates:
            try:
                claims: dict[str, Any] = jwt.decode(
                    token,
                    key.material,
                    algorithms=[algorithm],
                    # The clock is ours, so that it can be a test's.
                    options={
                        "require": self._required,
                        "verify_exp": False,
                        "verify_nbf": False,
                        "verify_iat": False,
                    },
                    issuer=self._issuer,
                    audience=self._audience,
                )
            except jwt.InvalidSignatureError:
                failure = "the token's signature is wrong"
                continue
            except jwt.MissingRequiredClaimError as error:
                raise BadToken(f"the token has no claim {error.claim!r}") from None
            except jwt.InvalidAudienceError:
                raise BadToken("the token is for somebody else") from None
            except jwt.InvalidIssuerError:
                raise BadToken("the token is from somebody else") from None
            except (jwt.PyJWTError, ValueError, TypeError):
                raise BadToken("this is no token") from None
            self._check_times(claims)
            return claims
        raise BadToken(failure)

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        now = self._clock()
        times = {name: claims[name] for name in ("exp", "nbf", "iat") if name in claims}
        for name, value in times.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e12:
                raise BadToken(f"the claim {name!r} is no time")
        if times["exp"] + self._leeway <= now:
            raise BadToken("the token has expired")
        if max(times.get("nbf", 0), times.get("iat", 0)) - self._leeway > now:
            raise BadToken("the token is not valid yet")

    def _principal(self, claims: dict[str, Any]) -> Principal:
        subject = claims.get("sub")
        if subject is not None and not isinstance(subject, str):
            raise BadToken("the claim 'sub' is no text")
        return Principal(
            subject or "", "jwt", _words(claims, self._roles), _words(claims, self._scopes), claims
        )

    def _remember(self, token: str, principal: Principal, until: float) -> None:
        known = self._known
        if len(known) >= self._max_cached:
            del known[next(iter(known))]
        known[token] = _Known(principal, until)


def _words(claims: Mapping[str, Any], path: list[str]) -> frozenset[str]:
    """A claim that lists words, in a list or with spaces between."""
    value: object = claims
    for name in path:
        value = cast("Mapping[str, object]", value).get(name) if isinstance(value, Mapping) else None
    if isinstance(value, str):
        return frozenset(value.split())
    listed = cast("list[object]", value) if isinstance(value, list) else []
    return frozenset(each for each in listed if isinstance(each, str))


class JWTAuth:
    """Lets requests with a good bearer token through, and puts their principal into the request.

    Without one: 401 with a bare challenge; with a bad one: 401 with ``error="invalid_token"`` (RFC 6750 section 3).

    Args:
        optional: requests without a token go on without a principal; a bad token is refused all the same.
        cookie: a cookie that has the token when there is no ``Authorization``.
        realm: names what is protected.
    """

    def __init__(
        self,
        verifier: JWTVerifier,
        *,
        optional: bool = False,
        cookie: str | None = None,
        realm: str | None = None,
    ) -> None:
        self._verifier = verifier
        self._optional = optional
        self._cookie = cookie
        self._realm = realm

    def __call__(self, handler: Handler) -> Handler:
        """Puts ``handler`` behind it."""
        verifier = self._verifier

        async def authenticated(request: Request) -> Response:
            token = self._token(request)
            if token is not None:
                principal = verifier.known(token)
                if principal is None:
                    principal = await self._verify(token)
                request[PRINCIPAL] = principal
            elif not self._optional:
                raise Unauthorized("Bearer", "this needs a token", [("realm", self._realm)])
            return await handler(request)

        return authenticated

    def _token(self, request: Request) -> str | None:
        field = request.field("authorization")
        if field is None:
            return None if self._cookie is None else request.cookies.get(self._cookie)
        found = _bearer(field)
        if found is None or len(request.headers.get_all("authorization")) > 1:
            parameters = [("realm", self._realm), ("error", "invalid_request")]
            raise Unauthorized("Bearer", "the field Authorization has no bearer token", parameters)
        return found[1]

    async def _verify(self, token: str) -> Principal:
        try:
            return await self._verifier.verify(token)
        except BadToken as error:
            parameters = [
                ("realm", self._realm),
                ("error", "invalid_token"),
                ("error_description", str(error)),
            ]
            raise Unauthorized("Bearer", str(error), parameters) from None
