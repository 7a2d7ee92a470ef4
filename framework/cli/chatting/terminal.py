"""The chat in a terminal: what is typed is said, or is a command."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

from framework.cli.chatting.follower import Follower, Outgoing, Room
from framework.cli.chatting.link import Link
from framework.cli.chatting.words import HELP, harmless, numbered
from framework.errors import WebSocketClosed
from framework.plugins.chat.errors import ChatError
from framework.plugins.chat.protocol import Delete as DeleteMessage
from framework.plugins.chat.protocol import (
    Done,
    Edit,
    Found,
    History,
    ListMembers,
    ListRooms,
    Members,
    Page,
    React,
    Rooms,
    Search,
)

__all__ = ["Terminal"]

MAX_WAITING: Final = 500


class Terminal(Follower):
    """One user's chat, line by line; arguments as of ``Follower``."""

    async def run(self, lines: AsyncIterator[str]) -> None:
        """Until the lines end, or ``/quit``; then what waits to be sent is, for at most five seconds.

        Raises:
            ChatError: the server does not want this user back.
        """
        connecting = asyncio.create_task(self._stay_connected())
        reading = asyncio.create_task(self._read(lines))
        try:
            await asyncio.wait((connecting, reading), return_when=asyncio.FIRST_COMPLETED)
            if reading.done() and not connecting.done():
                await self._sent()
        finally:
            for task in (connecting, reading):
                task.cancel()
            await asyncio.wait((connecting, reading))
        for task in (connecting, reading):
            if not task.cancelled():
                task.result()

    async def _sent(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(5.0):
                await self._emptied.wait()

    # -- what is typed ------------------------------------------------------------------------------------------------

    async def _read(self, lines: AsyncIterator[str]) -> None:
        async for line in lines:
            text = line.strip()
            if text == "/quit":
                return
            if not text:
                continue
            try:
                await self._typed(text)
            except (ChatError, ValueError) as error:
                self._tell(str(error))
            except (WebSocketClosed, TimeoutError):
                self._tell("the connection was lost: not done")

    async def _typed(self, text: str) -> None:
        if not text.startswith("/") or text.startswith("//"):
            self._post(text.removeprefix("/") if text.startswith("//") else text)
            return
        name, _, rest = text[1:].partition(" ")
        rest = rest.strip()
        if name == "help":
            for line in HELP.splitlines():
                self._show(line)
        elif name == "reply":
            target, words = numbered(rest)
            self._post(words, target)
        else:
            await self._asked(self._linked(), name, rest)

    async def _asked(self, link: Link, name: str, rest: str) -> None:
        room, mid = self._current, secrets.token_hex(12)
        match name:
            case "join":
                await self._join(link, rest)
            case "rooms":
                mine = await link.ask(Rooms, lambda number: ListRooms(number))
                others = await link.ask(Rooms, lambda number: ListRooms(number, public=True))
                for each in {one.room: one for one in (*others.rooms, *mine.rooms)}.values():
                    self._show(f"  {each.room:<24} {each.members:>5} members  {harmless(each.name)}")
            case "who":
                members = await link.ask(Members, lambda number: ListMembers(number, room))
                for one in members.members:
                    here = "here" if one.online else "away"
                    self._show(f"  {harmless(one.name):<24} {one.role.value:<10} {here}")
            case "more":
                await self._older(link, self._rooms[room])
            case "find":
                found = await link.ask(Found, lambda number: Search(number, rest))
                for hit in reversed(found.hits):
                    self._show_message(hit.room, hit.message)
            case "edit":
                target, words = numbered(rest)
                await link.ask(Done, lambda number: Edit(number, room, mid, target, words))
            case "delete":
                target, _ = numbered(rest, words=False)
                await link.ask(Done, lambda number: DeleteMessage(number, room, mid, target))
            case "react":
                target, words = numbered(rest)
                await link.ask(Done, lambda number: React(number, room, mid, target, words))
            case _:
                self._tell(f"there is no /{name}; /help tells what there is")

    async def _join(self, link: Link, name: str) -> None:
        if not name:
            raise ValueError("/join what?")
        room = self._rooms.get(name) or Room(name)
        if name not in self._rooms:
            self._rooms[name] = room
            try:
                await self._follow(link, room)
            except BaseException:
                del self._rooms[name]
                raise
        self._current = name
        self._tell(f"you write in {name} now")

    async def _older(self, link: Link, room: Room) -> None:
        page = await link.ask(Page, lambda number: History(number, room.name, before=room.oldest, limit=20))
        for message in page.messages:
            self._show_message(room.name, message)
        if page.messages:
            room.oldest = page.messages[0].offset
        if not page.more:
            self._tell("that is the beginning")

    def _post(self, text: str, reply_to: int | None = None) -> None:
        if len(self._outbox) >= MAX_WAITING:
            raise ValueError("too much waits to be sent already")
        self._outbox.append(Outgoing(self._current, text, reply_to))
        self._emptied.clear()
        self._more.set()

    def _linked(self) -> Link:
        if self._link is None:
            raise ValueError("not connected: try again in a moment")
        return self._link
