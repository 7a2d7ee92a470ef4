"""Copies of requests that go to another cluster, whose answers nobody sees."""

from __future__ import annotations

import asyncio
import logging
from random import Random

from framework.balancing import Failure, NoEndpoint
from framework.errors import FrameworkError
from framework.net.client import OutgoingRequest, Timeouts
from framework.plugins.gateway.config import MirrorConfig
from framework.plugins.gateway.upstreams import Upstream
from framework.wire.request_head import encode_request_head

__all__ = ["Mirror"]

log = logging.getLogger("framework.gateway")


class Mirror:
    """Sends copies, beside the requests that they are copies of: those never wait for it.

    Attributes:
        sent, failed, left_out: copies; the last were too large, or too many were under way.
    """

    def __init__(self, config: MirrorConfig, upstream: Upstream, random: Random) -> None:
        self.config = config
        self.sent = 0
        self.failed = 0
        self.left_out = 0
        self._upstream = upstream
        self._random = random
        self._tasks: set[asyncio.Task[None]] = set()
        self._timeouts = Timeouts(total=config.timeout)

    def copy(self, method: str, target: str, host: str, fields: list[tuple[str, str]], body: bytes) -> None:
        """Sends a copy, or does not, as the configuration says."""
        config = self.config
        if config.part < 1.0 and self._random.random() >= config.part:
            return
        if len(body) > config.max_body or len(self._tasks) >= config.max_requests:
            self.left_out += 1
            return
        sent = [("host", host), *fields]
        if body:
            sent.append(("content-length", str(len(body))))
        request = OutgoingRequest(
            method=method, head=encode_request_head(method, target, sent), body=body, timeouts=self._timeouts
        )
        task = asyncio.create_task(self._send(request), name=f"mirror to {self._upstream.name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, request: OutgoingRequest) -> None:
        upstream = self._upstream
        try:
            attempt = upstream.begin(None, ())
        except NoEndpoint:
            self.failed += 1
            return
        upstream.in_flight += 1
        try:
            raw = await upstream.pool(attempt.endpoint).exchange(request)
            attempt.answered()
            try:
                while await raw.receive():
                    pass
            finally:
                raw.close()
        except FrameworkError as error:
            log.debug("a copy for %s failed: %s", upstream.name, error)
            self.failed += 1
            attempt.failed(Failure.LOCAL)
        except BaseException:
            attempt.cancelled()
            raise
        else:
            self.sent += 1
            if raw.head.status >= 500:
                attempt.failed(Failure.STATUS)
            else:
                attempt.succeeded()
        finally:
            upstream.leave()

    async def aclose(self) -> None:
        """Ends the copies that are under way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
