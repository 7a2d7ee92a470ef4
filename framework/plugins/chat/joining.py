"""How a connection comes to follow a room: no gap, no double, and its position before any entry."""

from __future__ import annotations

import asyncio
from typing import Final

from framework.errors import PeerClosed
from framework.plugins.chat.errors import ChatError
from framework.plugins.chat.events import Entry, Message, RoomKind
from framework.plugins.chat.hub import Hub
from framework.plugins.chat.protocol import Events, Joined, Removed, Resync
from framework.plugins.chat.rooms import Follower, Joiner, LiveRoom, ejected
from framework.plugins.chat.store import Opening

__all__ = ["join", "within"]

MAX_PRESENT: Final = 200
MAX_OPENING: Final = 1 << 20
TIMEOUT: Final = 15.0


async def join(
    hub: Hub, session: Follower, number: int, name: str, *, epoch: str | None, offset: int, limit: int
) -> None:
    """Answers a request to follow a room, and lets the connection follow it.

    What is delivered while the log is read is kept: of that, what the reading had seen is dropped, and the rest sent
    behind the reply. Raises ChatError.
    """
    if name not in session.follows and len(session.follows) >= hub.settings.max_follows:
        raise ChatError("limit", f"at most {hub.settings.max_follows} rooms at once")
    room = hub.room(name)
    joiner = Joiner()
    room.joiners.add(joiner)
    hub.unfollow(session, room)
    try:
        async with asyncio.timeout(TIMEOUT), hub.openings:
            opening = await _opening(hub, session.user, name, epoch, offset, limit)
            await room.reach(opening.room.epoch, opening.room.offset)
            if opening.room.offset < joiner.since:
                # Somebody else's later reading was the first to tell the room where it is.
                opening = await _opening(hub, session.user, name, epoch, offset, limit)
                await room.reach(opening.room.epoch, opening.room.offset)
        if not session.ws.closed:
            _begin(hub, session, number, room, joiner, opening)
    except TimeoutError:
        hub.doubt(name)
        raise ChatError("unavailable", "the room could not be read in time", 1.0) from None
    except PeerClosed:
        pass  # it has gone meanwhile
    finally:
        room.joiners.discard(joiner)
        room.settle()


async def _opening(hub: Hub, user: str, name: str, epoch: str | None, offset: int, limit: int) -> Opening:
    async def read() -> Opening:
        return await hub.store.opening(
            user, name, epoch=epoch, offset=offset, limit=limit, max_entries=hub.settings.max_resume
        )

    opening = await read()
    if opening.room.role is None and opening.room.kind is RoomKind.PUBLIC:
        entered = await hub.store.enter(user, name)
        if entered is not None:
            hub.announce(entered)
        opening = await read()
    if opening.room.role is None:
        raise ChatError("no_room", "there is no such room, or you are not in it")
    if opening.complete and _size(opening.entries) > MAX_OPENING:
        # Too much at once: it begins anew with the latest messages, and is told so.
        epoch = None
        opening = await read()
    return opening


def _begin(
    hub: Hub, session: Follower, number: int, room: LiveRoom, joiner: Joiner, opening: Opening
) -> None:
    """All in one step of the loop: the reply, what came behind it, and from now on what comes."""
    hub.unfollow(session, room)
    room.flush()
    attendance = room.attendance
    present = attendance.some(MAX_PRESENT)
    is_new = session.user not in attendance
    if is_new:
        present.append(session.user)
    session.push(
        Joined(
            number,
            opening.room,
            opening.complete,
            opening.entries,
            within(opening.messages, MAX_OPENING),
            present,
            len(attendance) + is_new,
        )
    )
    if not joiner.whole:
        hub.stats.resyncs += 1
        session.push(Resync(room.name))
        return
    tail = [entry for entry in joiner.entries if entry.offset > opening.room.offset]
    why = None
    for at, entry in enumerate(tail):
        gone = ejected(entry)
        if gone is not None and gone[0] == session.user:
            tail, why = tail[: at + 1], gone[1]
            break
    if tail:
        session.push(Events(room.name, tail))
    if why is not None:
        session.push(Removed(room.name, why))
        return
    hub.follow(session, room)


def within(messages: list[Message], most: int, *, first: bool = False) -> list[Message]:
    """As many of the messages as so many bytes hold (more or less): the latest, or the first; at least one."""
    left = most
    kept = 0
    for message in messages if first else reversed(messages):
        left -= 256 + _length(message.text)
        if left < 0 and kept:
            break
        kept += 1
    if kept == len(messages):
        return messages
    return messages[:kept] if first else messages[-kept:]


def _size(entries: list[Entry]) -> int:
    return sum(256 + _length(getattr(entry.body, "text", "")) for entry in entries)


def _length(text: str) -> int:
    return len(text) if text.isascii() else 4 * len(text)
