"""Who asks: what every way of authenticating comes to, and how a request that shows nobody is answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from msgspec import Struct

from framework.errors import HTTPError
from framework.http.request import Request, StateKey

__all__ = ["PRINCIPAL", "Principal", "Unauthorized", "principal_of", "quoted"]


class Principal(Struct, frozen=True):
    """Who asks.

    Attributes:
        subject: names the user or program, unique within ``scheme``.
        scheme: how it was shown: "jwt", "api-key", "basic" or "forward".
        roles: what it is.
        scopes: what it may do with this credential.
        claims: whatever else the credential says.
    """

    subject: str
    scheme: str
    roles: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    claims: Mapping[str, Any] = {}


PRINCIPAL: Final[StateKey[Principal]] = StateKey("principal")
"""Where whoever authenticated a request puts its principal."""


def principal_of(request: Request) -> Principal:
    """The principal of a request. Raises HTTPError 401 where nobody was authenticated."""
    principal = request.get(PRINCIPAL)
    if principal is None:
        raise HTTPError(401, "this needs authentication")
    return principal


def quoted(text: str) -> str:
    """``text`` as a quoted-string (RFC 9110 section 5.6.4); what cannot be in one is left out."""
    kept = "".join(char for char in text if " " <= char <= "~")
    return '"' + kept.replace("\\", "\\\\").replace('"', '\\"') + '"'


class Unauthorized(HTTPError):
    """401 with a challenge (RFC 9110 section 11.6.1), or 403 with one where the credential is good and not enough.

    Args:
        scheme: of the challenge, such as "Bearer".
        parameters: of the challenge; those that are None are left out.
    """

    def __init__(
        self,
        scheme: str,
        detail: str,
        parameters: Iterable[tuple[str, str | None]] = (),
        *,
        status: int = 401,
    ) -> None:
        fields = ", ".join(f"{name}={quoted(value)}" for name, value in parameters if value is not None)
        super().__init__(status, detail, headers={"www-authenticate": f"{scheme} {fields}".strip()})
