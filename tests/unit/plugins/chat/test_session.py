"""One connection: the protocol, who it is, the order of what it asks for, and what is wrong with what it sends."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from framework.plugins.chat.errors import ChatError
from framework.plugins.chat.tokens import Tokens
from framework.sqlite import DatabaseBusy
from tests.unit.plugins.chat.support import SECRET, InlineDatabase, chat, inline_store

pytestmark = pytest.mark.virtual_time
BOTH = ["chat.v1.json", "chat.v1.msgpack"]


# -- the protocol --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("subprotocol", [*BOTH, None])
async def test_it_talks_json_and_messagepack(subprotocol: str | None) -> None:
    async with chat() as town, town.client("bob", "town", subprotocol=subprotocol) as bob:
        done = await bob.ok("post", room="town", mid="m", text="hello")
        (entry,) = await bob.entries(1)
    assert done["offset"] == entry["offset"] == 3
    assert entry["body"] == {"e": "posted", "text": "hello"}
    assert (entry["user"], entry["mid"], entry["at"]) == ("bob", "m", done["at"])


async def test_both_encodings_hear_each_other() -> None:
    async with (
        chat() as town,
        town.client("bob", "town") as bob,
        town.client("cy", "town", subprotocol="chat.v1.msgpack") as cy,
    ):
        await bob.ok("post", room="town", mid="m", text="ä")
        assert (await cy.entries(1))[0] == (await bob.entries(2))[1]


async def test_a_batch_is_handled_in_its_order() -> None:
    async with chat() as town, town.anonymous() as client:
        await client.send(
            {"t": "hello", "id": 1, "token": town.tokens.issue("bob")},
            {"t": "join", "id": 2, "room": "town"},
            {"t": "post", "id": 3, "room": "town", "mid": "a", "text": "one"},
            {"t": "post", "id": 4, "room": "town", "mid": "b", "text": "two"},
            {"t": "leave", "id": 5, "room": "town"},
            {"t": "post", "id": 6, "room": "town", "mid": "c", "text": "three"},
        )
        replies = [await client.reply(number) for number in range(1, 7)]
    assert [reply["t"] for reply in replies] == ["welcome", "joined", "done", "done", "done", "done"]
    assert [reply.get("offset") for reply in replies[2:]] == [3, 4, None, 5]
    assert [push["entries"][0]["offset"] for push in client.pushes if push["t"] == "events"] == [3]


async def test_an_unknown_message_type_is_ignored() -> None:
    """A trap of the guide's sketch: its switch has no default. Ours answers."""
    async with chat() as town, town.client("bob") as bob:
        assert await bob.refused("levitate") == "unknown_type"
        assert (await bob.ok("ping"))["t"] == "pong"


@pytest.mark.parametrize(
    ("sent", "number", "code"),
    [
        ("{", None, "malformed"),
        ("7", None, "malformed"),
        ("[[]]", None, "malformed"),
        ('{"id": 7}', 7, "malformed"),
        ('{"t": 5, "id": 7}', 7, "malformed"),
        ('{"t": "ping", "id": "7"}', None, "malformed"),
        ('{"t": "ping", "id": -1}', None, "malformed"),
        ('{"t": "ping", "id": true}', None, "malformed"),
        ('{"t": "ping", "id": 7, "user": "ada"}', 7, "malformed"),
        ('{"t": "post", "id": 7, "room": "town"}', 7, "malformed"),
        ('{"t": "post", "id": 7, "room": "a b", "mid": "m", "text": "x"}', 7, "malformed"),
        ('{"t": "post", "id": 7, "room": "town", "mid": "' + "m" * 65 + '", "text": "x"}', 7, "malformed"),
        ('{"t": "join", "id": 7, "room": "town", "offset": 9007199254740992}', 7, "malformed"),
        ('{"t": "history", "id": 7, "room": "town", "limit": 1000000}', 7, "malformed"),
        ('{"t": "ping", "id": 1' + "0" * 400 + "}", None, "malformed"),
        ("[" * 5000 + "]" * 5000, None, "malformed"),
        ('{"t": "\\ud800", "id": 7}', None, "malformed"),
        ("[" + ",".join(['{"t":"ping","id":1}'] * 201) + "]", None, "too_large"),
    ],
)
async def test_bad_input_is_answered_by_its_code(sent: str, number: int | None, code: str) -> None:
    async with chat() as town, town.client("bob", "town") as bob:
        await bob.ws.send_text(sent)
        reply = await bob.reply(number)
        assert (reply["t"], reply["code"]) == ("error", code)
        assert (await bob.ok("ping"))["t"] == "pong"


