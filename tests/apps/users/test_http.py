"""The app as its clients meet it: over a socket, in its own words for every failure."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from apps.users.service import UserService
from framework.errors import SetupError
from framework.sqlite.database import DatabaseBusy, DatabaseFull, DatabaseUnavailable
from framework.testing import Answer, TestClient

from .client import serving

pytestmark = pytest.mark.anyio

ADA = {"email": "ada@example.com", "name": "Ada Lovelace", "password": "correct horse"}
JSON = {"content-type": "application/json"}


@pytest.fixture
async def client(path: Path) -> AsyncIterator[TestClient]:
    async with serving(path, page_size=2, max_page_size=3) as running:
        yield running


def problem(reply: Answer) -> str:
    """The detail of a reply that is a problem document, as every failure must be."""
    document = reply.problem
    assert document["status"] == reply.status
    assert document["title"]
    return str(document.get("detail"))


async def test_a_users_life(client: TestClient) -> None:
    made = await client.post("/users", json=ADA)
    assert (made.status, made.headers["location"], made.headers["etag"]) == (201, "/users/1", '"1"')
    assert made.headers["content-type"] == "application/json"
    user = made.json()
    assert set(user) == {"id", "email", "name", "version", "created_at", "updated_at"}
    assert (user["id"], user["email"], user["name"], user["version"]) == (1, ADA["email"], ADA["name"], 1)
    assert user["created_at"].endswith("Z")

    found = await client.get(made.headers["location"])
    assert (found.status, found.headers["etag"], found.json()) == (200, '"1"', user)
    cached = await client.get("/users/1", headers={"if-none-match": '"0", W/"1"'})
    assert (cached.status, cached.headers["etag"], cached.body) == (304, '"1"', b"")
    head = await client.head("/users/1")
    assert (head.status, head.headers["etag"], head.body) == (200, '"1"', b"")
    assert head.headers["content-length"] == str(len(found.body))

    named = await client.patch("/users/1", json={"name": "Augusta"}, headers={"if-match": '"1"'})
    assert (named.status, named.headers["etag"], named.json()["name"]) == (200, '"2"', "Augusta")
    fresh = await client.get("/users/1", headers={"if-none-match": '"1"'})
    assert (fresh.status, fresh.json()["version"]) == (200, 2)
    new = {"email": "countess@EXAMPLE.com", "name": "Ada"}
    replaced = await client.put("/users/1", json=new, headers={"if-match": '"7", "2"'})
    assert (replaced.status, replaced.json()["email"]) == (200, "countess@example.com")

    gone = await client.delete("/users/1", headers={"if-match": "*"})
    assert (gone.status, gone.body) == (204, b"")
    assert (await client.get("/users/1")).status == 404


async def test_what_was_stored_is_there_after_a_restart(path: Path) -> None:
    async with serving(path) as client:
        made = await client.post("/users", json=ADA)
    async with serving(path) as client:
        assert (await client.get("/users/1")).json() == made.json()


async def test_pages_by_their_links(client: TestClient) -> None:
    for number in range(5):
        await client.post("/users", json=ADA | {"email": f"user{number}@example.com"})
    target = "/users"
    ids: list[list[int]] = []
    while target:
        page = await client.get(target)
        ids.append([user["id"] for user in page.json()["items"]])
        link = page.headers.get("link", "")
        target = link.removeprefix("<").removesuffix('>; rel="next"')
        assert (page.json()["next"] is None) == (link == "")
    assert ids == [[1, 2], [3, 4], [5]]
    first = await client.get("/users?limit=1")
    assert first.headers["link"] == f'</users?after={first.json()["next"]}&limit=1>; rel="next"'
    assert len((await client.get("/users?limit=1000")).json()["items"]) == 3


async def test_no_password_and_no_hash_in_any_answer(client: TestClient) -> None:
    replies = [
        await client.post("/users", json=ADA),
        await client.post("/users", json=ADA),
        await client.get("/users/1"),
        await client.get("/users"),
        await client.patch("/users/1", json={"password": "correct horse 2"}, headers={"if-match": "*"}),
        await client.patch("/users/1", json={"password": "correct horse 3"}, headers={"if-match": '"9"'}),
        await client.post("/users", json=ADA | {"email": "correct horse"}),
    ]
    assert [reply.status for reply in replies] == [201, 409, 200, 200, 200, 412, 422]
    for reply in replies:
        assert b"correct horse" not in reply.body
        assert b"argon2" not in reply.body
        assert b"password" not in reply.body


async def test_internal_error_text_sent_to_the_client(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(self: UserService, user_id: int) -> None:
        raise error

    monkeypatch.setattr(UserService, "get", fail)
    cause = sqlite3.OperationalError("no such column: secret in /srv/secret.sqlite3")
    error: Exception
    for error, status in (
        (RuntimeError("secret"), 500),
        (sqlite3.OperationalError("secret"), 500),
        (sqlite3.IntegrityError("CHECK constraint failed: secret"), 500),
        (KeyError("secret"), 500),
        (ValueError("secret"), 500),
        (DatabaseUnavailable("secret"), 503),
        (DatabaseFull("secret"), 503),
        (DatabaseBusy("secret", 3.0), 503),
    ):
        error.__cause__ = cause
        reply = await client.get("/users/1")
        assert reply.status == status
        problem(reply)
        assert b"secret" not in reply.body
        assert b"sqlite" not in reply.body
        assert b"Traceback" not in reply.body
        assert reply.json()["request_id"] == reply.headers["x-request-id"]
    assert reply.headers["retry-after"] == "3"


async def test_every_failure_answered_with_400(client: TestClient) -> None:
    await client.post("/users", json=ADA)
    bob = ADA | {"email": "bob@example.com"}
    await client.post("/users", json=bob)
    any_version = {"if-match": "*"}
    answers = {
        "unreadable JSON": (400, await client.post("/users", content=b'{"email": ada}', headers=JSON)),
        "a body that is no JSON": (
            415,
            await client.post("/users", content=b"email=ada", headers={"content-type": "text/plain"}),
        ),
        "a missing member": (422, await client.post("/users", json={"email": "c@example.com"})),
        "an unknown member": (422, await client.post("/users", json=ADA | {"admin": True})),
        "a member of a wrong type": (422, await client.post("/users", json=ADA | {"name": 7})),
        "a null": (422, await client.patch("/users/1", json={"name": None}, headers=any_version)),
        "a body that is too large": (
            413,
            await client.post("/users", content=b" " * 2_000_000, headers=JSON),
        ),
        "a taken address": (409, await client.post("/users", json=ADA | {"email": "ADA@EXAMPLE.COM"})),
        "a change to a taken address": (
            409,
            await client.patch("/users/2", json={"email": "ada@example.com"}, headers=any_version),
        ),
        "an unknown user": (404, await client.get("/users/3")),
        "an id that is too large": (404, await client.get("/users/9223372036854775808")),
        "an id that is no number": (404, await client.get("/users/ada")),
        "an unknown user to change": (
            404,
            await client.patch("/users/3", json={"name": "x"}, headers=any_version),
        ),
        "an unknown user to remove": (404, await client.delete("/users/3", headers=any_version)),
        "a method that is not there": (405, await client.delete("/users")),
        "another version": (412, await client.delete("/users/1", headers={"if-match": '"2"'})),
        "a weak tag": (412, await client.delete("/users/1", headers={"if-match": 'W/"1"'})),
        "a tag of someone else": (
            412,
            await client.delete("/users/1", headers={"if-match": '"x", "01", "", "1_0", "²"'}),
        ),
        "no version": (428, await client.delete("/users/1")),
        "no version to replace": (
            428,
            await client.put("/users/1", json={"email": "a@example.com", "name": "A"}),
        ),
        "no version to change": (428, await client.patch("/users/1", json={"name": "A"})),
        "a malformed version": (400, await client.delete("/users/1", headers={"if-match": "1"})),
        "a strange cursor": (422, await client.get("/users?after=7")),
        "a page of nothing": (422, await client.get("/users?limit=0")),
        "a size that is no number": (422, await client.get("/users?limit=ten")),
    }
    assert {what: reply.status for what, (_, reply) in answers.items()} == {
        what: status for what, (status, _) in answers.items()
    }
    for _, reply in answers.values():
        problem(reply)
    assert len((await client.get("/users")).json()["items"]) == 2


async def test_every_fault_of_a_body_is_told_at_once(client: TestClient) -> None:
    reply = await client.post("/users", json={"email": "ada", "name": "\n", "password": "short", "age": 7})
    problem(reply)
    assert {fault["pointer"] for fault in reply.json()["errors"]} == {"/email", "/name", "/password", "/age"}


async def test_the_faults_found_later_point_at_their_place_too(client: TestClient) -> None:
    await client.post("/users", json=ADA)
    taken = await client.post("/users", json=ADA)
    assert [fault["pointer"] for fault in taken.json()["errors"]] == ["/email"]
    cursor = await client.get("/users?after=7")
    assert [(fault["in"], fault["pointer"]) for fault in cursor.json()["errors"]] == [("query", "/after")]


async def test_duplicate_email_race_over_http(client: TestClient) -> None:
    replies = await asyncio.gather(*(client.post("/users", json=ADA) for _ in range(50)))
    assert sorted(reply.status for reply in replies) == [201] + [409] * 49


async def test_lost_update_between_two_clients(client: TestClient) -> None:
    await client.post("/users", json=ADA)
    version = {"if-match": (await client.get("/users/1")).headers["etag"]}
    changes = (client.patch("/users/1", json={"name": f"Ada {n}"}, headers=version) for n in range(10))
    replies = await asyncio.gather(*changes)
    assert sorted(reply.status for reply in replies) == [200] + [412] * 9
    assert (await client.get("/users/1")).headers["etag"] == '"2"'


async def test_a_database_that_stays_locked_is_a_failed_start(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def locked(database: object, migrations: object) -> None:
        raise DatabaseBusy("the database is locked")

    monkeypatch.setattr("apps.users.app.migrate", locked)
    with pytest.raises(SetupError, match=r"users\.sqlite3: the database is locked"):
        async with serving(path):
            raise AssertionError


async def test_two_apps_in_one_process_do_not_meet(client: TestClient, tmp_path: Path) -> None:
    async with serving(tmp_path / "other.sqlite3") as other:
        assert (await other.post("/users", json=ADA)).status == 201
        assert (await client.post("/users", json=ADA)).status == 201
        assert (await client.delete("/users/1", headers={"if-match": "*"})).status == 204
        assert (await other.get("/users/1")).status == 200
