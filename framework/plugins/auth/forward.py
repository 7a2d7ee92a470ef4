"""Forward authentication: another service decides on each request, by what is told of it."""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Sequence
from typing import Final, Protocol

from msgspec import Struct

from framework.errors import FrameworkError, HTTPError, SetupError
from framework.http.handler import Handler
from framework.http.request import Request, StateKey
from framework.http.response import Response
from framework.plugins.auth.principal import PRINCIPAL, Principal

__all__ = ["FORWARDED_FIELDS", "Answer", "Ask", "ForwardAuth", "alias_of"]

FORWARDED_FIELDS: Final[StateKey[list[tuple[str, str]]]] = StateKey("auth.fields")
"""Fields that the deciding service gave a request, for a proxy to send on in place of the client's own."""

MAX_DENIAL: Final = 65_536


class Answer(Struct, frozen=True):
    """What the deciding service answered. ``fields``: names in lower case."""

    status: int
    fields: Sequence[tuple[str, str]]
    body: bytes = b""


class Ask(Protocol):
    """Asks the deciding service, with these fields about a request. Raises FrameworkError when it cannot."""

    def __call__(self, fields: Sequence[tuple[str, str]], /) -> Awaitable[Answer]: ...


def alias_of(name: str) -> str:
    """One name for all spellings that a server behind may take for the same: "_" and "." are read as "-" by many
    (CVE-2026-39858)."""
    return name.lower().replace("_", "-").replace(".", "-")


class ForwardAuth:
    """Asks another service about each request. 2xx lets it through, anything else is the client's answer.

    What the service says about the request, the fields of ``copy``, goes on in ``FORWARDED_FIELDS``; a client's own
    fields of those names, in any spelling, are not to be sent on (``is_copied`` tells a proxy which), whether the
    service sent them or not.

    Args:
        ask: asks the service.
        send: fields of the request that it is shown, besides the method, host, path and client.
        copy: fields of its answer that describe who asks.
        subject: the one of them that names the principal; None: there is no principal.
        pass_denial: fields of a denial that the client gets.
    """

    def __init__(
        self,
        ask: Ask,
        *,
        send: Collection[str] = ("authorization", "cookie"),
        copy: Collection[str] = (),
        subject: str | None = None,
        pass_denial: Collection[str] = ("www-authenticate", "location", "set-cookie", "content-type"),
    ) -> None:
        if subject is not None and subject.lower() not in {name.lower() for name in copy}:
            raise SetupError(
                f"forward authentication: the subject {subject!r} is not among the fields it copies"
            )
        self._ask = ask
        self._send = [name.lower() for name in send]
        self._copy = frozenset(name.lower() for name in copy)
        self._aliases = frozenset(alias_of(name) for name in copy)
        self._subject = None if subject is None else subject.lower()
        self._pass_denial = frozenset(name.lower() for name in pass_denial)

    def is_copied(self, name: str) -> bool:
        """Whether a field of a client may not go on under this name, as the service alone speaks in it."""
        return alias_of(name) in self._aliases

    def __call__(self, handler: Handler) -> Handler:
        """Puts ``handler`` behind it."""

        async def authenticated(request: Request) -> Response:
            try:
                answer = await self._ask(self._question(request))
            except FrameworkError as error:
                raise HTTPError(
                    503, "who decides about requests cannot be reached", headers={"retry-after": "1"}
                ) from error
            if not 200 <= answer.status < 300:
                return self._denied(answer)
            copied = [(name, value) for name, value in answer.fields if name in self._copy]
            request[FORWARDED_FIELDS] = copied
            if self._subject is not None:
                subject = dict(copied).get(self._subject)
                if subject is None:
                    raise HTTPError(
                        502, "who decides about requests let one through without saying whose it is"
                    )
                request[PRINCIPAL] = Principal(subject, "forward", claims=dict(copied))
            return await handler(request)

        return authenticated

    def _question(self, request: Request) -> list[tuple[str, str]]:
        origin = request.origin
        fields = [
            ("x-forwarded-method", request.method),
            ("x-forwarded-proto", origin.scheme),
            ("x-forwarded-host", origin.host),
            ("x-forwarded-uri", request.target),
        ]
        if origin.client is not None:
            fields.append(("x-forwarded-for", origin.client.host))
        for name in self._send:
            fields += [(name, value) for value in request.headers.get_all(name)]
        return fields

    def _denied(self, answer: Answer) -> Response:
        if not 300 <= answer.status < 500:
            raise HTTPError(502, "who decides about requests failed")
        passed = [(name, value) for name, value in answer.fields if name in self._pass_denial]
        fields = [(name, value) for name, value in passed if name != "content-type"]
        media_type = dict(passed).get("content-type")
        return Response(answer.body[:MAX_DENIAL], answer.status, headers=fields, media_type=media_type)
