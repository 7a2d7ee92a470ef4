"""Cross-site request forgery: another site's page makes the user's browser act here, with the user's cookies."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from hmac import compare_digest
from typing import Final

from framework.errors import HTTPError, LocalProtocolError, SetupError
from framework.http.cookies import SameSite
from framework.http.handler import Handler
from framework.http.request import Request, StateKey
from framework.http.response import Response
from framework.middleware.chain import Hooks
from framework.middleware.origins import DEFAULT_PORTS, parse_origin, split_host
from framework.middleware.personal import keep_from_shared_caches, unshared
from framework.middleware.signing import Signer

__all__ = ["CSRF", "CSRFError", "csrf_token"]

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_FORM: Final = "application/x-www-form-urlencoded"
_SAME_SITE: Final[SameSite] = "lax"
_SECRET: Final = 32


class CSRFError(HTTPError):
    """A request that another site may have made, answered by 403. ``on_error(CSRFError, ...)`` renders it otherwise.

    ``reason``: ``origin`` (another site made it) or ``token`` (nothing shows that it did not).
    """

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        super().__init__(403, detail, type="urn:framework:csrf", extensions={"reason": reason})


class CSRF(Hooks):
    """Refuses what changes something and was asked for by another site. For phase POLICY, ahead of sessions.

    Browsers tell who asks, and no script can make them lie: Sec-Fetch-Site, or by older ones and over plain http,
    Origin. A request without both that brings cookies needs the token of ``csrf_token`` in its form or a field; one
    without cookies has nothing to be abused. GET, HEAD, OPTIONS and TRACE pass, so they must not change anything; a
    WebSocket handshake is checked like a POST. Endpoints that other sites call (webhooks) say ``skip``.

    Args:
        keys: secrets of at least 32 bytes, for tokens; the first signs, all verify. Without keys there are no tokens,
            and what would need one is refused.
        trusted_origins: other sites that may act here, each with its scheme: "https://app.example.com".
        secure: False for development over plain http alone: drops Secure and the prefix ``__Host-`` of the cookie.
        cookie: its name, without prefix.
        field: of the form.
        header: lower-case name of the request field.

    Raises:
        SetupError: an origin or a key that is none.
    """

    def __init__(
        self,
        keys: Sequence[str | bytes] = (),
        *,
        trusted_origins: Iterable[str] = (),
        secure: bool = True,
        cookie: str = "csrf",
        field: str = "csrf_token",
        header: str = "x-csrf-token",
    ) -> None:
        self._trusted = frozenset([trusted_origins] if isinstance(trusted_origins, str) else trusted_origins)
        wrong = sorted(one for one in self._trusted if parse_origin(one) is None)
        if wrong:
            raise SetupError(
                [f"CSRF: trusted origin {one!r} is not written scheme://host[:port]" for one in wrong]
            )
        self._cookie = f"__Host-{cookie}" if secure else cookie
        self._signer = Signer(keys, f"framework.csrf.{self._cookie}") if keys else None
        self._secure = secure
        self._field = field
        self._header = header

    def before(self, request: Request) -> None:
        """Readies what ``csrf_token`` needs, for error pages too."""
        if self._signer is not None:
            request[_TOKEN] = _Secret(self._signer, request, self._cookie)

    def __call__(self, handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            if request.method not in _SAFE or request.field("upgrade") is not None:
                await self._check(request)
            return await handler(request)

        return guarded

    def after(self, request: Request, response: Response) -> Response | None:
        """Sets the cookie of a token that was given out."""
        secret = request.get(_TOKEN)
        if secret is None:
            return None
        secret.sealed = True
        if not secret.asked:
            return None
        if secret.cookie is not None:
            response = unshared(response)
            response.set_cookie(self._cookie, secret.cookie, secure=self._secure, same_site=_SAME_SITE)
        response.headers.vary("Cookie")
        keep_from_shared_caches(response)
        return response

    async def _check(self, request: Request) -> None:
        """Raises CSRFError unless the request comes from our own pages, or from no page at all."""
        site, origin = request.field("sec-fetch-site"), request.field("origin")
        if site in ("same-origin", "none") or (origin is not None and origin in self._trusted):
            return
        if site is not None:
            raise CSRFError("origin", f"this request was made by another site ({site[:20]})")
        # "null" says nothing: a page with the policy no-referrer has its own forms sent with it.
        if origin is not None and origin != "null":
            if not _is_own(request, origin):
                raise CSRFError("origin", f"this request was made by another site ({origin[:100]})")
        elif request.field("cookie") is not None:
            await self._check_token(request)

    async def _check_token(self, request: Request) -> None:
        if self._signer is None:
            raise CSRFError("token", "a request with cookies must say where it comes from: Origin")
        token = request.field(self._header)
        kind = (request.field("content-type") or "").partition(";")[0].strip(" \t").lower()
        if token is None and kind == _FORM:
            token = (await request.form()).get(self._field)
        sent = None if token is None else _unmasked(token)
        kept = self._signer.unsign(request.cookies.get(self._cookie, ""))
        if sent is None or kept is None or not compare_digest(sent, kept.payload):
            raise CSRFError(
                "token", "the form's token is missing or not valid: load the page again and resend"
            )


def csrf_token(request: Request) -> str:
    """The token for a form's hidden field, another text at each call so that compression cannot tell it (BREACH).

    Raises LocalProtocolError where no ``CSRF`` with keys is in use, or the response's head is on its way.
    """
    secret = request.get(_TOKEN)
    if secret is None:
        raise LocalProtocolError("this route has no CSRF tokens: app.use(CSRF(keys))")
    return secret.token()


class _Secret:
    """What a browser's cookie and its forms share; made where the cookie holds none."""

    __slots__ = ("_name", "_request", "_signer", "_value", "asked", "cookie", "sealed")

    def __init__(self, signer: Signer, request: Request, name: str) -> None:
        self._signer = signer
        self._request = request
        self._name = name
        self._value: bytes | None = None
        self.asked = self.sealed = False
        self.cookie: str | None = None

    def token(self) -> str:
        if self._value is None:
            self._value = self._open()
        mask = secrets.token_bytes(_SECRET)
        return (mask + _xor(mask, self._value)).hex()

    def _open(self) -> bytes:
        self.asked = True
        found = self._signer.unsign(self._request.cookies.get(self._name, ""))
        if found is not None and found.by_newest and len(found.payload) == _SECRET:
            return found.payload
        if self.sealed:
            raise LocalProtocolError("too late for a CSRF token: the response's head is on its way")
        value = secrets.token_bytes(_SECRET)
        self.cookie = self._signer.sign(value)
        return value


_TOKEN: Final[StateKey[_Secret]] = StateKey("csrf")


def _unmasked(token: str) -> bytes | None:
    """The secret in a token; None for what is none."""
    try:
        both = bytes.fromhex(token)
    except ValueError:
        return None
    return _xor(both[:_SECRET], both[_SECRET:]) if len(both) == 2 * _SECRET else None


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def _is_own(request: Request, origin: str) -> bool:
    """Whether an Origin field names this server. Over plain http either scheme will do, for a proxy that nobody told
    us of may have ended TLS; over https only https will, or whoever sits on the line could act."""
    asks, here = parse_origin(origin), request.origin
    host = split_host(here.host)
    if asks is None or host is None or (here.scheme == "https" and asks.scheme != "https"):
        return False
    port = DEFAULT_PORTS.get(asks.scheme)
    return port is not None and (asks.host, asks.port or port) == (host[0], host[1] or port)
