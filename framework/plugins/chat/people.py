"""What followers, and other processes, are told of who is there and who types: batched, the last word only."""

from __future__ import annotations

import asyncio
from typing import Final

from framework.plugins.chat.bus import Bus, Came, Typed
from framework.plugins.chat.bus.messages import BusMessage
from framework.plugins.chat.protocol import Presence, TypingUsers
from framework.plugins.chat.rooms import Follower, LiveRoom
from framework.plugins.chat.settings import ChatSettings

__all__ = ["People"]

MAX_PRESENCE_NAMES: Final = 200


class People:
    """The hub's part that tells of people. ``closing``: nothing is told any more."""

    loop: asyncio.AbstractEventLoop
    settings: ChatSettings
    bus: Bus
    node: str
    closing: bool

    def tell(self, message: BusMessage) -> None:
        """Publishes on the bus."""
        raise NotImplementedError

    def people_changed(self, room: LiveRoom) -> None:
        """Tells of it within the interval, together with what else changes until then."""
        if room.presence_timer is None and not self.closing:
            room.presence_timer = self.loop.call_later(
                self.settings.presence_interval, self._tell_people, room
            )

    def _tell_people(self, room: LiveRoom) -> None:
        if room.presence_timer is not None:
            room.presence_timer.cancel()
            room.presence_timer = None
        attendance = room.attendance
        joined, left = attendance.changes()
        if (joined or left) and room.followers:
            most = MAX_PRESENCE_NAMES
            room.publish(Presence(room.name, len(attendance), joined[:most], left[:most]), key="presence")
        if not self.bus.alone:
            joined, left = attendance.changes_here()
            if joined or left:
                self.tell(Came(self.node, room.name, attendance.version, joined, left))

    def typing(self, session: Follower, name: str, on: bool) -> None:
        """A user types in a room that it follows, or no longer."""
        room = session.follows.get(name)
        if room is None:
            return
        if room.typists.set(session.user, on, self.loop.time()):
            self.typing_changed(room)
        self.tell(Typed(self.node, name, session.user, on))

    def typing_changed(self, room: LiveRoom) -> None:
        """Tells of it at once, or after the interval since the last time."""
        if room.typing_timer is not None or self.closing:
            return
        wait = room.typing_due - self.loop.time()
        if wait <= 0:
            self._tell_typing(room)
        else:
            room.typing_timer = self.loop.call_later(wait, self._tell_typing, room)

    def _tell_typing(self, room: LiveRoom) -> None:
        room.typing_timer = None
        users = room.typists.users
        if users != room.typing_told:
            room.typing_told = users
            room.typing_due = self.loop.time() + self.settings.typing_interval
            room.publish(TypingUsers(room.name, users), key="typing")
