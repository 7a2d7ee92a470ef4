"""Endpoints that are looked up: all addresses of a name, what SRV records name, what a file lists.

Each source is asked again and again while its cluster is open, and its last good answer stays while it has none: a
name server that fails, an empty answer or a file that is being written takes no endpoint away (kong#7566, #5477).
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol
from urllib.parse import urlsplit

import msgspec

from framework.plugins.gateway.config import ClusterConfig, EndpointConfig

__all__ = ["Discovery", "Found", "Resolver", "Service", "SystemResolver", "is_discovered", "read_list"]

log = logging.getLogger("framework.gateway")

FIRST_TIMEOUT: Final = 5.0
LOOKUP_TIMEOUT: Final = 10.0
MIN_INTERVAL: Final = 1.0
MAX_ENDPOINTS: Final = 1000


class Service(NamedTuple):
    """An SRV record (RFC 2782)."""

    host: str
    port: int
    priority: int
    weight: int


class Found(NamedTuple):
    """An endpoint that was looked up. ``name``: whose address it is, for TLS and Host; None where the URL says it."""

    config: EndpointConfig
    name: str | None


class Resolver(Protocol):
    """Looks names up. Both raise OSError where there is no answer."""

    async def addresses(self, host: str, port: int) -> list[str]:
        """The addresses of a host."""
        ...

    async def services(self, name: str) -> tuple[list[Service], float]:
        """The SRV records of a name, and for how many seconds they hold."""
        ...


class SystemResolver:
    """The system's way to addresses, which knows no times to live; dnspython's (extra ``dns``) to SRV records."""

    async def addresses(self, host: str, port: int) -> list[str]:
        """Raises OSError."""
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(address[0]) for *_, address in found))

    async def services(self, name: str) -> tuple[list[Service], float]:
        """Raises OSError."""
        try:
            from dns.asyncresolver import resolve
            from dns.exception import DNSException
        except ImportError:
            raise OSError("SRV records need dnspython: install framework[dns]") from None
        try:
            answer = await resolve(name, "SRV", lifetime=LOOKUP_TIMEOUT)
        except DNSException as error:
            raise OSError(str(error)) from error
        services = [
            Service(str(record.target).rstrip("."), record.port, record.priority, record.weight)
            for record in answer
        ]
        return services, float(answer.rrset.ttl if answer.rrset is not None else 0)


def is_discovered(listed: EndpointConfig | str) -> bool:
    """Whether an endpoint's URL stands for addresses that have to be looked up."""
    url = listed if isinstance(listed, str) else listed.url
    return url.startswith(("dns+", "srv+"))


def read_list(path: Path) -> list[EndpointConfig]:
    """The endpoints that a file lists: a URL on each line, ``weight=`` and ``priority=`` behind it; ``#`` is a comment.

    Raises OSError, or ValueError with the line of what is wrong.
    """
    found: list[EndpointConfig] = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        options: dict[str, str] = {}
        for word in words[1:]:
            name, _, value = word.partition("=")
            options[name] = value
        try:
            found.append(msgspec.convert({"url": words[0], **options}, EndpointConfig, strict=False))
        except msgspec.ValidationError as error:
            raise ValueError(f"{path}:{number}: {error}") from None
        if is_discovered(found[-1]):
            raise ValueError(
                f"{path}:{number}: {words[0]} would have to be looked up; list it in the cluster"
            )
    return found


