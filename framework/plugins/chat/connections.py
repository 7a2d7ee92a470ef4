"""The connections of one process, by user."""

from __future__ import annotations

from typing import Final

from framework.plugins.chat.bus import Closed, Said
from framework.plugins.chat.deadlines import Deadlines
from framework.plugins.chat.people import People
from framework.plugins.chat.protocol import Added, CloseCode, Notice, ServerFrame
from framework.plugins.chat.rooms import Follower, LiveRoom
from framework.plugins.chat.store import ChatStore

__all__ = ["Connections"]

MAX_MET: Final = 50_000


class Connections(People):
    """The hub's part that knows who is connected.

    Attributes:
        sessions, users, sockets: all connections; those that have said who they are; by their WebSockets.
        met: the names of users that the store has, so that it is not told again.
    """

    store: ChatStore
    sessions: set[Follower]
    users: dict[str, list[Follower]]
    sockets: dict[object, Follower]
    deadlines: Deadlines[Follower]
    met: dict[str, str]

    def unfollow(self, session: Follower, room: LiveRoom) -> bool:
        """A connection follows a room no more."""
        raise NotImplementedError

    def opened(self, session: Follower) -> None:
        """A WebSocket more."""
        self.sessions.add(session)
        self.sockets[session.ws] = session
        self.deadlines.set(session, self.loop.time() + self.settings.hello_timeout)

    async def welcome(self, session: Follower, user: str, name: str) -> None:
        """It is a user's now. Raises what the store does."""
        if self.met.get(user) != name:
            await self.store.meet(user, name)
            if len(self.met) >= MAX_MET:
                del self.met[next(iter(self.met))]
            self.met[user] = name
        if session.ws.closed:
            return
        theirs = self.users.setdefault(user, [])
        theirs.append(session)
        if len(theirs) > self.settings.max_connections:
            theirs[0].close(CloseCode.REPLACED, "one connection too many")

    def left(self, session: Follower) -> None:
        """A WebSocket is gone."""
        self.sessions.discard(session)
        self.sockets.pop(session.ws, None)
        session.due = float("inf")
        for room in tuple(session.follows.values()):
            self.unfollow(session, room)
        theirs = self.users.get(session.user)
        if theirs is not None and session in theirs:
            theirs.remove(session)
            if not theirs:
                del self.users[session.user]

    def broadcast(self, frame: ServerFrame) -> None:
        """Tells every connection that has said who it is."""
        for sessions in tuple(self.users.values()):
            for session in tuple(sessions):
                session.push(frame)

    def close_user(self, user: str = "", session: str = "") -> int:
        """Closes a user's connections, or one, in every process; returns how many there were in this one."""
        self.tell(Closed(self.node, user, session))
        return self.close_here(user, session)

    def close_here(self, user: str, session: str) -> int:
        """Likewise, in this process alone."""
        found = [
            each
            for each in (self.users.get(user, []) if user else list(self.sessions))
            if not session or each.name == session
        ]
        if not user and not session:
            return 0
        for each in found:
            each.close(CloseCode.REPLACED, "closed by an operator")
        return len(found)

    def notice(self, text: str) -> None:
        """Tells everybody something, in every process."""
        self.tell(Said(self.node, text))
        self.broadcast(Notice(text))

    def added(self, user: str, room: str) -> None:
        """Somebody else made ``user`` a member: in this process."""
        for session in self.users.get(user, ()):
            session.push(Added(room))
