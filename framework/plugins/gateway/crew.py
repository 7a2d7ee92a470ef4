"""The workers of one gateway, as one of them sees them all: what they have counted, and what operators tell them.

Workers of one supervisor meet in a folder that only their user can open, each behind a unix socket of its own: one JSON
line asks, one answers. A process that serves alone opens none.
"""

from __future__ import annotations

import asyncio
import logging
import os
import stat
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, Literal, TypeVar

import msgspec

from framework.errors import SetupError
from framework.plugins.gateway.gateway import Gateway
from framework.plugins.gateway.reporting import State, joined, state_of
from framework.plugins.gateway.service import GatewayService

__all__ = ["Action", "Crew", "Outcome", "meeting"]

A = TypeVar("A", bound=msgspec.Struct)

log = logging.getLogger("framework.gateway")

MAX_LINE: Final = 16 * 1024 * 1024
TIMEOUT: Final = 5.0


class Action(msgspec.Struct, frozen=True, tag="action"):
    """What an operator wants done, by every worker."""

    kind: Literal["drain", "undrain", "readmit", "reset", "reload"]
    cluster: str = ""
    endpoint: str = ""


class Outcome(msgspec.Struct):
    """What came of it. ``known``: whether there is what it was about."""

    worker: int
    known: bool
    generation: int
    problems: Sequence[str] = ()


class _Tell(msgspec.Struct, frozen=True, tag="tell"):
    """Asks for the state."""


class Crew:
    """All workers, by way of this one. ``folder`` is where the others are; None where there are none."""

    def __init__(self, service: GatewayService, folder: Path | None = None, name: str = "") -> None:
        self.service = service
        self._folder = folder
        self._name = name

    @property
    def gateway(self) -> Gateway:
        """This worker's."""
        return self.service.gateway

    async def state(self) -> State:
        """Of all of them. One that does not answer in time is left out."""
        others = await self._others(_Tell(), State)
        return joined([state_of(self.gateway), *others])

    async def act(self, action: Action) -> list[Outcome]:
        """Does it here and has the others do it."""
        here, others = await asyncio.gather(self._do(action), self._others(action, Outcome))
        return [here, *others]

    async def _do(self, action: Action) -> Outcome:
        gateway = self.gateway
        if action.kind == "reload":
            done = await self.service.reload()
            return Outcome(os.getpid(), True, done.generation, done.problems)
        known = _carry_out(gateway, action)
        if known:
            gateway.note(
                action.cluster, f"{action.kind} {action.endpoint}".strip(), good=action.kind != "drain"
            )
        return Outcome(os.getpid(), known, gateway.generation.number)

    # -- the others -------------------------------------------------------------------------------------------------

    async def _others(self, question: msgspec.Struct, kind: type[A]) -> list[A]:
        if self._folder is None:
            return []
        paths = [path for path in self._folder.glob(f"{self._name}-*.sock") if not self._is_own(path)]
        answers = await asyncio.gather(
            *(_ask(path, question, kind) for path in paths), return_exceptions=True
        )
        found: list[A] = []
        for path, answer in zip(paths, answers, strict=True):
            if isinstance(answer, ConnectionRefusedError):
                path.unlink(missing_ok=True)  # left behind by one that was killed
            elif isinstance(answer, (OSError, ValueError, asyncio.IncompleteReadError)):
                log.warning("the worker behind %s does not answer: %s", path.name, answer)
            elif isinstance(answer, BaseException):
                raise answer
            else:
                found.append(answer)
        return found

    def _is_own(self, path: Path) -> bool:
        return path.name == f"{self._name}-{os.getpid()}.sock"

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers another worker."""
        try:
            async with asyncio.timeout(TIMEOUT):
                line = await reader.readline()
                asked = msgspec.json.decode(line, type=Action | _Tell)
                reply = await self._do(asked) if isinstance(asked, Action) else state_of(self.gateway)
                writer.write(msgspec.json.encode(reply) + b"\n")
                await writer.drain()
        except (OSError, ValueError, msgspec.DecodeError) as error:
            log.warning("a question of another worker could not be answered: %s", error)
        finally:
            writer.close()


def _carry_out(gateway: Gateway, action: Action) -> bool:
    upstream = gateway.generation.upstreams.get(action.cluster)
    if upstream is None:
        return False
    if action.kind == "reset":
        if upstream.breaker is not None:
            upstream.breaker.reset()
        return upstream.breaker is not None
    cluster = upstream.cluster
    endpoint = next((one for one in cluster.endpoints if one.key == action.endpoint), None)
    if endpoint is None:
        return False
    if action.kind == "readmit":
        cluster.readmit(endpoint)
    else:
        cluster.drain(endpoint, drained=action.kind == "drain")
    return True


async def _ask(path: Path, question: msgspec.Struct, kind: type[A]) -> A:
    async with asyncio.timeout(TIMEOUT):
        reader, writer = await asyncio.open_unix_connection(str(path), limit=MAX_LINE)
        try:
            writer.write(msgspec.json.encode(question) + b"\n")
            return msgspec.json.decode(await reader.readline(), type=kind)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


@asynccontextmanager
async def meeting(service: GatewayService, workers: int, name: str) -> AsyncGenerator[Crew]:
    """The crew, met for as long as this lasts. ``name``: the same for all workers, and for no other gateway.

    Raises SetupError where the folder cannot be trusted.
    """
    if workers == 1:
        yield Crew(service)
        return
    folder = _folder()
    name = f"{os.getppid()}-{name}"
    crew = Crew(service, folder, name)
    path = folder / f"{name}-{os.getpid()}.sock"
    path.unlink(missing_ok=True)
    server = await asyncio.start_unix_server(crew.answer, str(path), limit=MAX_LINE)
    try:
        yield crew
    finally:
        server.close()
        path.unlink(missing_ok=True)


def _folder() -> Path:
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    folder = Path(base) / f"framework-gateway-{os.getuid()}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise SetupError(f"{folder}: workers meet there, and somebody else can open it: remove it")
    return folder
