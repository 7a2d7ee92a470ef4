"""A supervisor and its workers as a program of its own, watched through what it says on standard error."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import ssl
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

__all__ = ["ROOT", "Served", "cut", "fetch", "gone", "served", "workers_of"]

ROOT = Path(__file__).resolve().parents[2]
DEADLINE = 25.0


class Served:
    """A running program. Lines it says are waited for, each once and in order, never slept for.

    Attributes:
        lines: all that it said.
        port: of the first ``serving`` line.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self.port = 0
        self._read = 0
        self._more = asyncio.Event()
        self._task = asyncio.create_task(self._listen())

    @property
    def pid(self) -> int:
        return self.process.pid

    async def _listen(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.lines.append(line.decode().rstrip("\n"))
            self._more.set()

    async def says(self, pattern: str, *, deadline: float = DEADLINE) -> re.Match[str]:
        """The next line that has ``pattern`` in it."""
        try:
            async with asyncio.timeout(deadline):
                while True:
                    for index in range(self._read, len(self.lines)):
                        found = re.search(pattern, self.lines[index])
                        if found:
                            self._read = index + 1
                            return found
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError:
            raise AssertionError(f"{pattern!r} was not said:\n" + "\n".join(self.lines)) from None

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self, *, deadline: float = DEADLINE) -> int:
        """Its exit code, once it has ended and all was read."""
        async with asyncio.timeout(deadline):
            code = await self.process.wait()
            await self._task
        return code

    async def close(self) -> None:
        """Ends it and all that it started."""
        if self.process.returncode is None:
            self.signal(signal.SIGTERM)
            try:
                await gone(self.pid, deadline=10)
            except TimeoutError:
                pass
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        await self.process.wait()
        await self._task
        # The transport's own clean-up runs one turn after the end.
        await asyncio.sleep(0)


@asynccontextmanager
async def served(
    target: str,
    folder: Path,
    *,
    reload: Sequence[Path] = (),
    rules: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    wait: bool = True,
    **settings: Any,
) -> AsyncGenerator[Served]:
    """Serves ``target``, found in ``folder``, on a free port by two workers unless ``settings`` say otherwise."""
    order = {
        "target": target,
        "path": [str(folder)],
        "reload": [str(each) for each in reload],
        "rules": rules,
        "settings": {"port": 0, "workers": 2, "drain_timeout": 10.0, **settings},
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.program",
        json.dumps(order),
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    program = Served(process)
    try:
        if wait:
            found = await program.says(r"serving: \S+?(?::(\d+))? \(")
            program.port = int(found[1] or 0)
        yield program
    finally:
        await program.close()


async def fetch(
    port: int, target: str = "/", *, path: str | None = None, tls: ssl.SSLContext | None = None
) -> tuple[int, str]:
    """Status and body of one GET on a connection of its own, to a port or to the unix socket at ``path``."""
    if path is not None:
        reader, writer = await asyncio.open_unix_connection(path)
    else:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=tls, server_hostname="localhost" if tls else None
        )
    try:
        writer.write(f"GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode())
        async with asyncio.timeout(DEADLINE):
            data = await reader.read()
    finally:
        await cut(writer)
    head, _, body = data.partition(b"\r\n\r\n")
    if not head:
        raise EOFError("no response")
    return int(head.split()[1]), body.decode()


async def cut(writer: asyncio.StreamWriter) -> None:
    """Ends a connection at once, and waits until it is gone."""
    writer.transport.abort()
    try:
        await writer.wait_closed()
    except OSError:
        pass


async def gone(pid: int, *, deadline: float = DEADLINE) -> None:
    """Waits for the end of a process, child or not."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    ended = loop.create_future()
    loop.add_reader(descriptor, lambda: ended.done() or ended.set_result(None))
    try:
        async with asyncio.timeout(deadline):
            await ended
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def workers_of(supervisor: int) -> list[int]:
    """The pids of its children, in the order they were born."""
    children: list[int] = []
    for task in Path(f"/proc/{supervisor}/task").iterdir():
        children += [int(pid) for pid in (task / "children").read_text().split()]
    return sorted(children)
