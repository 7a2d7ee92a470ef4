"""What handlers see of a session: its values, and what may be done with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any, Final, TypeVar, overload

import msgspec

from framework.errors import LocalProtocolError
from framework.http.request import Request, StateKey

__all__ = ["SESSION", "Session", "Slot", "session"]

T = TypeVar("T")
_ABSENT: Final = object()


class Session(MutableMapping[str, Any]):
    """The values of one session, by name: whatever has a JSON form. They are decoded when asked for.

    What changed is found by comparing, so a list that was appended to counts too. Only what changed is written. After
    the handler returned nothing can be changed any more: the head of the response is on its way.
    """

    __slots__ = ("_ended", "_live", "_removed", "_renewed", "_sealed", "_stored")

    def __init__(self, stored: Mapping[str, bytes] | None = None) -> None:
        self._stored: Mapping[str, bytes] = stored or {}
        self._live: dict[str, Any] = {}
        self._removed: set[str] = set()
        self._ended = self._renewed = self._sealed = False

    def __getitem__(self, key: str) -> Any:
        value = self._live.get(key, _ABSENT)
        if value is _ABSENT:
            if key in self._removed:
                raise KeyError(key)
            value = self._live[key] = msgspec.json.decode(self._stored[key])
        return value

    def __setitem__(self, key: str, value: Any) -> None:
        self._writable()
        self._removed.discard(key)
        self._live[key] = value

    def __delitem__(self, key: str) -> None:
        self._writable()
        if key not in self:
            raise KeyError(key)
        self._live.pop(key, None)
        self._removed.add(key)

    def __contains__(self, key: object) -> bool:
        return key in self._live or (key in self._stored and key not in self._removed)

    def __iter__(self) -> Iterator[str]:
        kept = [key for key in self._stored if key not in self._removed]
        return iter([*kept, *(key for key in self._live if key not in self._stored)])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @overload
    def get_as(self, key: str, type: type[T]) -> T | None: ...
    @overload
    def get_as(self, key: str, type: type[T], default: T) -> T: ...
    def get_as(self, key: str, type: type[T], default: T | None = None) -> T | None:
        """The value as ``type`` (a Struct, a date, ``list[int]``); ``default`` where there is none, or one that does
        not fit, which an older release may have left."""
        try:
            return msgspec.convert(self[key], type)
        except (KeyError, msgspec.ValidationError):
            return default

    def renew(self) -> None:
        """Gives the session a new id and a new life span, and ends the old id.

        Call it whenever privileges change: at login, logout, and step-up. Who knew the id before knows nothing then
        (session fixation).
        """
        self._writable()
        self._renewed = True

    def end(self) -> None:
        """Forgets every value and the id; what is set afterwards begins a new session."""
        self._writable()
        self._ended = True
        self._stored = {}
        self._live.clear()
        self._removed.clear()

    def clear(self) -> None:
        """Forgets every value, keeps the id."""
        for key in self:
            del self[key]

    # -- for the middleware -----------------------------------------------------------------------------------------

    @property
    def ended(self) -> bool:
        """``end`` was called."""
        return self._ended

    @property
    def renewed(self) -> bool:
        """``renew`` was called."""
        return self._renewed

    def seal(self) -> None:
        """Refuses changes from now on."""
        self._sealed = True

    def changes(self) -> dict[str, bytes | None]:
        """The values that are not what they were, as JSON; None for those removed.

        Raises TypeError, naming the value, for what has no JSON form.
        """
        found: dict[str, bytes | None] = {
            key: None for key in self._removed if key in self._stored and key not in self._live
        }
        for key, value in self._live.items():
            encoded = _encoded(key, value)
            if self._stored.get(key) != encoded:
                found[key] = encoded
        return found

    def merged(self, changes: Mapping[str, bytes | None]) -> dict[str, bytes]:
        """All values, as JSON, once ``changes`` are made."""
        return {key: value for key, value in {**self._stored, **changes}.items() if value is not None}

    def _writable(self) -> None:
        if self._sealed:
            raise LocalProtocolError("the session cannot change any more: its response has been handed over")

    def __repr__(self) -> str:
        return f"<Session {', '.join(self)}>"


class Slot:
    """A request's session, made when it is first asked for."""

    __slots__ = ("_make", "opened")

    def __init__(self, make: Callable[[], Session]) -> None:
        self._make = make
        self.opened: Session | None = None

    def open(self) -> Session:
        """The session."""
        if self.opened is None:
            self.opened = self._make()
        return self.opened


SESSION: Final[StateKey[Slot]] = StateKey("session")


def session(request: Request) -> Session:
    """The session of a request. ``app.provide(session)`` injects it wherever a handler says ``Session``.

    Raises LocalProtocolError where no session middleware is in use.
    """
    slot = request.get(SESSION)
    if slot is None:
        raise LocalProtocolError("this route has no sessions: app.use(SignedSessions(...)) or StoredSessions")
    return slot.open()


def _encoded(key: str, value: Any) -> bytes:
    try:
        return msgspec.json.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"the session's value {key!r} has no JSON form: {error}") from error
