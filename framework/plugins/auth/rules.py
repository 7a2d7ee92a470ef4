"""What an authenticated request, or an address, may do."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from framework.errors import HTTPError, SetupError
from framework.http.handler import Handler
from framework.http.request import Request
from framework.http.response import Response
from framework.middleware.chain import Hooks
from framework.plugins.auth.principal import Principal, Unauthorized, principal_of

__all__ = ["IPRules", "Require", "require_roles", "require_scopes"]


class Require:
    """Lets requests through whose principal fits; 403 for the others, 401 where there is no principal.

    Args:
        fits: decides.
        detail: what the others are told.
        scope: for a bearer token that is good and not enough, which scope would be (RFC 6750 section 3.1).
    """

    def __init__(self, fits: Callable[[Principal], bool], detail: str, *, scope: str | None = None) -> None:
        self._fits = fits
        self._detail = detail
        self._scope = scope

    def __call__(self, handler: Handler) -> Handler:
        """Puts ``handler`` behind it."""

        async def required(request: Request) -> Response:
            principal = principal_of(request)
            if not self._fits(principal):
                raise self._refusal(principal)
            return await handler(request)

        return required

    def _refusal(self, principal: Principal) -> HTTPError:
        if principal.scheme == "jwt" and self._scope is not None:
            parameters = [("error", "insufficient_scope"), ("scope", self._scope)]
            return Unauthorized("Bearer", self._detail, parameters, status=403)
        return HTTPError(403, self._detail)


def require_roles(*roles: str) -> Require:
    """Any of the roles will do."""
    wanted = _named(roles)
    return Require(
        lambda principal: not wanted.isdisjoint(principal.roles), f"this takes {' or '.join(roles)}"
    )


def require_scopes(*scopes: str) -> Require:
    """All of the scopes are needed."""
    wanted = _named(scopes)
    text = " ".join(scopes)
    return Require(lambda principal: wanted <= principal.scopes, f"this takes the scope {text}", scope=text)


def _named(names: Collection[str]) -> frozenset[str]:
    if not names:
        raise SetupError("a rule that requires nothing lets everybody through: name a role or a scope")
    return frozenset(names)


class IPRules(Hooks):
    """Answers 403 to clients by their address. Hooks for phase EDGE or TRAFFIC.

    The client is the one that trusted proxies tell of; what others write into ``X-Forwarded-For`` is not read. An
    IPv4 address mapped into IPv6 is that IPv4 address. The most specific network decides, of equals ``deny``; who is
    in none is let through unless something is allowed. A client without an address (a unix socket) counts as allowed.

    Args:
        allow, deny: networks or addresses: "10.0.0.0/8", "::1".

    Raises:
        SetupError: with every entry that is no network.
    """

    def __init__(self, *, allow: Iterable[str] = (), deny: Iterable[str] = ()) -> None:
        problems: list[str] = []
        rules: list[tuple[int, bool, IPv4Network | IPv6Network]] = []
        for allowed, texts in ((True, allow), (False, deny)):
            for text in texts:
                try:
                    network = ip_network(text)
                except ValueError as error:
                    problems.append(f"address rules: {error}")
                    continue
                rules.append((-network.prefixlen, allowed, network))
        if problems or not rules:
            raise SetupError(problems or "address rules: there is none")
        self._rules = [(network, allowed) for _, allowed, network in sorted(rules, key=lambda rule: rule[:2])]
        self._otherwise = not any(allowed for _, allowed in self._rules)

    def allows(self, host: str) -> bool:
        """Whether a client with this address is let through."""
        try:
            address = ip_address(host.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return next((allowed for network, allowed in self._rules if address in network), self._otherwise)

    def before(self, request: Request) -> None:
        """Raises HTTPError 403 for an address that is not let through."""
        client = request.client
        if client is not None and not self.allows(client.host):
            raise HTTPError(403, "requests from this address are not answered")