@pytest.mark.parametrize(
    "sent", [b"", b"\xc1", b"\x81\xc0\xc0", b"\x93\x01\x02", msgspec.msgpack.encode({1: 2})]
)
async def test_bad_messagepack_is_malformed(sent: bytes) -> None:
    async with chat() as town, town.client("bob", "town", subprotocol="chat.v1.msgpack") as bob:
        await bob.ws.send_bytes(sent)
        assert (await bob.reply(None))["code"] == "malformed"
        assert (await bob.ok("ping"))["t"] == "pong"


async def test_the_good_ones_of_a_broken_batch_are_done() -> None:
    async with chat() as town, town.client("bob", "town") as bob:
        await bob.send({"t": "ping", "id": 901}, {"t": "fly", "id": 902}, {"t": "ping", "id": 903})
        assert [(await bob.reply(number))["t"] for number in (901, 902, 903)] == ["pong", "error", "pong"]


async def test_binary_messages_are_no_json() -> None:
    async with chat() as town, town.client("bob") as bob:
        await bob.ws.send_bytes(b'{"t":"ping","id":1}')
        assert (await bob.reply(None))["code"] == "malformed"


async def test_who_sends_nothing_but_rubbish_is_closed_with_4400() -> None:
    async with chat() as town, town.client("bob") as bob:
        for _ in range(50):
            await bob.ws.send_text("rubbish")
        assert await bob.closed() == 4400


async def test_an_oversized_message_closes_with_1009() -> None:
    async with chat(max_message=4096) as town, town.client("bob", "town") as bob:
        await bob.ws.send_text("x" * 5000)
        assert await bob.closed() == 1009


# -- who it is -----------------------------------------------------------------------------------------------


async def test_nothing_is_answered_before_hello() -> None:
    async with chat() as town, town.anonymous() as client:
        assert await client.refused("join", room="town") == "unauthenticated"
        assert await client.refused("rooms") == "unauthenticated"
        await client.send({"t": "typing", "room": "town"})
        assert (await client.ok("ping"))["t"] == "pong"
        assert not town.hub.rooms


async def test_a_client_claims_any_user_id() -> None:
    """A trap of the guide's sketch, where join carries a userId. Ours has no such member, and takes the token's."""
    async with chat() as town, town.client("bob", "town") as bob:
        for member in ("user", "userId", "from"):
            reply = await bob.ask("post", room="town", mid=member, text="I am Ada", **{member: "ada"})
            assert reply["code"] == "malformed"
        await bob.ok("post", room="town", mid="own", text="I am Bob")
        assert (await bob.entries(1))[0]["user"] == "bob"


@pytest.mark.parametrize(
    "token", ["", "rubbish", "a.b.c", Tokens(["another secret, just as long as it"]).issue("bob")]
)
async def test_a_bad_token_closes_with_4401(token: str) -> None:
    async with chat() as town, town.anonymous() as client:
        assert await client.refused("hello", token=token) == "token"
        assert await client.closed() == 4401


async def test_an_expired_token_closes_with_4401() -> None:
    async with chat() as town, town.anonymous() as client:
        old = Tokens([SECRET], lifetime=10, clock=lambda: 1_600_000_000.0).issue("bob")
        assert await client.refused("hello", token=old) == "token"
        assert await client.closed() == 4401


async def test_who_says_nothing_is_closed_with_4401() -> None:
    async with chat(hello_timeout=5.0) as town, town.anonymous() as client:
        begun = asyncio.get_running_loop().time()
        assert await client.closed() == 4401
        assert asyncio.get_running_loop().time() - begun == pytest.approx(5.0, abs=0.5)