class Discovery:
    """Follows the sources of one cluster.

    Args:
        name: the cluster's, for logs.
        found: told all endpoints whenever they change.
    """

    def __init__(
        self, name: str, config: ClusterConfig, resolver: Resolver, found: Callable[[Sequence[Found]], None]
    ) -> None:
        self._name = name
        self._config = config
        self._resolver = resolver
        self._told = found
        self._last: dict[str, list[Found]] = {}
        self._failing: set[str] = set()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def open(self) -> None:
        """Asks every source once, for at most a few seconds, then goes on in the background."""
        self.follow(self._config)
        firsts = [asyncio.create_task(self._look(source)) for source in self._sources()]
        if firsts:
            await asyncio.wait(firsts, timeout=FIRST_TIMEOUT)
            for first in firsts:
                first.cancel()
            await asyncio.gather(*firsts, return_exceptions=True)

    async def close(self) -> None:
        """Asks no more."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def follow(self, config: ClusterConfig) -> None:
        """Other sources; what is known of those that stay holds on."""
        self._config = config
        sources = self._sources()
        for gone in self._tasks.keys() - sources.keys():
            self._tasks.pop(gone).cancel()
            self._last.pop(gone, None)
        for source in sources.keys() - self._tasks.keys():
            self._tasks[source] = asyncio.create_task(
                self._go_on(source), name=f"look up {self._name} {source}"
            )
        self._tell()

    def _sources(self) -> dict[str, EndpointConfig | None]:
        listed = [EndpointConfig(url=one) if isinstance(one, str) else one for one in self._config.endpoints]
        sources: dict[str, EndpointConfig | None] = {one.url: one for one in listed if is_discovered(one)}
        if self._config.file is not None:
            sources["file"] = None
        return sources

    def _tell(self) -> None:
        listed = [EndpointConfig(url=one) if isinstance(one, str) else one for one in self._config.endpoints]
        every = [Found(one, None) for one in listed if not is_discovered(one)]
        for found in self._last.values():
            every += found
        self._told(every[:MAX_ENDPOINTS])

    async def _go_on(self, source: str) -> None:
        while True:
            wait = MIN_INTERVAL if source == "file" else self._config.refresh_interval
            if source in self._last or source in self._failing:
                await asyncio.sleep(wait)
            else:
                await asyncio.sleep(MIN_INTERVAL)  # the first look is under way
            ttl = await self._look(source)
            if ttl is not None and ttl > wait:
                await asyncio.sleep(min(ttl - wait, 3600.0))

    async def _look(self, source: str) -> float | None:
        """Asks a source; returns for how long its answer holds, None where it does not say, or has none."""
        try:
            found, ttl = await self._ask(source)
            if not found:
                raise OSError("the answer is empty")
        except (OSError, ValueError) as error:
            if source not in self._failing:
                self._failing.add(source)
                log.warning("%s: %s: %s; what was known stays", self._name, source, error)
            return None
        self._failing.discard(source)
        if self._last.get(source) != found and source in self._sources():
            self._last[source] = found
            self._tell()
        return ttl

    async def _ask(self, source: str) -> tuple[list[Found], float | None]:
        config = self._sources().get(source)
        if config is None:
            path = Path(self._config.file or "")
            return [Found(one, None) for one in await asyncio.to_thread(read_list, path)], None
        kind, _, url = config.url.partition("+")
        parts = urlsplit(url)
        host = parts.hostname or ""
        ask: Awaitable[tuple[list[Found], float | None]]
        async with asyncio.timeout(LOOKUP_TIMEOUT):
            if kind == "dns":
                port = parts.port or (443 if parts.scheme == "https" else 80)
                ask = self._addresses(config, parts.scheme, host, port)
            else:
                ask = self._services(config, parts.scheme, host)
            return await ask

    async def _addresses(
        self, config: EndpointConfig, scheme: str, host: str, port: int
    ) -> tuple[list[Found], float | None]:
        addresses = sorted(await self._resolver.addresses(host, port))
        return [_found(config, scheme, each, port, host) for each in addresses], None

    async def _services(
        self, config: EndpointConfig, scheme: str, name: str
    ) -> tuple[list[Found], float | None]:
        services, ttl = await self._resolver.services(name)
        priorities = sorted({each.priority for each in services})
        heaviest = max((each.weight for each in services), default=0)
        scale = 1000 / heaviest if heaviest > 1000 else 1.0
        found = [
            Found(
                EndpointConfig(
                    url=f"{scheme}://{each.host}:{each.port}",
                    weight=max(1, round(each.weight * scale)),
                    priority=min(15, config.priority + priorities.index(each.priority)),
                ),
                None,
            )
            for each in sorted(services)
        ]
        return found, max(MIN_INTERVAL, ttl)


def _found(config: EndpointConfig, scheme: str, address: str, port: int, name: str) -> Found:
    host = f"[{address}]" if ":" in address else address
    return Found(msgspec.structs.replace(config, url=f"{scheme}://{host}:{port}"), name)
