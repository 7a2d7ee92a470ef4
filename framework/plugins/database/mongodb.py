"""MongoDB by the common face: PyMongo's own asynchronous client, whose pool is configured and not doubled."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
from pymongo import AsyncMongoClient

from framework.errors import CodecError, ConfigError
from framework.plugins.database.url import DatabaseURL
from framework.plugins.pool import PoolSettings

__all__ = ["MongoDB"]


class MongoDB:
    """A database. Made by ``connect``; ``driver`` is PyMongo's ``AsyncDatabase``.

    Commands instead of statements, values as they are: nothing is ever made of text.
    """

    scheme: Final = "mongodb"

    def __init__(self, client: AsyncMongoClient[dict[str, Any]], name: str) -> None:
        self._client = client
        self.driver = client[name]

    @classmethod
    @asynccontextmanager
    async def open(
        cls, url: DatabaseURL, *, pool: PoolSettings | None = None, **options: Any
    ) -> AsyncGenerator[MongoDB]:
        """Opens the client. With ``required`` a server has to answer."""
        if not url.database:
            raise ConfigError("database URL: mongodb names a database: mongodb://host/name")
        pool = pool or PoolSettings()
        client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
            url.text,
            minPoolSize=pool.min_size,
            maxPoolSize=pool.max_size,
            maxIdleTimeMS=int(pool.idle_timeout * 1000) or None,
            maxConnecting=pool.max_connecting,
            waitQueueTimeoutMS=int(pool.acquire_timeout * 1000),
            connectTimeoutMS=int(pool.connect_timeout * 1000),
            serverSelectionTimeoutMS=int(pool.connect_timeout * 1000),
            **options,
        )
        try:
            database = cls(client, url.database)
            if pool.required:
                await database.ping()
            yield database
        finally:
            await client.close()

    async def ping(self) -> None:
        """Raises where no server answers."""
        await self.driver.command("ping")

    async def execute(self, command: Mapping[str, Any]) -> int:
        """Runs a database command such as ``{"insert": "users", "documents": [...]}``; returns its ``n``."""
        answer = await self.driver.command(dict(command))
        return int(answer.get("n", 0))

    async def fetch(
        self, collection: str, query: Mapping[str, Any] | None = None, *, type: Any = None, **options: Any
    ) -> list[Any]:
        """The documents of a collection that fit a query; ``options`` as of PyMongo's ``find``. Raises CodecError."""
        cursor = self.driver[collection].find(dict(query or {}), **options)
        return [_as(document, type) async for document in cursor]

    async def fetch_one(
        self, collection: str, query: Mapping[str, Any] | None = None, *, type: Any = None, **options: Any
    ) -> Any:
        """The first of them, None where there is none."""
        document = await self.driver[collection].find_one(dict(query or {}), **options)
        return None if document is None else _as(document, type)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Any]:
        """PyMongo's session inside a transaction, to be given to its own methods. Needs a replica set."""
        async with self._client.start_session() as session, await session.start_transaction():
            yield session


def _as(document: dict[str, Any], type: Any) -> Any:
    if type is None:
        return document
    document = {name: str(value) if name == "_id" else value for name, value in document.items()}
    try:
        return msgspec.convert(document, type, strict=False)
    except msgspec.ValidationError as error:
        raise CodecError(str(error)) from None
