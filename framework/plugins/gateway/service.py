"""The gateway while its app runs: reads its file again when that changes, on SIGHUP and when it is told to."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final, NamedTuple, Self

from framework.errors import SetupError
from framework.plugins.gateway.gateway import Gateway
from framework.plugins.gateway.source import Source, Stamp

__all__ = ["GatewayService", "Reloaded"]

log = logging.getLogger("framework.gateway")

WATCH_INTERVAL: Final = 1.0


class Reloaded(NamedTuple):
    """What a reload came to: the generation that serves now, and what was wrong with the new one."""

    generation: int
    problems: Sequence[str]


class GatewayService:
    """Keeps a gateway at its source; ``async with`` opens and closes it.

    Args:
        source: what is read again; None where the configuration is not from files.
        watch: look for changes each second.
        hang_up: reload on SIGHUP, where nobody else has a use for it.

    Attributes:
        admin_urls: where this process serves operators; empty where it does not.
        problems: what was wrong with the configuration that was read last; empty where it serves.
        on_change: told when the files have changed; a crew has all its workers read them.
    """

    def __init__(
        self, gateway: Gateway, source: Source | None, *, watch: bool = True, hang_up: bool = False
    ) -> None:
        self.gateway = gateway
        self.source = source
        self.admin_urls: tuple[str, ...] = ()
        self.problems: Sequence[str] = ()
        self.on_change: Callable[[], Awaitable[object]] = self.reload_changed
        self._read: Stamp | None = None
        self._watches = watch and source is not None
        self._hang_up = hang_up and source is not None
        self._one = asyncio.Lock()
        self._tasks: set[asyncio.Task[object]] = set()
        self._hears = False

    async def __aenter__(self) -> Self:
        """Begins to watch."""
        loop = asyncio.get_running_loop()
        if self._watches:
            self._keep(asyncio.create_task(self._watch(), name="watch the gateway's file"))
        if self._hang_up and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
            with suppress(ValueError, RuntimeError, NotImplementedError):  # not the main thread, no signals
                loop.add_signal_handler(signal.SIGHUP, self._told)
                self._hears = True
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stops watching."""
        if self._hears:
            asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _keep(self, task: asyncio.Task[object]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _told(self) -> None:
        self._keep(asyncio.create_task(self.reload(), name="reload on SIGHUP"))

    async def reload(self) -> Reloaded:
        """Reads the source and takes it. What is wrong with it is logged, and what serves goes on."""
        return await self._reload(always=True)

    async def reload_changed(self) -> Reloaded:
        """Reloads, unless these very files were read last: of several who saw the change, the first has done it."""
        return await self._reload(always=False)

    async def _reload(self, *, always: bool) -> Reloaded:
        source = self.source
        if source is None:
            return self._refused(["this gateway's configuration is not from a file"])
        async with self._one:
            stamp = await asyncio.to_thread(source.stamp)
            if stamp == self._read and not always:
                return Reloaded(self.gateway.generation.number, self.problems)
            self._read = stamp
            done = await self._take(source)
            self.problems = done.problems
            return done

    async def _take(self, source: Source) -> Reloaded:
        before = self.gateway.generation.config
        try:
            config = await asyncio.to_thread(source.read)
        except SetupError as error:
            return self._refused(error.problems)
        if config == before:
            return Reloaded(self.gateway.generation.number, ())
        try:
            generation = await self.gateway.reload(config)
        except SetupError as error:
            return self._refused(source.placed([f"gateway.{problem}" for problem in error.problems]))
        for name in ("admin", "limits_url", "watch"):
            if getattr(config, name) != getattr(before, name):
                log.warning("gateway.%s: what is changed there holds from the next start on", name)
        return Reloaded(generation.number, ())

    def _refused(self, problems: Sequence[str]) -> Reloaded:
        lines = [" ".join(problem.split()) for problem in problems]
        for line in lines:
            log.error("the new configuration is not taken: %s", line)
        self.gateway.note("gateway", f"a configuration was not taken: {'; '.join(lines)[:500]}", good=False)
        return Reloaded(self.gateway.generation.number, lines)

    async def _watch(self) -> None:
        """A change is read once the files have been the same for a second: nobody's half-written file."""
        source = self.source
        assert source is not None
        seen = self._read = await asyncio.to_thread(source.stamp)
        while True:
            await asyncio.sleep(WATCH_INTERVAL)
            stamp = await asyncio.to_thread(source.stamp)
            if stamp == seen != self._read and None not in stamp:
                await self.on_change()
            seen = stamp
