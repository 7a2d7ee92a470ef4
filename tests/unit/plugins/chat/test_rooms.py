"""Following rooms: no gap, no double, the position first; rights; people; slow members; several processes."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from random import Random
from typing import Any
from uuid import uuid4

import pytest

from framework.plugins.chat.events import Posted, Role, RoleSet
from tests.unit.plugins.chat.support import Chat, Client, Ether, InlineDatabase, chat, inline_store

pytestmark = pytest.mark.virtual_time


async def posts(client: Client, *texts: str, room: str = "town") -> None:
    for text in texts:
        await client.ok("post", room=room, mid=uuid4().hex, text=text)


def offsets(pushes: list[dict[str, Any]]) -> list[int]:
    return [entry["offset"] for push in pushes if push["t"] == "events" for entry in push["entries"]]


# -- joining and resuming ------------------------------------------------------------------------------------


async def test_the_position_is_in_the_reply_before_any_event() -> None:
    """socket.io #5538, #5282: without an event there is no offset, and what comes meanwhile is lost."""
    async with chat() as town, town.client("ada", "town") as ada:
        async with town.client("bob") as bob:
            joined = await bob.ok("join", room="town")
            position = {"epoch": joined["room"]["epoch"], "offset": joined["room"]["offset"]}
            assert position["offset"] == 2
            assert not bob.pushes
        await posts(ada, "one", "two")
        async with town.client("bob") as bob:
            joined = await bob.ok("join", room="town", **position)
            assert joined["complete"]
            assert [entry["offset"] for entry in joined["entries"]] == [3, 4]
            assert await bob.quiet() == []


async def test_recovery_works_more_than_once() -> None:
    """socket.io #4880: it works once."""
    async with chat() as town, town.client("ada", "town") as ada, AsyncExitStack() as stack:
        bob = await stack.enter_async_context(town.client("bob", "town"))
        room = (await bob.ok("join", room="town"))["room"]
        at, seen = room["offset"], []
        for number in range(5):
            await stack.aclose()
            await posts(ada, str(number))
            bob = await stack.enter_async_context(town.client("bob"))
            joined = await bob.ok("join", room="town", epoch=room["epoch"], offset=at)
            assert joined["complete"]
            seen += [entry["body"]["text"] for entry in joined["entries"]]
            at = joined["room"]["offset"]
    assert seen == ["0", "1", "2", "3", "4"]


async def test_an_epoch_that_never_was_begins_anew_and_says_so() -> None:
    """centrifuge-js #434, centrifuge-dart #170: positions that never existed, empty epochs."""
    async with chat() as town, town.client("ada", "town") as ada:
        await posts(ada, "one", "two")
        for epoch in ("", "0" * 32):
            joined = await ada.ok("join", room="town", epoch=epoch, offset=1)
            assert not joined.get("complete")
            assert [message["text"] for message in joined["messages"]] == ["one", "two"]
            assert joined["room"]["epoch"] not in ("", epoch)


async def test_an_offset_from_the_future_is_refused() -> None:
    """Mattermost #30388: a sequence mismatch that makes clients reconnect for ever."""
    async with chat() as town, town.client("ada", "town") as ada:
        epoch = (await ada.ok("join", room="town"))["room"]["epoch"]
        assert await ada.refused("join", room="town", epoch=epoch, offset=99) == "bad_position"
        assert await ada.refused("read", room="town", offset=99) == "bad_position"
        assert (await ada.ok("join", room="town"))["t"] == "joined"


async def test_a_gap_that_is_too_large_is_never_partial() -> None:
    async with chat(max_resume=5) as town, town.client("ada", "town") as ada:
        epoch = (await ada.ok("join", room="town"))["room"]["epoch"]
        await posts(ada, *map(str, range(8)))
        joined = await ada.ok("join", room="town", epoch=epoch, offset=1, limit=3)
        assert not joined.get("complete")
        assert "entries" not in joined
        assert [message["text"] for message in joined["messages"]] == ["5", "6", "7"]


async def test_a_resend_after_a_reconnect_is_no_second_message() -> None:
    """socket.io #5363: nothing resends what the client sent."""
    async with chat() as town, town.client("ada", "town") as ada:
        async with town.client("bob", "town") as bob:
            first = await bob.ok("post", room="town", mid="same", text="hello")
        async with town.client("bob", "town") as bob:
            again = await bob.ok("post", room="town", mid="same", text="hello")
        assert (again["offset"], again["again"]) == (first["offset"], True)
        assert offsets(await ada.quiet()) == [2, 3]