async def test_a_token_is_refreshed_without_dropping_the_socket() -> None:
    async with chat(token_lifetime=100.0, expiry_notice=20.0) as town, town.client("bob", "town") as bob:
        assert 18 <= (await bob.push("expiring"))["seconds"] <= 20
        await bob.ok("auth", token=town.tokens.issue("bob"))
        assert 18 <= (await bob.push("expiring"))["seconds"] <= 20
        await bob.ok("post", room="town", mid="m", text="still here")
        assert await bob.closed() == 4401


async def test_a_refresh_with_somebody_elses_token_is_refused() -> None:
    async with chat() as town, town.client("bob") as bob:
        assert await bob.refused("auth", token=town.tokens.issue("ada")) == "token"
        assert await bob.refused("hello", token=town.tokens.issue("ada")) == "forbidden"
        assert (await bob.ok("ping"))["t"] == "pong"


async def test_one_connection_too_many_closes_the_oldest() -> None:
    async with (
        chat(max_connections=2) as town,
        town.client("bob") as one,
        town.client("bob") as two,
        town.client("bob") as three,
    ):
        assert await one.closed() == 4500
        for client in (two, three):
            assert (await client.ok("ping"))["t"] == "pong"


# -- order and limits ----------------------------------------------------------------------------------------


async def test_posts_of_one_connection_keep_their_order_while_many_are_under_way() -> None:
    async with chat(inline_store(InlineDatabase(delay=0.2))) as town, town.client("bob", "town") as bob:
        for number in range(40):
            await bob.send(
                {"t": "post", "id": 100 + number, "room": "town", "mid": str(number), "text": str(number)}
            )
        entries = await bob.entries(40)
        offsets = [(await bob.reply(100 + number))["offset"] for number in range(40)]
    assert [entry["body"]["text"] for entry in entries] == [str(number) for number in range(40)]
    assert offsets == [entry["offset"] for entry in entries]


async def test_only_so_much_is_under_way_at_once() -> None:
    database = InlineDatabase(delay=0.1)
    async with chat(inline_store(database), max_in_flight=4) as town, town.client("bob", "town") as bob:
        most = 0
        (session,) = town.hub.sessions
        for number in range(30):
            await bob.send({"t": "post", "id": 100 + number, "room": "town", "mid": str(number), "text": "x"})
        for number in range(30):
            most = max(most, getattr(session, "_outstanding"))  # noqa: B009
            await bob.reply(100 + number)
    assert 0 < most <= 4


async def test_floods_are_answered_then_closed_with_4429_and_others_are_unharmed() -> None:
    async with (
        chat(request_rate="20/second", flood_limit=30) as town,
        town.client("eve", "town") as eve,
        town.client("bob", "town") as bob,
    ):
        for number in range(60):
            await eve.send({"t": "ping", "id": 100 + number})
        assert await eve.closed() == 4429
        replies = [await eve.reply(100 + number) for number in range(49)]
        refused = [reply for reply in replies if reply["t"] == "error"]
        assert len(refused) == 31
        assert {reply["code"] for reply in refused} == {"limit"}
        assert all(0 < reply["retry_after"] <= 1.0 for reply in refused)
        assert (await bob.ok("post", room="town", mid="m", text="calm"))["offset"] == 4
        assert (town.hub.stats.refused, town.hub.stats.floods) == (31, 1)


async def test_bytes_are_limited() -> None:
    async with chat(byte_rate="1000/second", max_message=20_000) as town, town.client("bob", "town") as bob:
        await bob.ok("post", room="town", mid="m", text="x" * 3000, reply_to=None)
        codes = [await bob.ask("post", room="town", mid=str(n), text="x" * 3900) for n in range(8)]
        assert codes[-1]["code"] == "limit"
        await asyncio.sleep(codes[-1]["retry_after"])
        await bob.ok("post", room="town", mid="8", text="x" * 3900)


async def test_posts_of_a_user_are_limited_over_all_its_connections() -> None:
    async with (
        chat(post_rate="10/second") as town,
        town.client("bob", "town") as one,
        town.client("bob", "town") as two,
    ):
        replies = [
            await client.ask("post", room="town", mid=f"{n}", text="x")
            for n in range(6)
            for client in (one, two)
        ]
        # a second one with the same mid is no second message, but an attempt all the same
        assert [reply["t"] for reply in replies] == ["done"] * 10 + ["error"] * 2
        assert replies[-1]["code"] == "limit"


