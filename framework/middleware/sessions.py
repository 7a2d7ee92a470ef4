"""Sessions: in a signed cookie, or on the server with only an id in the cookie."""

from __future__ import annotations

import math
import re
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final, NamedTuple, TypedDict, Unpack

import msgspec

from framework.errors import LocalProtocolError, SetupError
from framework.http.cookies import SameSite
from framework.http.handler import Handler
from framework.http.request import Request
from framework.http.response import Response
from framework.middleware.chain import Hooks
from framework.middleware.personal import keep_from_shared_caches, unshared
from framework.middleware.session import SESSION, Session, Slot, session
from framework.middleware.session_store import MemorySessionStore, SessionStore, StoredSession
from framework.middleware.signing import Signer

__all__ = [
    "MemorySessionStore",
    "Session",
    "SessionStore",
    "Sessions",
    "SignedSessions",
    "StoredSession",
    "StoredSessions",
    "session",
]

DAY: Final = 86_400.0
# What browsers keep of a cookie: name and value (RFC 6265bis section 5.6).
_MAX_COOKIE: Final = 4096
# Of the idle time, after which a signed cookie is written anew though nothing changed.
_REFRESH: Final = 0.1
_is_id: Final = re.compile(r"[A-Za-z0-9_-]{43}").fullmatch


class SessionOptions(TypedDict, total=False):
    """The arguments of ``Sessions``, which both kinds take too."""

    idle_timeout: float
    absolute_timeout: float
    name: str
    secure: bool
    same_site: SameSite
    domain: str | None
    clock: Callable[[], float]


class Cookie(NamedTuple):
    """A session cookie to set; ``max_age`` in seconds, 0 to delete it."""

    value: str
    max_age: int


