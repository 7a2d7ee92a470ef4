"""Clients that send requests without a pause and keep account of every one. They know nothing of the framework."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from types import TracebackType

__all__ = ["Load"]


class Load:
    """A steady load on a server, from ``async with`` until its end.

    Every request that is sent must be answered by 200: a connection that the server closes while one is under way,
    reused or not, is a failure. One that it closes in between, after saying so, is not.

    Args:
        clients: how many send at the same time.
        per_connection: requests on a connection before a client opens another; None keeps it while the server does.

    Attributes:
        answered: requests answered by 200.
        failures: what went wrong, and how often.
        bodies: the bodies of the answers, and how often each came.
    """

    def __init__(
        self,
        port: int,
        *,
        clients: int = 8,
        target: str = "/",
        per_connection: int | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.answered = 0
        self.failures: Counter[str] = Counter()
        self.bodies: Counter[bytes] = Counter()
        self._port = port
        self._clients = clients
        self._per_connection = per_connection
        self._tls = tls
        self._head = f"GET {target} HTTP/1.1\r\nhost: localhost\r\n".encode()
        self._ended = False
        self._tasks: list[asyncio.Task[None]] = []
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []

    async def __aenter__(self) -> Load:
        self._tasks = [asyncio.create_task(self._client()) for _ in range(self._clients)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = True
        await asyncio.wait_for(asyncio.gather(*self._tasks), 30)

    async def more(self, count: int, timeout: float = 30.0) -> None:
        """Waits until ``count`` more requests were answered."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((self.answered + count, future))
        async with asyncio.timeout(timeout):
            await future

    async def _client(self) -> None:
        while not self._ended:
            try:
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", self._port, ssl=self._tls, server_hostname="localhost" if self._tls else None
                )
            except OSError as error:
                self.failures[f"connecting: {type(error).__name__}"] += 1
                continue
            try:
                await self._converse(reader, writer)
            except (OSError, EOFError, ValueError) as error:
                self.failures[f"{type(error).__name__}: {error}"] += 1
            finally:
                writer.transport.abort()
                try:
                    await writer.wait_closed()
                except OSError:
                    pass

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sent = 0
        while not self._ended:
            sent += 1
            last = sent == self._per_connection
            writer.write(self._head + (b"connection: close\r\n\r\n" if last else b"\r\n"))
            head = await reader.readuntil(b"\r\n\r\n")
            status, fields = _parse(head)
            body = await reader.readexactly(int(fields.get("content-length", "0")))
            if status != 200:
                self.failures[f"status {status}"] += 1
            else:
                self._count(body)
            if last or fields.get("connection") == "close":
                return

    def _count(self, body: bytes) -> None:
        self.answered += 1
        self.bodies[body] += 1
        for entry in [entry for entry in self._waiters if self.answered >= entry[0]]:
            self._waiters.remove(entry)
            if not entry[1].done():
                entry[1].set_result(None)


def _parse(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").rstrip().split("\r\n")
    fields = (line.partition(":") for line in lines)
    return int(first.split()[1]), {name.lower(): value.strip().lower() for name, _, value in fields}
