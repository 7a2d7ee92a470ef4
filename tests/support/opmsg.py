"""A small server that speaks MongoDB's wire protocol (OP_MSG, and OP_QUERY for the first hello) well enough to keep
documents in lists. It checks what comes: no checksum flag, one body section, a database name."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import bson

__all__ = ["OpMsgServer", "op_msg_server"]

OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013


class OpMsgServer:
    """Attributes: ``commands`` that came, in order; ``collections`` of documents by database and name."""

    def __init__(self) -> None:
        self.commands: list[dict[str, Any]] = []
        self.collections: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self.port = 0
        self._writers: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                length, request, _, opcode = struct.unpack("<iiii", await reader.readexactly(16))
                payload = await reader.readexactly(length - 16)
                if opcode == OP_QUERY:
                    name_end = payload.index(b"\0", 4)
                    answer = bson.encode(self.answer(bson.decode(payload[name_end + 9 :]), "admin"))
                    body = struct.pack("<iqii", 8, 0, 0, 1) + answer
                    writer.write(struct.pack("<iiii", 16 + len(body), 0, request, OP_REPLY) + body)
                    continue
                assert opcode == OP_MSG, opcode
                command = self.parse(payload)
                body = struct.pack("<I", 0) + b"\0" + bson.encode(self.answer(command, command["$db"]))
                writer.write(struct.pack("<iiii", 16 + len(body), 0, request, OP_MSG) + body)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    def parse(self, payload: bytes) -> dict[str, Any]:
        (flags,) = struct.unpack_from("<I", payload)
        assert flags & 1 == 0, "a checksum was not agreed on"
        at, command = 4, {}
        while at < len(payload):
            kind = payload[at]
            (size,) = struct.unpack_from("<i", payload, at + 1)
            section = payload[at + 1 : at + 1 + size]
            if kind == 0:
                command.update(bson.decode(section))
            else:
                end = section.index(b"\0", 4)
                command[section[4:end].decode()] = bson.decode_all(section[end + 1 :])
            at += 1 + size
        return command

    def answer(self, command: dict[str, Any], database: str) -> dict[str, Any]:
        name = next(iter(command))
        if name.lower() in ("hello", "ismaster"):
            return {
                "ok": 1.0,
                "ismaster": True,
                "isWritablePrimary": True,
                "helloOk": True,
                "maxBsonObjectSize": 16 * 1024 * 1024,
                "maxMessageSizeBytes": 48_000_000,
                "maxWriteBatchSize": 100_000,
                "minWireVersion": 0,
                "maxWireVersion": 21,
            }
        self.commands.append(command)
        if name == "insert":
            self.collections.setdefault((database, command["insert"]), []).extend(command["documents"])
            return {"ok": 1.0, "n": len(command["documents"])}
        if name == "find":
            wanted: dict[str, Any] = command.get("filter", {})
            found = [
                document
                for document in self.collections.get((database, command["find"]), [])
                if all(document.get(key) == value for key, value in wanted.items())
            ][: abs(command.get("limit", 0)) or None]
            cursor = {"id": 0, "ns": f"{database}.{command['find']}", "firstBatch": found}
            return {"ok": 1.0, "cursor": cursor}
        if name in ("ping", "endSessions"):
            return {"ok": 1.0}
        return {"ok": 0.0, "errmsg": f"no such command: '{name}'", "code": 59, "codeName": "CommandNotFound"}

    async def close(self) -> None:
        for writer in list(self._writers):
            writer.close()


@asynccontextmanager
async def op_msg_server() -> AsyncGenerator[OpMsgServer]:
    """The server on a free port of the loopback interface."""
    made = OpMsgServer()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        await made.close()
        await server.wait_closed()