async def test_nothing_is_lost_or_doubled_between_the_reading_and_the_following() -> None:
    """Centrifugo #446, #510, #798: load state, then subscribe; what happens in between?"""
    database = InlineDatabase(delay=0.5)
    async with (
        chat(inline_store(database)) as town,
        town.client("ada", "town") as ada,
        AsyncExitStack() as stack,
    ):
        clients = [await stack.enter_async_context(town.client(f"u{n}")) for n in range(8)]

        async def write() -> None:
            for number in range(60):
                await posts(ada, str(number))

        writing = asyncio.create_task(write())
        last = 0
        seen: list[list[int]] = []
        for client in clients:
            await asyncio.sleep(1.3)
            joined = await client.ok("join", room="town")
            seen.append([joined["room"]["offset"]])
        await writing
        last = (await ada.ok("join", room="town"))["room"]["offset"]
        for client, offset in zip(clients, seen, strict=True):
            offset += offsets(client.pushes) + offsets(await client.quiet())
            assert offset == list(range(offset[0], last + 1))


@pytest.mark.parametrize("seed", range(20))
async def test_of_two_who_join_first_the_one_with_the_older_reading_misses_nothing(seed: int) -> None:
    """Found by the simulation: the room began at the later reading, and the earlier reader missed what was between."""
    database = InlineDatabase(Random(seed), delay=0.3)
    store = inline_store(database)
    async with chat(store) as town, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(town.client(f"u{n}")) for n in range(4)]
        await store.meet("ada", "Ada")

        async def write() -> None:
            for number in range(20):
                await store.append("ada", "town", str(number), Posted("unannounced"))

        writing = asyncio.create_task(write())
        for client in clients:
            await client.send({"t": "join", "id": 99, "room": "town"})
        joined = [await client.reply(99) for client in clients]
        await writing
        ada = await stack.enter_async_context(town.client("ada", "town"))
        await posts(ada, "last")
        for client, reply in zip(clients, joined, strict=True):
            got = [reply["room"]["offset"], *offsets(await client.quiet())]
            assert got == list(range(got[0], got[0] + len(got)))
        assert got[-1] == (await ada.ok("join", room="town"))["room"]["offset"]


async def test_joining_a_second_room_leaks_the_first() -> None:
    """A trap of the guide's sketch: its second join overwrites the only room, and leaving forgets the first."""
    async with chat() as town, town.client("ada", "town") as ada:
        await ada.ok("create", room="two")
        async with town.client("bob", "town", "two") as bob:
            await posts(ada, "here")
            await posts(ada, "there", room="two")
            assert {push["room"] for push in await bob.quiet()} == {"town", "two"}
            await bob.ok("leave", room="town")
            await posts(ada, "here again")
            await posts(ada, "there again", room="two")
            assert {push["room"] for push in await bob.quiet()} == {"two"}
        await asyncio.sleep(2)
        assert [len(room.followers) for room in town.hub.rooms.values()] == [1, 1]
        await ada.ok("leave", room="two")
    assert not town.hub.rooms
    assert not town.hub.users
    assert not town.hub.sessions
    assert not town.hub.channels.stats.queued


async def test_history_by_offset_skips_or_repeats_under_writes() -> None:
    """A trap of the guide's sketch, whose offset counts rows. Ours is a place in the log."""
    async with chat() as town, town.client("ada", "town") as ada:
        await posts(ada, *map(str, range(30)))
        seen: list[str] = []
        before: int | None = None
        while True:
            page = await ada.ok(
                "history", room="town", limit=7, **({} if before is None else {"before": before})
            )
            seen = [message["text"] for message in page["messages"]] + seen
            before = page["messages"][0]["offset"]
            await posts(ada, f"meanwhile {before}")
            if not page.get("more"):
                break
        assert seen == [str(number) for number in range(30)]


# -- rights --------------------------------------------------------------------------------------------------