class Sessions(Hooks, ABC):
    """What both kinds of sessions share: the cookie, its life, and when it is written. For phase POLICY.

    ``session(request)`` is the session. The cookie is ``__Host-session``: this host only, https only, not for scripts.
    It is set only when there is something new to say, and such a response is never kept by a shared cache; every
    response whose handler asked for the session varies by Cookie. A handler that raises changes nothing.

    Args:
        idle_timeout: seconds after its last use that a session ends, whatever the cookie says.
        absolute_timeout: seconds after its begin, or its last ``renew()``.
        name: of the cookie, without prefix.
        secure: False for development over plain http alone: drops Secure and the prefix.
        same_site: "strict" also keeps it from links of other sites; "none" hands it to all of them.
        domain: also for subdomains of this one, with the prefix ``__Secure-``.
        clock: Unix time, for tests.

    Raises:
        SetupError: a timeout that is not positive, or a cookie browsers refuse.
    """

    def __init__(
        self,
        *,
        idle_timeout: float = DAY,
        absolute_timeout: float = 14 * DAY,
        name: str = "session",
        secure: bool = True,
        same_site: SameSite = "lax",
        domain: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not 0 < idle_timeout <= absolute_timeout:
            raise SetupError("sessions: 0 < idle_timeout <= absolute_timeout")
        prefix = "" if not secure else "__Host-" if domain is None else "__Secure-"
        self.cookie_name = f"{prefix}{name}"
        self._idle = idle_timeout
        self._absolute = absolute_timeout
        self._secure = secure
        self._same_site: SameSite = same_site
        self._domain = domain
        self._clock = clock
        try:
            self._set_cookie(Response(), Cookie("", 0))
        except LocalProtocolError as error:
            raise SetupError(f"sessions: {error}") from error

    def __call__(self, handler: Handler) -> Handler:
        async def with_session(request: Request) -> Response:
            slot = request[SESSION] = await self._load(request.cookies.get(self.cookie_name))
            try:
                response = await handler(request)
            finally:
                if slot.opened is not None:
                    slot.opened.seal()
            if slot.opened is None:
                return response
            cookie = await self._save(slot, slot.opened)
            if cookie is not None:
                response = unshared(response)
                self._set_cookie(response, cookie)
                keep_from_shared_caches(response)
            response.headers.vary("Cookie")
            return response

        return with_session

    def after(self, request: Request, response: Response) -> None:
        """An error that came of the session varies by Cookie too."""
        slot = request.get(SESSION)
        if slot is not None and slot.opened is not None:
            response.headers.vary("Cookie")

    @abstractmethod
    async def _load(self, value: str | None) -> Slot:
        """The session of the cookie ``value``; an empty one for none, or one that is not worth anything."""

    @abstractmethod
    async def _save(self, slot: Slot, opened: Session) -> Cookie | None:
        """Keeps what changed; returns the cookie that has to be set for it."""

    def _set_cookie(self, response: Response, cookie: Cookie) -> None:
        response.set_cookie(
            self.cookie_name,
            cookie.value,
            max_age=cookie.max_age,
            domain=self._domain,
            secure=self._secure,
            same_site=self._same_site,
        )

    def _left(self, created: float, now: float) -> float:
        """Seconds until the absolute end."""
        return created + self._absolute - now


class _Ticket(msgspec.Struct, array_like=True, frozen=True):
    """What a signed cookie holds; times are Unix seconds."""

    created: int
    seen: int
    values: dict[str, msgspec.Raw]


class _SignedSlot(Slot):
    __slots__ = ("stale", "ticket")

    def __init__(self, make: Callable[[_SignedSlot], Session]) -> None:
        super().__init__(lambda: make(self))
        self.ticket: _Ticket | None = None
        self.stale = False


class SignedSessions(Sessions):
    """Sessions in a signed cookie: nothing is kept on the server, nothing is hidden from the user.

    The cookie is read only where a handler asks for the session. It cannot be called back: a copy of it is good until
    its time is over. Of concurrent requests the last cookie wins as a whole. It takes 4096 bytes with its name.

    Args:
        keys: secrets of at least 32 bytes; the first signs, all verify. A cookie an old key signed is signed anew.
        options: see ``Sessions``.

    Raises:
        SetupError: as ``Sessions`` and ``Signer``.
    """

    def __init__(
        self,
        keys: Sequence[str | bytes],
        **options: Unpack[SessionOptions],
    ) -> None:
        super().__init__(**options)
        self._signer = Signer(keys, f"framework.session.{self.cookie_name}")
        self._decoder = msgspec.json.Decoder(_Ticket)

    async def _load(self, value: str | None) -> Slot:
        def open_ticket(slot: _SignedSlot) -> Session:
            ticket = slot.ticket = None if value is None else self._read(slot, value)
            return Session({} if ticket is None else {k: bytes(raw) for k, raw in ticket.values.items()})

        return _SignedSlot(open_ticket)

    def _read(self, slot: _SignedSlot, value: str) -> _Ticket | None:
        found = self._signer.unsign(value)
        if found is None:
            return None
        try:
            ticket = self._decoder.decode(found.payload)
        except msgspec.DecodeError:
            return None
        now = self._clock()
        if self._left(ticket.created, now) <= 0 or now - ticket.seen >= self._idle:
            return None
        slot.stale = not found.by_newest or now - ticket.seen >= self._idle * _REFRESH
        return ticket

    async def _save(self, slot: Slot, opened: Session) -> Cookie | None:
        assert isinstance(slot, _SignedSlot)
        ticket = slot.ticket
        changes = opened.changes()
        values = opened.merged(changes)
        if not values:
            return None if ticket is None else Cookie("", 0)
        if not (changes or opened.renewed or slot.stale):
            return None
        now = int(self._clock())
        created = now if ticket is None or opened.renewed or opened.ended else ticket.created
        renewed = _Ticket(created, now, {key: msgspec.Raw(value) for key, value in values.items()})
        token = self._signer.sign(msgspec.json.encode(renewed))
        size = len(self.cookie_name) + len(token)
        if size > _MAX_COOKIE:
            raise LocalProtocolError(
                f"the session takes {size} bytes as a cookie, browsers keep {_MAX_COOKIE}: "
                f"keep less of {', '.join(values)} in it, or use StoredSessions"
            )
        return Cookie(token, math.ceil(self._left(created, now)))


class _StoredSlot(Slot):
    __slots__ = ("key", "stored")

    def __init__(self, key: str, stored: StoredSession | None) -> None:
        super().__init__(lambda: Session(None if stored is None else stored.values))
        self.key = key
        self.stored = stored


class StoredSessions(Sessions):
    """Sessions kept on the server; the cookie holds 256 random bits, of which the store knows the SHA-256 alone.

    A request that brings a cookie costs one look into the store, whatever it does with the session; leave routes that
    need none out with ``skip``. Of concurrent requests each writes only the values it changed, and the last write of
    a value wins. A request that is still running when the session is ended or renewed elsewhere writes nothing more
    to it. An id nobody handed out begins no session.

    Args:
        store: where they are kept.
        max_size: bytes of one session's values as JSON.
        options: see ``Sessions``.

    Raises:
        SetupError: as ``Sessions``.
    """

    def __init__(
        self,
        store: SessionStore,
        *,
        max_size: int = 65_536,
        **options: Unpack[SessionOptions],
    ) -> None:
        super().__init__(**options)
        self._store = store
        self._max_size = max_size

    @property
    def engines(self) -> tuple[SessionStore]:
        """What holds its state: an app of several workers refuses a store that only one process sees."""
        return (self._store,)

    async def _load(self, value: str | None) -> Slot:
        if value is None or _is_id(value) is None:
            return _StoredSlot("", None)
        key = _key(value)
        stored = await self._store.get(key)
        if stored is not None and self._left(stored.created, self._clock()) <= 0:
            await self._store.delete(key)
            stored = None
        return _StoredSlot(key, stored)

    async def _save(self, slot: Slot, opened: Session) -> Cookie | None:
        assert isinstance(slot, _StoredSlot)
        stored = slot.stored
        changes = opened.changes()
        if opened.ended or opened.renewed or stored is None:
            return await self._replace(slot, opened, changes)
        ttl = min(self._idle, self._left(stored.created, self._clock()))
        if changes:
            self._fits(opened.merged(changes))
            await self._store.set(slot.key, changes, ttl=ttl)
        else:
            await self._store.touch(slot.key, ttl=ttl)
        return None

    async def _replace(
        self, slot: _StoredSlot, opened: Session, changes: dict[str, bytes | None]
    ) -> Cookie | None:
        """Ends the session there was, if any, and begins another where there is something to keep."""
        values = opened.merged(changes)
        self._fits(values)
        if slot.stored is not None and not await self._store.delete(slot.key):
            # Ended elsewhere meanwhile: what it held stays ended, what this request sets begins anew.
            values = {key: value for key, value in changes.items() if value is not None}
        if not values:
            return None if slot.stored is None else Cookie("", 0)
        value = secrets.token_urlsafe(32)
        now = self._clock()
        await self._store.set(_key(value), values, ttl=min(self._idle, self._absolute), created=now)
        return Cookie(value, math.ceil(self._absolute))

    def _fits(self, values: dict[str, bytes]) -> None:
        size = sum(len(key) + len(value) for key, value in values.items())
        if size > self._max_size:
            raise LocalProtocolError(
                f"the session holds {size} bytes, more than the {self._max_size} allowed: "
                f"keep less of {', '.join(values)} in it"
            )


def _key(value: str) -> str:
    """What the store knows of an id: whoever reads the store cannot take a session over."""
    return sha256(value.encode("ascii")).hexdigest()
