"""argon2id off the loop, never more at once than allowed, whatever the callers do."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import msgspec
import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import VerifyMismatchError

from apps.users.passwords import Passwords, PasswordsBusy
from apps.users.settings import Argon2Cost, UsersSettings
from framework.errors import DeadlineExceeded

from .conftest import CHEAP

pytestmark = pytest.mark.anyio


class Slow:
    """Stands in for argon2: every hash waits until it is let go, and the number at work is counted."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.peak = 0
        self._running = 0
        self._lock = threading.Lock()
        self._go = threading.Semaphore(0)

    def hash(self, password: str) -> str:
        with self._lock:
            self.begun.append(password)
            self._running += 1
            self.peak = max(self.peak, self._running)
        if not self._go.acquire(timeout=20):
            raise AssertionError("the hash was never let go")
        with self._lock:
            self._running -= 1
        return f"hash of {password}"

    def let_go(self, count: int) -> None:
        self._go.release(count)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    made = Slow()
    monkeypatch.setattr("argon2.PasswordHasher", lambda **_: made)
    return made


@pytest.fixture
async def two(slow: Slow) -> AsyncIterator[Passwords]:
    async with Passwords.open(CHEAP, workers=2, max_hashing=4) as opened:
        yield opened


async def test_a_hash_is_argon2id_with_the_cost_it_was_told(passwords: Passwords) -> None:
    hashed = await passwords.hash("correct horse")
    assert hashed.startswith("$argon2id$v=19$m=8,t=1,p=1$")
    parameters = extract_parameters(hashed)
    assert (parameters.hash_len, parameters.salt_len) == (32, 16)
    assert PasswordHasher().verify(hashed, "correct horse")
    with pytest.raises(VerifyMismatchError):
        PasswordHasher().verify(hashed, "correct house")


async def test_equal_passwords_have_different_hashes(passwords: Passwords) -> None:
    assert await passwords.hash("correct horse") != await passwords.hash("correct horse")


async def test_both_spellings_of_an_accent_are_one_password(passwords: Passwords) -> None:
    hashed = await passwords.hash("cafe\u0301 cafe\u0301")
    assert PasswordHasher().verify(hashed, "caf\u00e9 caf\u00e9")


async def test_the_default_cost_is_rfc_9106s_second_recommendation() -> None:
    cost = Argon2Cost()
    assert (cost.time_cost, cost.memory_kib, cost.parallelism) == (3, 64 * 1024, 4)


async def test_cancelled_callers_do_not_make_room_for_more_hashes_at_once(two: Passwords, slow: Slow) -> None:
    for number in range(10):
        hashing = asyncio.create_task(two.hash(str(number)))
        await asyncio.sleep(0)
        hashing.cancel()
        with pytest.raises((asyncio.CancelledError, PasswordsBusy)):
            await hashing
    slow.let_go(10)
    assert await two.hash("last") == "hash of last"
    assert slow.peak <= 2


async def test_a_hash_that_did_not_begin_is_not_made_for_a_caller_that_left(
    two: Passwords, slow: Slow
) -> None:
    held = [asyncio.create_task(two.hash(text)) for text in ("a", "b")]
    waiting = asyncio.create_task(two.hash("gone"))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    slow.let_go(10)
    await asyncio.gather(*held)
    await two.hash("last")
    assert sorted(slow.begun) == ["a", "b", "last"]


async def test_too_many_hashes_are_refused_at_once(two: Passwords, slow: Slow) -> None:
    hashing = [asyncio.create_task(two.hash(str(number))) for number in range(4)]
    await asyncio.sleep(0)
    with pytest.raises(PasswordsBusy) as caught:
        await two.hash("one more")
    assert caught.value.retry_after == 1.0
    slow.let_go(10)
    await asyncio.gather(*hashing)
    await two.hash("welcome again")


async def test_a_hash_has_a_deadline(slow: Slow) -> None:
    async with Passwords.open(CHEAP, workers=1, timeout=0.01) as passwords:
        with pytest.raises(DeadlineExceeded, match="hashing a password"):
            await passwords.hash("slow")
        slow.let_go(10)


async def test_the_end_does_not_begin_what_waits(slow: Slow) -> None:
    async with Passwords.open(CHEAP, workers=1) as passwords:
        hashing = [asyncio.create_task(passwords.hash(text)) for text in ("begun", "waiting")]
        await asyncio.sleep(0)
    slow.let_go(1)
    outcomes = await asyncio.gather(*hashing, return_exceptions=True)
    assert outcomes[0] == "hash of begun"
    assert isinstance(outcomes[1], asyncio.CancelledError)
    assert slow.begun == ["begun"]


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ({"page_size": 200}, "page_size 200 is above max_page_size 100"),
        ({"argon2": {"memory_kib": 8}}, "at least 8 x parallelism = 32"),
        ({"argon2": {"time_cost": 0}}, r"\$\.argon2\.time_cost"),
        ({"databse": "x"}, "unknown field `databse`"),
        ({"readers": 0}, r"\$\.readers"),
        ({"database": ""}, r"\$\.database"),
    ],
)
def test_wrong_settings_are_refused(section: dict[str, object], problem: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=problem):
        msgspec.convert(section, UsersSettings)
