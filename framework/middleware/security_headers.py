"""Fields that tell browsers to be careful: what a page may load, who may frame it, where its address is told."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Final

from framework.errors import LocalProtocolError, SetupError
from framework.http.headers import MutableHeaders
from framework.http.request import Request, StateKey
from framework.http.response import Response
from framework.middleware.chain import Hooks
from framework.middleware.personal import unshared

__all__ = ["CSP", "SecurityHeaders", "csp_nonce"]

CSP: Final = "base-uri 'self'; frame-ancestors 'self'; object-src 'none'"
_PERMISSIONS: Final = "camera=(), geolocation=(), microphone=()"
_NONCE: Final = "{nonce}"
_NONCE_KEY: Final[StateKey[str]] = StateKey("security_headers.nonce")
_POLICIES: Final = ("content-security-policy", "content-security-policy-report-only")
_is_local: Final = re.compile(r"(?:(?:.*\.)?localhost|[0-9.]+|\[.*\])(?::[0-9]*)?").fullmatch


def csp_nonce(request: Request) -> str:
    """The nonce of this response: 128 random bits, for ``<script nonce="...">`` and the policy's ``{nonce}``.

    Ask before the response's head is sent. A page that holds one must not be cached.
    """
    nonce = request.get(_NONCE_KEY)
    if nonce is None:
        nonce = request[_NONCE_KEY] = secrets.token_urlsafe(16)
    return nonce


class SecurityHeaders(Hooks):
    """Adds the fields below to every response, errors included. Hooks for phase EDGE.

    Each is a text of yours, or None, which leaves it out. A field the response has already stays as it is.

    Args:
        content_security_policy: CSP level 3. ``{nonce}`` stands for ``csp_nonce(request)``: script-src 'nonce-{nonce}'.
            The default only forbids what hardly any page does; a stricter one is yours to write.
        content_security_policy_report_only: the same, only reported.
        referrer_policy: what other sites learn of the page a user came from.
        frame_options: for browsers too old for ``frame-ancestors``.
        strict_transport_security: HSTS (RFC 6797), sent over https alone, and never for localhost or an address, where
            it would stick to whatever else runs there.
        permissions_policy: which features of the browser pages may use.
        cross_origin_opener_policy: "same-origin-allow-popups" where a sign-in opens a window of another site.
        cross_origin_resource_policy: "cross-origin" for what other sites may embed without CORS.
        cross_origin_embedder_policy: "require-corp" isolates the page.
        content_type_options: "nosniff": the media type is taken at its word.
        more: further fields.

    Raises:
        SetupError: a value that no field can carry.
    """

    def __init__(
        self,
        *,
        content_security_policy: str | None = CSP,
        content_security_policy_report_only: str | None = None,
        referrer_policy: str | None = "strict-origin-when-cross-origin",
        frame_options: str | None = "SAMEORIGIN",
        strict_transport_security: str | None = "max-age=31536000",
        permissions_policy: str | None = _PERMISSIONS,
        cross_origin_opener_policy: str | None = "same-origin",
        cross_origin_resource_policy: str | None = "same-origin",
        cross_origin_embedder_policy: str | None = None,
        content_type_options: str | None = "nosniff",
        more: Mapping[str, str] | None = None,
    ) -> None:
        wanted = {
            _POLICIES[0]: content_security_policy,
            _POLICIES[1]: content_security_policy_report_only,
            "referrer-policy": referrer_policy,
            "x-frame-options": frame_options,
            "permissions-policy": permissions_policy,
            "cross-origin-opener-policy": cross_origin_opener_policy,
            "cross-origin-resource-policy": cross_origin_resource_policy,
            "cross-origin-embedder-policy": cross_origin_embedder_policy,
            "x-content-type-options": content_type_options,
            **(more or {}),
        }
        pairs = [(name, " ".join(value.split())) for name, value in wanted.items() if value is not None]
        hsts = [("strict-transport-security", strict_transport_security)] if strict_transport_security else []
        checked = _checked([*pairs, *hsts])
        self._hsts = checked[-1] if hsts else None
        self._pairs = checked[:-1] if hsts else checked
        self._templates = [pair for pair in self._pairs if pair[0] in _POLICIES and _NONCE in pair[1]]
        self._plain = [pair for pair in self._pairs if pair not in self._templates]

    def after(self, request: Request, response: Response) -> Response:
        """Adds what the response does not have yet."""
        if self._templates:
            response = unshared(response)
        pairs = response.headers.pairs
        own = {name for name, _ in pairs}
        pairs += [pair for pair in self._plain if pair[0] not in own] if own else self._plain
        # A 304 renews the fields of the page that a cache holds: its scripts carry the nonce of their own day.
        if self._templates and response.status != 304:
            nonce = csp_nonce(request)
            pairs += [
                (name, value.replace(_NONCE, nonce)) for name, value in self._templates if name not in own
            ]
        hsts = self._hsts
        if hsts is not None and hsts[0] not in own and _is_public_https(request):
            pairs.append(hsts)
        return response


def _is_public_https(request: Request) -> bool:
    origin = request.origin
    return origin.scheme == "https" and _is_local(origin.host.lower()) is None


def _checked(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    try:
        return MutableHeaders(pairs).pairs
    except LocalProtocolError as error:
        raise SetupError(f"security headers: {error}") from error