async def test_a_private_room_is_for_its_members() -> None:
    async with chat() as town, town.client("ada") as ada, town.client("bob") as bob:
        await ada.ok("create", room="den", kind="private")
        for request in ({}, {"epoch": "x", "offset": 1}):
            assert await bob.refused("join", room="den", **request) == "no_room"
        assert await bob.refused("history", room="den") == "no_room"
        assert await bob.refused("members", room="den") == "no_room"
        assert await bob.refused("post", room="den", mid="m", text="x") == "no_room"
        assert await bob.refused("join", room="nowhere") == "no_room"
        await ada.ok("invite", room="den", mid="i", user="bob")
        assert (await bob.push("added"))["room"] == "den"
        assert (await bob.ok("join", room="den"))["room"]["role"] == "member"


@pytest.mark.parametrize(("request_", "why"), [("kick", "kicked"), ("ban", "banned")])
async def test_who_is_removed_hears_no_more(request_: str, why: str) -> None:
    async with chat() as town, town.client("ada", "town") as ada, town.client("bob", "town") as bob:
        until = {"until": 9_999_999_999_999} if request_ == "ban" else {}
        await ada.ok(request_, room="town", mid="k", user="bob", **until)
        await posts(ada, "secret")
        pushes = await bob.quiet()
        assert offsets(pushes) == [3]  # of its own removal
        assert [push for push in pushes if push["t"] == "removed"] == [
            {"t": "removed", "room": "town", "why": why}
        ]
        assert await bob.refused("post", room="town", mid="m", text="x") in ("forbidden", "banned")
        if why == "banned":
            assert await bob.refused("join", room="town") == "banned"
        else:
            await bob.ok("join", room="town")


@pytest.mark.parametrize("seed", range(12))
async def test_who_is_removed_while_it_joins_does_not_follow(seed: int) -> None:
    database = InlineDatabase(Random(seed))
    async with (
        chat(inline_store(database)) as town,
        town.client("ada", "town") as ada,
        town.client("bob") as bob,
    ):
        await bob.ok("join", room="town")
        await bob.ok("leave", room="town")
        database.delay = 1.0
        await bob.send({"t": "join", "id": 77, "room": "town"})
        await ada.ok("ban", room="town", mid="k", user="bob", until=9_999_999_999_999)
        assert (await bob.reply(77))["t"] in ("joined", "error")
        await posts(ada, "secret")
        pushes = await bob.quiet(9)
        assert 4 not in offsets(pushes)
        (room,) = town.hub.rooms.values()
        assert [follower.user for follower in room.followers] == ["ada"]


async def test_a_deleted_room_is_told_and_its_name_begins_anew() -> None:
    async with chat() as town, town.client("ada", "town") as ada, town.client("bob", "town") as bob:
        position = (await bob.ok("join", room="town"))["room"]
        await ada.ok("delete_room", room="town")
        assert (await bob.push("removed"))["why"] == "deleted"
        assert await bob.refused("post", room="town", mid="m", text="x") == "no_room"
        await ada.ok("create", room="town")
        joined = await bob.ok("join", room="town", epoch=position["epoch"], offset=position["offset"])
        assert not joined.get("complete")
        assert joined["room"]["epoch"] != position["epoch"]


async def test_readers_only_read_and_muted_members_too() -> None:
    store = inline_store()
    async with chat(store) as town, town.client("ada", "town") as ada, town.client("bob", "town") as bob:
        await ada.ok("mute", room="town", mid="m", user="bob", until=9_999_999_999_999)
        assert await bob.refused("post", room="town", mid="a", text="x") == "muted"
        await ada.ok("mute", room="town", mid="n", user="bob", until=0)
        await store.append("ada", "town", "r", RoleSet("bob", Role.READER))
        assert await bob.refused("post", room="town", mid="b", text="x") == "forbidden"


async def test_a_direct_room_is_told_to_the_other_one() -> None:
    async with chat() as town, town.client("ada") as ada, town.client("bob") as bob:
        made = await ada.ok("create", kind="direct", user="bob")
        assert (await bob.push("added"))["room"] == made["room"]["room"]
        assert (await bob.ok("create", kind="direct", user="ada"))["room"]["room"] == made["room"]["room"]
        assert await ada.refused("create", kind="direct", user="nobody") == "no_user"
        assert await ada.refused("create", kind="direct") == "malformed"
        assert await ada.refused("create") == "malformed"


