"""The workers of one gateway, as one of them sees them all: what they have counted, what operators tell them, and that
their files have changed.

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
from typing import Final, Generic, Literal, NamedTuple, TypeVar

import msgspec

from framework.errors import SetupError
from framework.plugins.gateway.gateway import Gateway
from framework.plugins.gateway.reporting import State, WorkerReport, joined, state_of
from framework.plugins.gateway.service import GatewayService

__all__ = ["Action", "Crew", "Outcome", "meeting"]

A = TypeVar("A", bound=msgspec.Struct)

log = logging.getLogger("framework.gateway")

MAX_LINE: Final = 16 * 1024 * 1024
TIMEOUT: Final = 5.0
RELOAD_TIMEOUT: Final = 30.0
"""Addresses may have to be looked up before a configuration can serve."""


_RELOADS: Final = frozenset({"reload", "reload_changed"})
_SILENT: Final = "this worker does not answer"


class Action(msgspec.Struct, frozen=True, tag="action"):
    """What every worker is to do. ``reload_changed``: one of them saw that the files are others now."""

    kind: Literal["drain", "undrain", "readmit", "reset", "reload", "reload_changed"]
    cluster: str = ""
    endpoint: str = ""


class Outcome(msgspec.Struct):
    """What came of it. ``known``: whether there is what it was about; ``generation``: what serves now, None where the
    worker does not answer; ``problems``: why it did not do it."""

    worker: int
    known: bool
    generation: int | None
    problems: Sequence[str] = ()


class _Tell(msgspec.Struct, frozen=True, tag="tell"):
    """Asks for the state."""


class _Answer(NamedTuple, Generic[A]):
    """``said`` is None where there was none in time."""

    pid: int
    said: A | None


class Crew:
    """All workers, by way of this one. ``folder`` is where the others are; None where there are none."""

    def __init__(self, service: GatewayService, folder: Path | None = None, name: str = "") -> None:
        self.service = service
        self._folder = folder
        self._name = name
        self._pid = os.getpid()
        service.on_change = self._changed

    @property
    def gateway(self) -> Gateway:
        """This worker's."""
        return self.service.gateway

    async def state(self) -> State:
        """Of all of them. Of one that does not answer in time there is but its process."""
        others = await self._others(_Tell(), State)
        state = joined([self._own(), *(one.said for one in others if one.said is not None)])
        silent = [WorkerReport(one.pid, None, (_SILENT,)) for one in others if one.said is None]
        return msgspec.structs.replace(state, workers=[*state.workers, *silent])

    async def act(self, action: Action) -> list[Outcome]:
        """Does it here and has the others do it."""
        here, others = await asyncio.gather(self._do(action), self._others(action, Outcome))
        return [here, *(one.said or Outcome(one.pid, False, None, (_SILENT,)) for one in others)]

    async def _changed(self) -> None:
        """The first to see a change has all of them read it, so that they change at one time."""
        await self.act(Action("reload_changed"))

    def _own(self) -> State:
        return state_of(self.gateway, self.service.problems, pid=self._pid)

    async def _do(self, action: Action) -> Outcome:
        gateway = self.gateway
        if action.kind in _RELOADS:
            service = self.service
            done = await (service.reload() if action.kind == "reload" else service.reload_changed())
            return Outcome(self._pid, True, done.generation, done.problems)
        known = _carry_out(gateway, action)
        if known:
            gateway.note(
                action.cluster, f"{action.kind} {action.endpoint}".strip(), good=action.kind != "drain"
            )
        return Outcome(self._pid, known, gateway.generation.number)

    # -- the others -------------------------------------------------------------------------------------------------

    async def _others(self, question: msgspec.Struct, kind: type[A]) -> list[_Answer[A]]:
        if self._folder is None:
            return []
        paths = [
            path for path in sorted(self._folder.glob(f"{self._name}-*.sock")) if _pid_of(path) != self._pid
        ]
        answers = await asyncio.gather(
            *(_ask(path, question, kind) for path in paths), return_exceptions=True
        )
        found: list[_Answer[A]] = []
        for path, answer in zip(paths, answers, strict=True):
            if isinstance(answer, ConnectionRefusedError):
                path.unlink(missing_ok=True)  # left behind by one that was killed
            elif isinstance(answer, (OSError, ValueError, msgspec.DecodeError)):
                log.warning("the worker behind %s does not answer: %r", path.name, answer)
                found.append(_Answer(_pid_of(path), None))
            elif isinstance(answer, BaseException):
                raise answer
            else:
                found.append(_Answer(_pid_of(path), answer))
        return found

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers another worker. What was begun is done to its end, whoever still waits for it."""
        try:
            async with asyncio.timeout(TIMEOUT):
                line = await reader.readline()
            asked = msgspec.json.decode(line, type=Action | _Tell)
            reply = await self._do(asked) if isinstance(asked, Action) else self._own()
            async with asyncio.timeout(TIMEOUT):
                writer.write(msgspec.json.encode(reply) + b"\n")
                await writer.drain()
        except (OSError, ValueError, msgspec.DecodeError) as error:
            log.warning("a question of another worker could not be answered: %s", error)
        finally:
            writer.close()


def _pid_of(path: Path) -> int:
    return int(path.stem.rpartition("-")[2])


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
    reloads = isinstance(question, Action) and question.kind in _RELOADS
    async with asyncio.timeout(RELOAD_TIMEOUT if reloads else TIMEOUT):
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