async def test_a_thousand_joins_a_second() -> None:
    async with (
        chat(join_rate="50/second", request_rate="100000/second", flood_limit=100_000) as town,
        town.client("eve") as eve,
        town.client("bob", "town") as bob,
    ):
        for number in range(1000):
            await eve.send({"t": "join", "id": 1000 + number, "room": "town"})
        replies = [await eve.reply(1000 + number) for number in range(1000)]
        joined = [reply for reply in replies if reply["t"] == "joined"]
        assert 50 <= len(joined) <= 60
        assert {reply["code"] for reply in replies if reply["t"] == "error"} == {"limit"}
        await bob.ok("post", room="town", mid="m", text="unharmed")
        pushes = await bob.quiet()
        # the storm comes to one entry (she entered once) and my own
        assert sum(len(push["entries"]) for push in pushes) == 2


async def test_too_many_rooms_at_once() -> None:
    async with chat(max_follows=2) as town, town.client("bob", "town") as bob:
        await bob.ok("create", room="two")
        assert await bob.refused("create", room="three") == "limit"
        await bob.ok("join", room="town")  # again is no more
        await bob.ok("leave", room="two")
        await bob.ok("join", room="three")


# -- failures ------------------------------------------------------------------------------------------------


async def test_a_store_that_fails_is_answered_unavailable_and_nothing_is_lost() -> None:
    database = InlineDatabase()
    async with chat(inline_store(database)) as town, town.client("bob", "town") as bob:
        database.failing = DatabaseBusy("the disk is busy", retry_after=2.0)
        reply = await bob.ask("post", room="town", mid="m", text="hello")
        assert (reply["code"], reply["retry_after"]) == ("unavailable", 2.0)
        database.failing = None
        assert (await bob.ok("post", room="town", mid="m", text="hello"))["offset"] == 3


async def test_a_write_that_was_committed_and_not_acknowledged_is_delivered_all_the_same() -> None:
    database = InlineDatabase()
    async with chat(inline_store(database)) as town, town.client("bob", "town") as bob:

        def lose() -> None:
            database.after_commit = None
            raise ChatError("unavailable", "the connection to the database was lost")

        database.after_commit = lose
        assert await bob.refused("post", room="town", mid="m", text="hello") == "unavailable"
        assert (await bob.entries(1))[0]["mid"] == "m"
        again = await bob.ok("post", room="town", mid="m", text="hello")
        assert again["again"]
        assert await bob.quiet() == []


async def test_a_fault_of_ours_is_internal_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    database = InlineDatabase()
    async with chat(inline_store(database)) as town, town.client("bob", "town") as bob:
        database.failing = ZeroDivisionError("a bug")
        assert await bob.refused("rooms") == "internal"
        database.failing = None
        assert (await bob.ok("rooms"))["rooms"]
    assert "a bug" in caplog.text


async def test_bad_texts_are_refused() -> None:
    async with chat(max_text=10) as town, town.client("bob", "town") as bob:
        for text in ("", "  \n ", "a\x00b", "a\u202eb", "x" * 11):
            assert await bob.refused("post", room="town", mid="m", text=text) == "bad_text"
        for emoji in ("x", "7", "ab", "\u0301", "👍👍"):
            assert await bob.refused("react", room="town", mid="m", target=3, emoji=emoji) == "bad_text"
        await bob.ok("post", room="town", mid="m", text="👨‍👩‍👧" * 10)
        await bob.ok("react", room="town", mid="r", target=3, emoji="👍🏽")


async def test_a_draining_server_says_so_then_closes_with_1012() -> None:
    async with chat() as town, town.client("bob", "town") as bob:
        stopping = asyncio.create_task(town.http.server.shutdown())
        assert await bob.closed() == 1012
        await stopping


async def test_clients_are_told_before_a_drain_when_there_is_time() -> None:
    async with chat() as town, town.client("bob", "town") as bob:
        town.hub.draining = lambda: 7.0
        assert (await bob.push("draining"))["within"] == 7.0
        assert await bob.quiet() == []  # once