async def test_edits_reactions_and_deletions_are_events_of_the_log() -> None:
    async with chat() as town, town.client("ada", "town") as ada:
        await posts(ada, "helo")
        await ada.ok("edit", room="town", mid="e", target=2, text="hello")
        await ada.ok("react", room="town", mid="r", target=2, emoji="👍")
        await ada.ok("read", room="town", offset=2)
        await ada.ok("room", room="town", mid="n", name="Town", topic="talk")
        await ada.ok("post", room="town", mid="p", text="bye", reply_to=2)
        await ada.ok("delete", room="town", mid="d", target=7)
        assert [entry["body"]["e"] for entry in await ada.entries(7)] == [
            "posted",
            "edited",
            "reacted",
            "read",
            "room",
            "posted",
            "deleted",
        ]
        page = await ada.ok("history", room="town")
        assert page["messages"][0]["reactions"] == {"👍": ["ada"]}
        assert (await ada.ok("search", text="hello"))["hits"][0]["message"]["offset"] == 2
        members = (await ada.ok("members", room="town"))["members"]
        assert members == [{"user": "ada", "name": "Ada", "role": "owner", "online": True, "read": 2}]


# -- people --------------------------------------------------------------------------------------------------


async def test_join_and_leave_storms_are_batched() -> None:
    async with chat() as town, town.client("ada", "town") as ada, AsyncExitStack() as stack:
        assert (await ada.push("presence"))["count"] == 1
        for number in range(50):
            await stack.enter_async_context(town.client(f"u{number}", "town"))
        told = await ada.push("presence")
        assert (told["count"], len(told["joined"])) == (51, 50)
        await stack.aclose()
        told = await ada.push("presence")
        assert (told["count"], len(told["left"])) == (1, 50)
        assert not town.hub.rooms["town"].typists


async def test_a_reconnect_within_the_interval_is_not_told() -> None:
    async with chat() as town, town.client("ada", "town") as ada:
        async with town.client("bob", "town"):
            await asyncio.sleep(2)
        async with town.client("bob", "town"):
            await ada.quiet(0.1)
            await asyncio.sleep(2)
            ada.pushes.clear()
            await ada.quiet(2)
            assert (await ada.ok("join", room="town"))["count"] == 2


async def test_a_user_of_two_connections_leaves_with_the_last() -> None:
    async with chat() as town, town.client("ada", "town") as ada:
        async with town.client("bob", "town"):
            async with town.client("bob", "town"):
                await asyncio.sleep(2)
            assert (await ada.ok("join", room="town"))["count"] == 2
        assert (await ada.ok("join", room="town"))["count"] == 1


async def test_typing_is_told_once_and_forgotten_after_six_seconds() -> None:
    async with chat() as town, town.client("ada", "town") as ada, town.client("bob", "town") as bob:
        loop = asyncio.get_running_loop()
        for _ in range(3):
            await bob.send({"t": "typing", "room": "town"})
        assert (await ada.push("typing"))["users"] == ["bob"]
        begun = loop.time()
        assert (await ada.push("typing"))["users"] == []
        assert loop.time() - begun == pytest.approx(6, abs=0.5)
        await asyncio.sleep(1)
        await bob.send({"t": "typing", "room": "nowhere"})
        await bob.send({"t": "typing", "room": "town"}, {"t": "typing", "room": "town", "on": False})
        assert (await ada.push("typing"))["users"] == ["bob"]
        assert (await ada.push("typing"))["users"] == []


# -- slow members --------------------------------------------------------------------------------------------


async def test_one_slow_reader_grows_memory_without_end() -> None:
    """A trap of the guide's sketch, and micronaut #8984. Ours is told to resync, with its position good."""
    store = inline_store()
    async with (
        chat(store, high_watermark=20_000, post_rate="9999/second", request_rate="9999/second") as town,
        town.client("ada", "town") as ada,
        town.client("bob") as bob,
    ):
        at = (await bob.ok("join", room="town"))["room"]
        bob.ws.session.hold()
        (slow,) = [session for session in town.hub.sessions if session.user == "bob"]
        most = 0
        for number in range(400):
            await ada.ok("post", room="town", mid=str(number), text="x" * 2000)
            ada.pushes.clear()
            most = max(most, slow.ws.buffered)
        bob.ws.session.release()
        pushes = await bob.quiet()
        got = offsets(pushes)
        assert most < 200_000
        assert got == list(range(at["offset"] + 1, at["offset"] + 1 + len(got)))
        assert len(got) < 400
        assert pushes[-1] == {"t": "resync", "room": "town"}
        joined = await bob.ok("join", room="town", epoch=at["epoch"], offset=got[-1])
        assert joined["complete"]
        assert len(joined["entries"]) == 400 - len(got)
        assert town.hub.stats.slow == 1
        await posts(ada, "after")
        assert offsets(await bob.quiet()) == [joined["room"]["offset"] + 1]


