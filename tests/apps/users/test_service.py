"""The rules on a real database: uniqueness, versions, pages, and the traps of the guide's sketch."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from argon2 import PasswordHasher
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.users.cursor import encode_cursor
from apps.users.errors import BadCursor, EmailTaken, UserNotFound, VersionConflict
from apps.users.models import User, UserCreate, UserReplace, UserUpdate
from apps.users.passwords import Passwords
from apps.users.repository import Changes, UserRepository
from apps.users.service import UserService
from framework.sqlite.database import Database
from framework.sqlite.migrations import Migration, migrate

from .conftest import CHEAP
from .test_models import EMAILS

pytestmark = pytest.mark.anyio

HASH = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaA"


def ada(email: str = "ada@example.com", name: str = "Ada", password: str = "correct horse") -> UserCreate:
    return UserCreate(email=email, name=name, password=password)


class Clock:
    def __init__(self) -> None:
        self.now = 1_767_323_045_006

    def __call__(self) -> int:
        return self.now


async def test_a_user_is_made_and_found(service: UserService, database: Database) -> None:
    user = await service.create(ada("Ada@Example.COM"))
    assert (user.id, user.email, user.name, user.version) == (1, "Ada@example.com", "Ada", 1)
    assert user.created_at == user.updated_at
    assert user.created_at.tzinfo is UTC
    assert await service.get(1) == user
    stored = await database.read(lambda c: c.execute("SELECT password_hash FROM users").fetchone()[0])
    assert PasswordHasher().verify(stored, "correct horse")


async def test_times_are_kept_to_the_millisecond(database: Database, passwords: Passwords) -> None:
    clock = Clock()
    service = UserService(UserRepository(database), passwords, clock=clock)
    made = await service.create(ada())
    assert made.created_at == datetime(2026, 1, 2, 3, 4, 5, 6000, UTC)
    clock.now -= 1000
    changed = await service.update(made.id, UserUpdate(name="Augusta"))
    assert changed.updated_at == made.created_at
    clock.now += 3000
    assert (await service.update(made.id, UserUpdate(name="Ada"))).updated_at.second == 7


async def test_duplicate_email_race(service: UserService) -> None:
    creating = (
        service.create(ada("ada@example.com".swapcase() if n % 2 else "ada@example.com")) for n in range(50)
    )
    outcomes = await asyncio.gather(*creating, return_exceptions=True)
    assert sum(isinstance(outcome, User) for outcome in outcomes) == 1
    taken = [outcome for outcome in outcomes if isinstance(outcome, EmailTaken)]
    assert len(taken) == 49
    assert {error.email.lower() for error in taken} == {"ada@example.com"}
    assert len((await service.list()).items) == 1


async def test_duplicate_email_race_between_two_processes(
    path: Path, service: UserService, passwords: Passwords
) -> None:
    async with Database.open(path) as second:
        other = UserService(UserRepository(second), passwords)
        for number in range(10):
            new = ada(f"user{number}@example.com")
            outcomes = await asyncio.gather(service.create(new), other.create(new), return_exceptions=True)
            assert sorted(type(outcome).__name__ for outcome in outcomes) == ["EmailTaken", "User"]


async def test_an_update_to_a_taken_email(service: UserService) -> None:
    await service.create(ada())
    bob = await service.create(ada("bob@example.com", "Bob"))
    with pytest.raises(EmailTaken) as caught:
        await service.update(bob.id, UserUpdate(email="ADA@example.com", name="Robert"))
    assert caught.value.email == "ADA@example.com"
    assert await service.get(bob.id) == bob


async def test_the_case_of_ones_own_email_may_change(service: UserService) -> None:
    user = await service.create(ada())
    changed = await service.update(user.id, UserUpdate(email="ADA@example.com"))
    assert (changed.email, changed.version) == ("ADA@example.com", 2)


async def test_another_broken_constraint_is_not_a_taken_email(database: Database) -> None:
    repository = UserRepository(database)
    with pytest.raises(sqlite3.IntegrityError):
        await repository.insert(email="a@example.com", name="", password_hash=HASH, now=0)


async def test_only_what_is_given_changes(service: UserService, database: Database) -> None:
    user = await service.create(ada())

    def password_hash(connection: sqlite3.Connection) -> str:
        return str(connection.execute("SELECT password_hash FROM users").fetchone()[0])

    before = await database.read(password_hash)
    named = await service.update(user.id, UserUpdate(name="Augusta"))
    assert (named.email, named.name, named.version) == ("ada@example.com", "Augusta", 2)
    assert await database.read(password_hash) == before
    secret = await service.update(user.id, UserUpdate(password="battery staple"))
    assert (secret.email, secret.name, secret.version) == ("ada@example.com", "Augusta", 3)
    assert PasswordHasher().verify(await database.read(password_hash), "battery staple")
    replaced = await service.replace(user.id, UserReplace(email="countess@EXAMPLE.com", name="Ada"))
    assert (replaced.email, replaced.name, replaced.version) == ("countess@example.com", "Ada", 4)


async def test_a_change_that_changes_nothing_keeps_the_version(service: UserService) -> None:
    user = await service.create(ada())
    assert await service.update(user.id, UserUpdate()) == user
    assert await service.update(user.id, UserUpdate(name="Ada", email="ada@EXAMPLE.com")) == user
    with pytest.raises(VersionConflict):
        await service.update(user.id, UserUpdate(), frozenset({2}))


async def test_of_two_changes_to_one_version_one_wins(service: UserService) -> None:
    user = await service.create(ada())
    expected = frozenset({user.version})
    changing = (service.update(user.id, UserUpdate(name=f"Ada {n}"), expected) for n in range(20))
    outcomes = await asyncio.gather(*changing, return_exceptions=True)
    assert sum(isinstance(outcome, User) for outcome in outcomes) == 1
    conflicts = [outcome for outcome in outcomes if isinstance(outcome, VersionConflict)]
    assert [(error.user_id, error.current) for error in conflicts] == [(user.id, 2)] * 19


async def test_expected_versions(service: UserService) -> None:
    user = await service.create(ada())
    for expected in (frozenset[int](), frozenset({2}), frozenset({0, -1, 2**70})):
        with pytest.raises(VersionConflict):
            await service.update(user.id, UserUpdate(name="no"), expected)
        with pytest.raises(VersionConflict):
            await service.delete(user.id, expected)
    await service.update(user.id, UserUpdate(name="one of them"), frozenset({7, 1}))
    await service.update(user.id, UserUpdate(name="whatever it is"))
    await service.delete(user.id, frozenset({3}))
    with pytest.raises(UserNotFound):
        await service.get(user.id)


@pytest.mark.parametrize("user_id", [0, -1, 2, 2**63 - 1, 2**63, 10**30])
async def test_a_user_that_never_was_is_not_found(service: UserService, user_id: int) -> None:
    await service.create(ada())
    with pytest.raises(UserNotFound) as caught:
        await service.get(user_id)
    assert caught.value.user_id == user_id
    with pytest.raises(UserNotFound):
        await service.update(user_id, UserUpdate(name="x"))
    with pytest.raises(UserNotFound):
        await service.delete(user_id)


async def test_the_id_of_a_deleted_user_is_never_given_again(service: UserService) -> None:
    first = await service.create(ada())
    await service.delete(first.id)
    assert (await service.create(ada())).id == first.id + 1


async def test_pages(service: UserService) -> None:
    made = [await service.create(ada(f"user{number}@example.com")) for number in range(7)]
    first = await service.list()
    assert first.items == made[:3]
    assert first.next == encode_cursor(3)
    assert (await service.list(first.next, 100)).items == made[3:]
    assert (await service.list(limit=100)).items == made[:5]
    last = await service.list(encode_cursor(4), 3)
    assert (last.items, last.next) == (made[4:], None)
    beyond = await service.list(encode_cursor(2**63 - 1))
    assert (beyond.items, beyond.next) == ([], None)
    with pytest.raises(BadCursor):
        await service.list("7")


async def test_pages_use_the_key_and_sort_nothing(database: Database) -> None:
    def plan(connection: sqlite3.Connection) -> str:
        query = "EXPLAIN QUERY PLAN SELECT id FROM users WHERE id > 5 ORDER BY id LIMIT 3"
        return "; ".join(row[3] for row in connection.execute(query))

    assert await database.read(plan) == "SEARCH users USING INTEGER PRIMARY KEY (rowid>?)"


async def test_an_email_is_found_by_its_index_in_any_case(database: Database) -> None:
    def plan(connection: sqlite3.Connection) -> str:
        query = "EXPLAIN QUERY PLAN SELECT id FROM users WHERE email = 'ADA@example.com'"
        return "; ".join(row[3] for row in connection.execute(query))

    assert "USING COVERING INDEX" in await database.read(plan)


@asynccontextmanager
async def empty_repository(migrations: tuple[Migration, ...]) -> AsyncIterator[UserRepository]:
    with TemporaryDirectory() as folder:
        async with Database.open(Path(folder) / "users.sqlite3", readers=1) as database:
            await migrate(database, migrations)
            yield UserRepository(database)


STEPS = st.lists(st.one_of(st.just("insert"), st.just("page"), st.integers(0, 30)), max_size=25)


@settings(max_examples=30, deadline=None)
@given(before=st.integers(0, 12), steps=STEPS, limit=st.integers(1, 5))
def test_pages_neither_skip_nor_repeat_under_writes(
    migrations: tuple[Migration, ...], before: int, steps: list[str | int], limit: int
) -> None:
    async def scenario() -> None:
        async with empty_repository(migrations) as repository, Passwords.open(CHEAP) as passwords:
            service = UserService(repository, passwords, page_size=limit)
            count = 0

            async def insert() -> None:
                nonlocal count
                count += 1
                await repository.insert(email=f"u{count}@example.com", name="U", password_hash=HASH, now=0)

            for _ in range(before):
                await insert()
            deleted: set[int] = set()
            seen: list[int] = []
            cursor: str | None = None
            more = True
            pending = iter(steps)
            while more:
                step = next(pending, "page")
                if step == "insert":
                    await insert()
                elif isinstance(step, int):
                    if step <= count and step not in deleted and step > 0:
                        await repository.delete(step, None)
                        deleted.add(step)
                else:
                    page = await service.list(cursor)
                    seen += [user.id for user in page.items]
                    cursor, more = page.next, page.next is not None
            assert seen == sorted(set(seen))
            assert set(range(1, count + 1)) <= set(seen) | deleted

    asyncio.run(scenario())


@settings(max_examples=30, deadline=None)
@given(emails=st.lists(EMAILS, min_size=1, max_size=6), data=st.data())
def test_one_address_is_one_user_whatever_its_case(
    migrations: tuple[Migration, ...], emails: list[str], data: st.DataObject
) -> None:
    spelled = [
        "".join(
            data.draw(st.sampled_from([c.lower(), c.upper()])) for c in data.draw(st.sampled_from(emails))
        )
        for _ in range(6)
    ]

    async def scenario() -> None:
        async with empty_repository(migrations) as repository:
            known: set[str] = set()
            for email in spelled:
                try:
                    await repository.insert(email=email, name="U", password_hash=HASH, now=0)
                except EmailTaken:
                    assert email.lower() in known
                else:
                    assert email.lower() not in known
                    known.add(email.lower())

    asyncio.run(scenario())


async def test_a_cancelled_create_makes_a_whole_user_or_none(
    service: UserService, database: Database
) -> None:
    for turns in range(12):
        creating = asyncio.create_task(service.create(ada(f"user{turns}@example.com")))
        for _ in range(turns):
            await asyncio.sleep(0)
        creating.cancel()
        await asyncio.gather(creating, return_exceptions=True)
    await service.create(ada())
    users = await service.list(limit=5)
    assert all(user.version == 1 for user in users.items)
    assert await database.write(lambda connection: connection.in_transaction)


async def test_changes_of_a_repository_write_every_column(database: Database) -> None:
    repository = UserRepository(database)
    made = await repository.insert(email="a@example.com", name="A", password_hash=HASH, now=5)
    changes = Changes(email="b@example.com", name="B", password_hash=HASH + "x")
    changed = await repository.update(made.id, changes, None, 9)
    assert (changed.email, changed.name, changed.version) == ("b@example.com", "B", 2)
    stored = await database.read(
        lambda c: c.execute("SELECT password_hash, updated_at FROM users").fetchone()
    )
    assert stored == (HASH + "x", 9)
