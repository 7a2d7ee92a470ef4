"""Hashes passwords with argon2id, off the event loop and a few at a time.

One hash costs tens of megabytes and a tenth of a second on purpose, so their number is the thing to bound.
The bound is the number of threads of a pool of our own. A limiter around a shared pool does not hold: a
request that is cancelled (a client that hangs up) gives its place back while its thread is still hashing, and
a flood of such clients has all of them hashing at once.
"""

from __future__ import annotations

import asyncio
import threading
import unicodedata
from collections.abc import AsyncGenerator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from apps.users.settings import Argon2Cost
from framework.errors import DeadlineExceeded, ResourceError

if TYPE_CHECKING:
    from argon2 import PasswordHasher

__all__ = ["Passwords", "PasswordsBusy"]


class PasswordsBusy(ResourceError):
    """Too many passwords are waiting to be hashed."""


class Passwords:
    """Made by ``open``; belongs to the event loop that opened it."""

    def __init__(
        self, hasher: PasswordHasher, pool: ThreadPoolExecutor, max_hashing: int, timeout: float
    ) -> None:
        self._hasher = hasher
        self._pool = pool
        self._max_hashing = max_hashing
        self._timeout = timeout
        self._hashing = 0
        self._lock = threading.Lock()

    @classmethod
    @asynccontextmanager
    async def open(
        cls, cost: Argon2Cost, *, workers: int = 2, max_hashing: int = 64, timeout: float = 10.0
    ) -> AsyncGenerator[Passwords, None]:
        """Start with ``workers`` threads at most; hashes that are still waiting at the end are not begun.

        Args:
            cost: of one hash; ``workers`` times its memory may be in use.
            max_hashing: hashes in work or waiting, above which ``hash`` refuses.
            timeout: seconds that ``hash`` takes at most, waiting included.
        """
        # argon2 loads a compiled library; only those who hash pay for it.
        from argon2 import PasswordHasher, Type

        hasher = PasswordHasher(
            time_cost=cost.time_cost,
            memory_cost=cost.memory_kib,
            parallelism=cost.parallelism,
            hash_len=32,
            salt_len=16,
            type=Type.ID,
        )
        pool = ThreadPoolExecutor(workers, thread_name_prefix="argon2")
        try:
            yield cls(hasher, pool, max_hashing, timeout)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    async def hash(self, password: str) -> str:
        """The argon2id hash of ``password`` in PHC form, with its salt and cost inside.

        The password is normalised to NFC first (RFC 8265, section 4.2), so that one typed on another keyboard
        matches.

        Raises:
            PasswordsBusy: ``max_hashing`` are in work or waiting.
            DeadlineExceeded: it took longer than ``timeout``.
        """
        with self._lock:
            if self._hashing >= self._max_hashing:
                raise PasswordsBusy("too many passwords are waiting to be hashed", 1.0)
            self._hashing += 1
        job = self._pool.submit(self._hasher.hash, unicodedata.normalize("NFC", password))
        job.add_done_callback(self._on_done)
        try:
            async with asyncio.timeout(self._timeout):
                return await asyncio.wrap_future(job)
        except TimeoutError:
            raise DeadlineExceeded("hashing a password", self._timeout) from None

    def _on_done(self, _: Future[str]) -> None:
        # In the pool's thread, or in the loop's for a hash that was cancelled before it began.
        with self._lock:
            self._hashing -= 1