async def test_a_socket_that_never_reads_is_closed_with_4508() -> None:
    async with (
        chat(
            high_watermark=20_000, post_rate="9999/second", request_rate="9999/second", slow_timeout=5.0
        ) as town,
        town.client("ada", "town") as ada,
        town.client("bob", "town") as bob,
    ):
        bob.ws.session.hold()
        for number in range(200):
            await ada.ok("post", room="town", mid=str(number), text="x" * 2000)
        await asyncio.sleep(8)
        assert [session.user for session in town.hub.sessions if not session.ws.closed] == ["ada"]
        assert list(town.hub.users) == ["ada"]


# -- several processes ---------------------------------------------------------------------------------------


async def two(stack: AsyncExitStack, ether: Ether, **settings: Any) -> tuple[Chat, Chat, InlineDatabase]:
    database = InlineDatabase()
    store = inline_store(database)
    first = await stack.enter_async_context(chat(store, bus=ether.bus(), **settings))
    second = await stack.enter_async_context(chat(store, bus=ether.bus(), **settings))
    return first, second, database


async def test_two_processes_hear_each_other() -> None:
    async with AsyncExitStack() as stack:
        one, other, database = await two(stack, Ether())
        ada = await stack.enter_async_context(one.client("ada", "town"))
        bob = await stack.enter_async_context(other.client("bob", "town"))
        await posts(ada, "from one")
        await posts(bob, "from the other")
        assert offsets(await ada.quiet()) == [2, 3, 4]
        assert offsets(await bob.quiet()) == [3, 4]
        reads = database.reads
        await posts(ada, "no need to read")
        assert offsets(await bob.quiet(0.5)) == [5]
        assert database.reads == reads


async def test_what_the_bus_loses_is_read_from_the_log() -> None:
    async with AsyncExitStack() as stack:
        ether = Ether()
        one, other, _ = await two(stack, ether)
        ada = await stack.enter_async_context(one.client("ada", "town"))
        bob = await stack.enter_async_context(other.client("bob", "town"))
        ether.loss = 1.0
        await posts(ada, "a", "b", "c")
        assert offsets(await bob.quiet(0.1)) == []
        ether.loss = 0.0
        await posts(ada, "d")  # a gap
        assert offsets(await bob.quiet(1)) == [3, 4, 5, 6]
        ether.loss = 1.0
        await posts(ada, "e")  # and nothing behind it
        assert offsets(await bob.quiet(6)) == [7]


async def test_a_lost_bus_is_found_out_and_every_room_resyncs_from_the_log() -> None:
    async with AsyncExitStack() as stack:
        ether = Ether()
        one, other, _ = await two(stack, ether, verify_interval=1e6)
        ada = await stack.enter_async_context(one.client("ada", "town"))
        bob = await stack.enter_async_context(other.client("bob", "town"))
        ether.down = True
        await posts(ada, "a", "b")
        assert offsets(await bob.quiet(10)) == []
        ether.mend()
        assert offsets(await bob.quiet(1)) == [3, 4]


async def test_entries_too_large_for_the_bus_are_read_from_the_log() -> None:
    async with AsyncExitStack() as stack:
        ether = Ether()
        store = inline_store()
        one = await stack.enter_async_context(chat(store, bus=ether.bus(max_bytes=500)))
        other = await stack.enter_async_context(chat(store, bus=ether.bus()))
        ada = await stack.enter_async_context(one.client("ada", "town"))
        bob = await stack.enter_async_context(other.client("bob", "town"))
        await posts(ada, "x" * 1000, "y")
        assert offsets(await bob.quiet(1)) == [3, 4]


async def test_a_room_that_was_deleted_and_made_again_unheard_is_told() -> None:
    async with AsyncExitStack() as stack:
        ether = Ether()
        one, other, _ = await two(stack, ether)
        ada = await stack.enter_async_context(one.client("ada", "town"))
        bob = await stack.enter_async_context(other.client("bob", "town"))
        ether.loss = 1.0
        await ada.ok("delete_room", room="town")
        await ada.ok("create", room="town")
        pushes = await bob.quiet(10)
        assert [push["t"] for push in pushes] == ["resync"]
        joined = await bob.ok("join", room="town")
        assert not joined.get("complete")
        assert joined["room"]["offset"] == 2


