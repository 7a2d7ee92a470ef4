"""``framework chat connect``: as a program on pipes, and by itself where a server goes away under it."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from framework.cli.chatting.link import comes_back, endpoints, enter_as_guest
from framework.cli.chatting.terminal import Terminal
from framework.cli.chatting.words import harmless
from framework.net.client import HTTPClient
from framework.plugins.chat.events import Posted
from framework.plugins.chat.protocol import Done, Events, Join, Joined, Post

from .serving import Serve, people

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("url", "socket", "base"),
    [
        ("http://h:8000", "ws://h:8000/chat/ws", "http://h:8000/chat"),
        ("h.test:8000", "ws://h.test:8000/chat/ws", "http://h.test:8000/chat"),
        ("https://h.test/deep/chat/", "wss://h.test/deep/chat/ws", "https://h.test/deep/chat"),
        ("wss://h.test/talk/ws?x=1", "wss://h.test/talk/ws?x=1", "https://h.test/talk"),
        ("ws://[::1]:9/ws", "ws://[::1]:9/chat/ws", "http://[::1]:9/chat"),
    ],
)
def test_where_a_chat_is(url: str, socket: str, base: str) -> None:
    assert endpoints(url) == (socket, base)


@pytest.mark.parametrize("url", ["ftp://h", "http://", "ws:///chat"])
def test_what_is_no_url_of_a_chat(url: str) -> None:
    with pytest.raises(ValueError, match="no URL of a chat"):
        endpoints(url)


def test_which_closes_it_comes_back_from() -> None:
    assert all(comes_back(code) for code in (1001, 1006, 1012, 1013, 4500, 4508))
    assert not any(comes_back(code) for code in (1000, 1002, 1008, 4400, 4401, 4403, 4429))


class Screen:
    """What a terminal shows, and what is typed into it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._more = asyncio.Event()
        self._typed: asyncio.Queue[str] = asyncio.Queue()

    def show(self, line: str) -> None:
        self.lines.append(re.sub(r"\x1b\[[0-9;]*m", "", line))
        self._more.set()

    def type(self, line: str) -> None:
        self._typed.put_nowait(line)

    async def typed(self) -> AsyncIterator[str]:
        while True:
            yield await self._typed.get()

    async def shows(self, pattern: str) -> str:
        """The first line that has the pattern, once there is one."""
        async with asyncio.timeout(20):
            while True:
                for line in self.lines:
                    if re.search(pattern, line):
                        return line
                self._more.clear()
                await self._more.wait()


async def test_the_program_says_what_is_typed_and_prints_what_is_said(serve: Serve) -> None:
    async with serve() as server, people(server.url) as others:
        program = await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-m",
                "framework",
                "chat",
                "connect",
                server.url,
                "--name",
                "Ada",
                "--room",
                "tea",
            ),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert program.stdin is not None
        assert program.stdout is not None
        async with asyncio.timeout(30):
            first = await program.stdout.readline()
            assert first.startswith(b"* connected as Ada"), first
            heard: list[Any] = []
            bob = await others.come("Bob", heard)
            await bob.ask(Joined, lambda number: Join(number, "tea"))
            await bob.ask(Done, lambda number: Post(number, "tea", "m", "hello\nthere"))
            program.stdin.write(b"hello to you\n/who\n/nonsense\n")
            out = ""
            while "no /nonsense" not in out:
                line = (await program.stdout.readline()).decode()
                assert line, out
                out += line
            program.stdin.write(b"last words\n")
            program.stdin.close()
            rest, errors = await program.stdout.read(), await program.stderr.read() if program.stderr else b""
            assert await program.wait() == 0, errors.decode()
        out += rest.decode()
        assert "\x1b" not in out, "no colours and no control characters on a pipe"
        assert "Bob: hello ⏎ there" in out
        assert "Bob came in" in out
        assert re.search(r"Ada\s+owner\s+here", out)
        entries = [entry for frame in heard if isinstance(frame, Events) for entry in frame.entries]
        said = [entry.body.text for entry in entries if isinstance(entry.body, Posted)]
        assert said == ["hello\nthere", "hello to you", "last words"]


def test_what_others_write_does_nothing_to_the_terminal() -> None:
    assert harmless("a\x1b[2Jb\x07c\x9bd\u202ee\tf\ng\r") == "a\ufffd[2Jb\ufffdc\ufffdd\ufffde    f ⏎ g\ufffd"


async def test_commands(serve: Serve) -> None:
    async with serve() as server, HTTPClient() as client:
        socket, base = endpoints(server.url)
        person = await enter_as_guest(client, base, "Ada")
        screen = Screen()
        terminal = Terminal(client, socket, lambda: person.token, screen.show, "tea")
        running = asyncio.create_task(terminal.run(screen.typed()))
        await screen.shows("connected as Ada")
        screen.type("first")
        number = (re.search(r"#(\d+)", await screen.shows("Ada: first")) or [""] * 2)[1]
        screen.type(f"/edit {number} better")
        await screen.shows(f"Ada changed #{number}: better")
        screen.type(f"/react #{number} 👍")
        await screen.shows(f"Ada put 👍 on #{number}")
        screen.type(f"/reply {number} an answer")
        await screen.shows(rf"Ada: \(to #{number}\) an answer")
        screen.type("/find answer")
        screen.type("/delete x")
        await screen.shows("number of a message comes first")
        screen.type(f"/delete {number}")
        await screen.shows(f"Ada deleted #{number}")
        screen.type("//not a command")
        await screen.shows("Ada: /not a command")
        screen.type("/rooms")
        await screen.shows(r"tea\s+1 members")
        screen.type("/more")
        await screen.shows("that is the beginning")
        screen.type("/join milk")
        await screen.shows("milk: there is no such room|no such room|you write in milk")
        screen.type("/help")
        await screen.shows("/reply N TEXT")
        screen.type("/quit")
        async with asyncio.timeout(10):
            await running
        assert not any("\x1b" in line for line in screen.lines)


async def test_it_comes_back_resumes_and_sends_what_was_typed_meanwhile(serve: Serve) -> None:
    async with HTTPClient() as client:
        screen = Screen()
        async with serve() as server:
            port = int(server.url.rpartition(":")[2])
            socket, base = endpoints(server.url)
            person = await enter_as_guest(client, base, "Ada")
            terminal = Terminal(client, socket, lambda: person.token, screen.show, "tea", draw=lambda: 0.2)
            running = asyncio.create_task(terminal.run(screen.typed()))
            await screen.shows("connected as Ada")
            screen.type("before")
            await screen.shows("Ada: before")
        await screen.shows("next try in .* what you write is kept")
        screen.type("typed while it was gone")
        async with serve(port=port):
            await screen.shows("Ada: typed while it was gone")
            screen.type("/quit")
            async with asyncio.timeout(10):
                await running
    said = [line.partition("Ada: ")[2] for line in screen.lines if "Ada: " in line]
    assert said == ["before", "typed while it was gone"], "nothing lost, nothing twice"


async def test_a_user_who_is_refused_is_told_and_not_tried_again(serve: Serve) -> None:
    async with serve() as server:
        program = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "framework", "chat", "connect", server.url, "--token", "nonsense"),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(30):
            _, errors = await program.communicate()
        assert program.returncode == 1
        assert errors.decode().startswith("error: "), errors
