"""Who is in a room, over all processes: leases, so that nobody stays who is gone.

A connection's lease is its WebSocket, which answers pings or is cut off. A process's lease is its ``Here``: when that
has not come for a while, everybody who was there by that process is gone.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["Attendance", "Typists"]


class Attendance:
    """The people in one room. A user is there as long as a connection of its is, at any process.

    Attributes:
        version: counts the changes that were told to other processes. It begins where no room of that name ever was in
            this process, so that others never take something new for something they have.
    """

    __slots__ = ("_changed", "_here", "_places", "_remote", "_told", "version")

    def __init__(self, version: int) -> None:
        self.version = version
        self._here: dict[str, int] = {}  # connections in this process
        self._remote: dict[str, tuple[int, set[str]]] = {}  # by node: version, and who is there
        self._places: dict[str, int] = {}  # processes that a user is at
        self._changed: dict[
            str, bool
        ] = {}  # whom the members were not told of yet: whether they know the user
        self._told: dict[str, bool] = {}  # likewise the other processes

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, user: str) -> bool:
        return user in self._places

    def some(self, most: int) -> list[str]:
        """Users that are there, at most so many."""
        if len(self._places) <= most:
            return list(self._places)
        return [user for user, _ in zip(self._places, range(most), strict=False)]

    @property
    def here(self) -> Iterable[str]:
        """Those who are here by this process."""
        return self._here

    # -- this process -----------------------------------------------------------------------------------------------

    def enter(self, user: str) -> bool:
        """A connection more. Whether that changes who is here."""
        count = self._here.get(user, 0)
        self._here[user] = count + 1
        if count:
            return False
        self._told.setdefault(user, False)
        self._add(user)
        return True

    def leave(self, user: str) -> bool:
        """A connection less."""
        count = self._here[user] - 1
        if count:
            self._here[user] = count
            return False
        del self._here[user]
        self._told.setdefault(user, True)
        self._take(user)
        return True

    # -- others -----------------------------------------------------------------------------------------------------

    def came(self, node: str, version: int, joined: Iterable[str], left: Iterable[str]) -> bool:
        """A change at another process. False: something was missed before, and has to be asked for."""
        known, users = self._remote.get(node, (0, set[str]()))
        if version != known + 1:
            return version <= known
        for user in joined:
            if user not in users:
                users.add(user)
                self._add(user)
        for user in left:
            if user in users:
                users.discard(user)
                self._take(user)
        self._remote[node] = version, users
        return True

    def present(self, node: str, version: int, users: Iterable[str]) -> None:
        """Everybody at another process."""
        known, before = self._remote.get(node, (0, set[str]()))
        if version < known:
            return
        now = set(users)
        for user in now - before:
            self._add(user)
        for user in before - now:
            self._take(user)
        self._remote[node] = version, now

    def version_of(self, node: str) -> int:
        """As of when a process's people are known; 0 is not at all."""
        return self._remote.get(node, (0, None))[0]

    def forget(self, node: str) -> None:
        """A process is gone, and all who were there by it."""
        _, users = self._remote.pop(node, (0, set[str]()))
        for user in users:
            self._take(user)

    # -- telling ----------------------------------------------------------------------------------------------------

    def changes(self) -> tuple[list[str], list[str]]:
        """Who came and who went since the last call, the last word of each."""
        changed, self._changed = self._changed, {}
        return self._split(changed, self._places)

    def changes_here(self) -> tuple[list[str], list[str]]:
        """Likewise for other processes; counts the version up where there are any."""
        changed, self._told = self._told, {}
        joined, left = self._split(changed, self._here)
        if joined or left:
            self.version += 1
        return joined, left

    @staticmethod
    def _split(changed: dict[str, bool], now: dict[str, int]) -> tuple[list[str], list[str]]:
        joined = [user for user, known in changed.items() if user in now and not known]
        left = [user for user, known in changed.items() if user not in now and known]
        return joined, left

    def _add(self, user: str) -> None:
        count = self._places.get(user, 0)
        self._places[user] = count + 1
        if not count:
            self._changed.setdefault(user, False)

    def _take(self, user: str) -> None:
        count = self._places[user] - 1
        if count:
            self._places[user] = count
        else:
            del self._places[user]
            self._changed.setdefault(user, True)


class Typists:
    """Who is typing in one room: each for ``ttl`` seconds, unless it is said again. At most ``most``."""

    __slots__ = ("_most", "_ttl", "_until")

    def __init__(self, ttl: float = 6.0, most: int = 50) -> None:
        self._ttl = ttl
        self._most = most
        self._until: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._until)

    @property
    def users(self) -> list[str]:
        """All who are typing."""
        return list(self._until)

    def set(self, user: str, on: bool, now: float) -> bool:
        """A user types, or no longer; whether that is news."""
        if not on:
            return self._until.pop(user, None) is not None
        is_new = user not in self._until
        if is_new and len(self._until) >= self._most:
            return False
        self._until[user] = now + self._ttl
        return is_new

    def expire(self, now: float) -> bool:
        """Forgets those who have said nothing for too long; whether there were any."""
        over = [user for user, until in self._until.items() if until <= now]
        for user in over:
            del self._until[user]
        return bool(over)