async def test_a_deletion_is_told_in_the_other_process() -> None:
    async with AsyncExitStack() as stack:
        one, other, _ = await two(stack, Ether())
        ada = await stack.enter_async_context(one.client("ada", "town"))
        bob = await stack.enter_async_context(other.client("bob", "town"))
        await ada.ok("delete_room", room="town")
        assert (await bob.push("removed"))["why"] == "deleted"
        cy = await stack.enter_async_context(other.client("cy"))
        await ada.ok("create", room="den", kind="private")
        await ada.ok("invite", room="den", mid="i", user="cy")
        assert (await cy.push("added"))["room"] == "den"
        assert await ada.ok("create", kind="direct", user="cy")
        assert (await cy.push("added"))["room"].startswith("direct.")


async def test_people_of_all_processes_are_there_and_zombies_are_not() -> None:
    """phoenix #2306, #2255; cometd #456: who was there by a process that died stays for ever. Ours is a lease."""
    async with AsyncExitStack() as stack:
        ether = Ether()
        one, other, _ = await two(stack, ether)
        ada = await stack.enter_async_context(one.client("ada", "town"))
        bob = await stack.enter_async_context(other.client("bob", "town"))
        await asyncio.sleep(2)
        for client in (ada, bob):
            joined = await client.ok("join", room="town")
            assert (joined["count"], sorted(joined["present"])) == (2, ["ada", "bob"])
        await bob.send({"t": "typing", "room": "town"})
        assert (await ada.push("typing"))["users"] == ["bob"]
        ether.lines[1].die()
        begun = asyncio.get_running_loop().time()
        while (await ada.push("presence")).get("left") != ["bob"]:
            pass
        assert 10 < asyncio.get_running_loop().time() - begun < 20


async def test_a_missed_coming_is_asked_for() -> None:
    async with AsyncExitStack() as stack:
        ether = Ether()
        one, other, _ = await two(stack, ether)
        ada = await stack.enter_async_context(one.client("ada", "town"))
        ether.loss = 1.0
        await stack.enter_async_context(other.client("bob", "town"))
        await asyncio.sleep(3)
        assert (await ada.ok("join", room="town"))["count"] == 1
        ether.loss = 0.0
        await asyncio.sleep(8)
        assert (await ada.ok("join", room="town"))["count"] == 2


async def test_a_bus_that_brings_rubbish_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async with AsyncExitStack() as stack:
        ether = Ether()
        one, _, _ = await two(stack, ether)
        ada = await stack.enter_async_context(one.client("ada", "town"))
        ether.carry(b"\xc1rubbish")
        await posts(ada, "fine")
        assert offsets(await ada.quiet()) == [2]
    assert "not understood" in caplog.text


async def test_operators_close_and_tell_in_every_process() -> None:
    async with AsyncExitStack() as stack:
        one, other, _ = await two(stack, Ether(), admin_token="operators only, please")
        bob = await stack.enter_async_context(other.client("bob", "town"))
        cy = await stack.enter_async_context(other.client("cy", "town"))
        http, fields = one.http, {"authorization": "Bearer operators only, please"}
        for path in ("status", "rooms", "connections"):
            await http.get(f"/chat/admin/{path}", expect=401)
            await http.get(f"/chat/admin/{path}", headers={"authorization": "Bearer wrong"}, expect=401)
        rooms = (await other.http.get("/chat/admin/rooms", headers=fields, expect=200)).json()
        assert rooms == [{"room": "town", "followers": 2, "present": 2, "position": 3}]
        listed = (await other.http.get("/chat/admin/connections?user=bob", headers=fields, expect=200)).json()
        assert [(each["user"], each["rooms"]) for each in listed] == [("bob", 1)]
        status = (await other.http.get("/chat/admin/status", headers=fields, expect=200)).json()
        assert (status["connections"], status["users"], status["stats"]["entries"]) == (2, 2, 2)
        await http.post("/chat/admin/notice", json={"text": "supper"}, headers=fields, expect=204)
        assert (await cy.push("notice"))["text"] == "supper"
        await http.post("/chat/admin/kick", json={}, headers=fields, expect=422)
        await http.post("/chat/admin/kick", json={"user": "bob"}, headers=fields, expect=200)
        assert await bob.closed() == 4500
        assert (await cy.ok("ping"))["t"] == "pong"
