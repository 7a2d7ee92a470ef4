"""``framework chat``: a chat in the terminal, many members at once that measure one, and the protocol's document."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import click
import msgspec

from framework.cli.chatting.link import Guest, endpoints, enter_as_guest
from framework.cli.chatting.load import Load, run_load
from framework.cli.chatting.report import as_json, as_lines, as_svg
from framework.cli.chatting.terminal import Terminal
from framework.cli.failure import PROBLEMS, Failure
from framework.cli.paper import say, warn
from framework.errors import FrameworkError
from framework.net.client import HTTPClient
from framework.net.loop import run as run_loop

__all__ = ["command"]

_TOKEN = "FRAMEWORK_CHAT_TOKEN"
_SECRET = "FRAMEWORK_CHAT_SECRET"


@click.group("chat")
def command() -> None:
    """Talk in a chat, measure how much it carries, or describe its protocol.

    URL is where the chat is: http://host:port when its routes are below /chat, else with their prefix, or the
    WebSocket itself: ws://host:port/chat/ws.
    """


@command.command("connect")
@click.argument("url", help="Of the chat.")
@click.option("--room", default="lobby", show_default=True, help="Begin in this room; made where it is none.")
@click.option("--name", default=None, help="As a guest of this name; your login's where not given.")
@click.option("--token", envvar=_TOKEN, help=f"As the user of this token instead. Better in {_TOKEN}.")
def connect(url: str, room: str, name: str | None, token: str | None) -> None:
    """Talk in a chat: what you type is said, what others say is printed.

    Lines that begin with / are commands; /help lists them. A lost connection comes back by itself, without a
    message lost or twice.
    """
    try:
        socket, base = endpoints(url)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    try:
        run_loop(_connect(socket, base, room, name or _login(), token))
    except (FrameworkError, OSError) as error:
        raise Failure(str(error), code=PROBLEMS) from error


async def _connect(socket: str, base: str, room: str, name: str, token: str | None) -> None:
    async with HTTPClient() as client:
        person = Guest(token, "", name) if token else await enter_as_guest(client, base, name)
        await Terminal(client, socket, lambda: person.token, say, room).run(_lines())


def _login() -> str:
    return os.environ.get("USER") or os.environ.get("USERNAME") or "guest"


async def _lines() -> AsyncIterator[str]:
    """The lines of standard input, until it ends."""
    if stat.S_ISREG(os.fstat(sys.stdin.fileno()).st_mode):  # which no loop can wait for, and need not
        for line in sys.stdin:
            yield line
        return
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 20)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    try:
        while line := await reader.readline():
            yield line.decode(errors="replace")
    finally:
        with suppress(OSError):
            transport.close()


@command.command("load")
@click.argument("url", help="Of the chat.")
@click.option("--members", type=click.IntRange(1, 100_000), default=100, show_default=True, help="How many.")
@click.option(
    "--rooms", type=click.IntRange(1, 10_000), default=10, show_default=True, help="Rooms they share."
)
@click.option(
    "--rate", type=click.FloatRange(0.1, 1e6), default=50.0, show_default=True, help="Posts each second."
)
@click.option(
    "--seconds", type=click.FloatRange(0.1, 86_400), default=10.0, show_default=True, help="How long."
)
@click.option(
    "--size", type=click.IntRange(1, 10_000), default=64, show_default=True, help="Characters of a post."
)
@click.option(
    "--secret", envvar=_SECRET, help=f"Sign the members' tokens; guests otherwise. Better in {_SECRET}."
)
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="Write the report here."
)
@click.option("--svg", "svg_file", type=click.Path(path_type=Path, dir_okay=False), help="Draw it here.")
def load(
    url: str,
    members: int,
    rooms: int,
    rate: float,
    seconds: float,
    size: int,
    *,
    secret: str | None,
    json_file: Path | None,
    svg_file: Path | None,
) -> None:
    """Let many members talk, and report how long it takes until a post is acknowledged and until it is read.

    Posts are due at a fixed rate whether or not the chat keeps up, and each is timed from when it was due. The exit
    code is 1 where one that was acknowledged did not reach every member of its room, or did twice.
    """
    try:
        socket, base = endpoints(url)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    wanted = Load(
        socket, base, members=members, rooms=rooms, rate=rate, seconds=seconds, size=size, secret=secret
    )
    try:
        report = run_loop(run_load(wanted, warn))
    except (FrameworkError, OSError) as error:
        raise Failure(str(error), code=PROBLEMS) from error
    for line in as_lines(report):
        say(line)
    if json_file is not None:
        json_file.write_text(json.dumps(as_json(report), indent=2) + "\n")
    if svg_file is not None:
        svg_file.write_text(as_svg(report))
    if report.problems:
        raise Failure(report.problems, code=PROBLEMS)


@command.command("asyncapi")
@click.option("--path", default="/chat", show_default=True, help="Of the chat's routes.")
@click.option("--host", default="", help="Name a server: host:port.")
@click.option("--compact", is_flag=True, help="Print one line, as it is served.")
def asyncapi(path: str, host: str, *, compact: bool) -> None:
    """Print the AsyncAPI 3.0 document of the chat's protocol."""
    from framework import __version__
    from framework.plugins.chat.protocol.asyncapi import document

    data = msgspec.json.encode(document(path=path, host=host, version=__version__))
    say((data if compact else msgspec.json.format(data)).decode())
