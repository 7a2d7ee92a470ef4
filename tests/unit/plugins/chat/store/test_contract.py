"""What every engine of the chat's logs must do. ``town`` has five entries: its members, entering."""

from __future__ import annotations

import asyncio
import contextlib

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from framework.plugins.chat.errors import ChatError
from framework.plugins.chat.events import (
    Banned,
    Deleted,
    Edited,
    Entered,
    Entry,
    Event,
    Message,
    Muted,
    Posted,
    Quit,
    Reacted,
    ReadUpTo,
    Role,
    RoleSet,
    RoomKind,
    RoomSet,
)
from framework.plugins.chat.store import ChatStore, Opening

pytestmark = pytest.mark.anyio

FOUNDED = 5
FUTURE = 2**52


async def post(store: ChatStore, user: str, text: str, mid: str | None = None, room: str = "town") -> int:
    appended = await store.append(user, room, mid or f"m-{text}", Posted(text))
    return appended.entry.offset


async def refused(store: ChatStore, user: str, body: Event, room: str = "town") -> str:
    with pytest.raises(ChatError) as caught:
        await store.append(user, room, "refused", body)
    return caught.value.code


async def opened(
    store: ChatStore, user: str, epoch: str | None = None, offset: int = 0, most: int = 100
) -> Opening:
    return await store.opening(user, "town", epoch=epoch, offset=offset, limit=50, max_entries=most)


async def latest(store: ChatStore, user: str = "ada") -> list[Message]:
    return (await store.history(user, "town", before=None, after=None, limit=50)).messages


# -- the log ----------------------------------------------------------------------------------------------------------


async def test_offsets_are_dense_from_one(town: ChatStore) -> None:
    for number in range(10):
        assert await post(town, "bob", str(number)) == FOUNDED + 1 + number
    entries = await town.read("town", after=0, limit=100)
    assert [entry.offset for entry in entries] == list(range(1, FOUNDED + 11))


async def test_ids_from_the_clock_are_not_ordered(town: ChatStore) -> None:
    """The guide's sketch orders by the clock. Ours may step back: order is the offset's."""
    await town.append("bob", "town", "a", Posted("first"), at=2_000_000)
    await town.append("bob", "town", "b", Posted("second"), at=1_000_000)
    assert [message.text for message in await latest(town)] == ["first", "second"]


async def test_a_resend_is_not_a_second_message(town: ChatStore) -> None:
    first = await town.append("bob", "town", "same", Posted("hello"))
    again = await town.append("bob", "town", "same", Posted("hello, changed"))
    assert (first.again, again.again) == (False, True)
    assert again.entry == first.entry
    other = await town.append("cy", "town", "same", Posted("mine"))
    assert other.entry.offset == first.entry.offset + 1, "ids belong to their user"
    assert [message.text for message in await latest(town)] == ["hello", "mine"]


async def test_a_resend_is_answered_even_when_it_would_be_refused_now(town: ChatStore) -> None:
    first = await town.append("bob", "town", "same", Posted("hello"))
    await town.append("mo", "town", "mute", Muted("bob", FUTURE))
    assert (await town.append("bob", "town", "same", Posted("hello"))).entry == first.entry


async def test_many_at_once_lose_and_double_nothing(town: ChatStore) -> None:
    appended = await asyncio.gather(
        *(town.append(("bob", "cy")[n % 2], "town", f"m{n // 3}", Posted(f"{n // 3}")) for n in range(300))
    )
    offsets = {each.entry.offset for each in appended}
    assert offsets == set(range(FOUNDED + 1, FOUNDED + 1 + len(offsets)))
    assert len(offsets) == len({(n % 2, n // 3) for n in range(300)})
    entries = await town.read("town", after=FOUNDED, limit=1000)
    assert {entry.offset for entry in entries} == offsets


async def test_what_is_appended_one_after_the_other_keeps_that_order(town: ChatStore) -> None:
    appended = await asyncio.gather(*(town.append("bob", "town", f"m{n}", Posted(str(n))) for n in range(50)))
    assert [each.entry.offset for each in appended] == list(range(FOUNDED + 1, FOUNDED + 51))


async def test_edits_deletions_and_reactions_are_entries(town: ChatStore) -> None:
    one = await post(town, "bob", "helo")
    await town.append("bob", "town", "e", Edited(one, "hello"), at=77)
    await town.append("cy", "town", "r1", Reacted(one, "👍"))
    await town.append("ada", "town", "r2", Reacted(one, "👍"))
    await town.append("cy", "town", "r3", Reacted(one, "🎉"))
    last = await town.append("cy", "town", "r4", Reacted(one, "👍", on=False))
    (message,) = await latest(town)
    assert (message.text, message.edited, message.changed) == ("hello", 77, last.entry.offset)
    assert message.reactions == {"👍": ["ada"], "🎉": ["cy"]}
    entries = await town.read("town", after=one, limit=10)
    assert [type(entry.body) for entry in entries] == [Edited, Reacted, Reacted, Reacted, Reacted]


async def test_what_was_deleted_is_read_by_nobody(town: ChatStore) -> None:
    one = await post(town, "bob", "secret", "m")
    await town.append("bob", "town", "e", Edited(one, "secret too"))
    await town.append("cy", "town", "r", Reacted(one, "👍"))
    await town.append("bob", "town", "d", Deleted(one))
    (message,) = await latest(town)
    assert (message.text, message.deleted, message.reactions) == ("", True, {})
    entries = await town.read("town", after=0, limit=100)
    assert b"secret" not in msgspec.json.encode(entries)
    assert await town.search("bob", "secret", room=None, before=None, limit=10) == []
    assert await refused(town, "bob", Edited(one, "back")) == "no_message"
    assert await refused(town, "cy", Reacted(one, "👍")) == "no_message"


async def test_replies_name_a_message_that_is_there(town: ChatStore) -> None:
    one = await post(town, "bob", "question")
    await town.append("cy", "town", "a", Posted("answer", reply_to=one))
    assert (await latest(town))[-1].reply_to == one
    assert await refused(town, "cy", Posted("to nothing", reply_to=1)) == "no_message"
    assert await refused(town, "cy", Posted("to nothing", reply_to=999)) == "no_message"


# -- following --------------------------------------------------------------------------------------------------------


async def test_resume_is_complete_or_says_that_it_is_not(town: ChatStore) -> None:
    fresh = await opened(town, "bob")
    assert (fresh.complete, fresh.messages, fresh.entries) == (False, [], [])
    epoch = fresh.room.epoch
    for number in range(5):
        await post(town, "cy", str(number))
    resumed = await opened(town, "bob", epoch, fresh.room.offset)
    assert resumed.complete
    assert [entry.offset for entry in resumed.entries] == list(range(FOUNDED + 1, FOUNDED + 6))
    assert (await opened(town, "bob", epoch, FOUNDED + 5)).complete, "nothing missed"
    other = await opened(town, "bob", "another", FOUNDED)
    assert (other.complete, len(other.messages)) == (False, 5)
    far = await opened(town, "bob", epoch, 0, most=3)
    assert (far.complete, len(far.messages)) == (False, 5)


async def test_a_position_from_the_future_is_refused(town: ChatStore) -> None:
    room = (await opened(town, "bob")).room
    with pytest.raises(ChatError) as caught:
        await opened(town, "bob", room.epoch, room.offset + 1)
    assert caught.value.code == "bad_position"
    assert not (await opened(town, "bob", "never was", room.offset + 1)).complete


async def test_a_position_that_retention_has_passed_is_not_complete(town: ChatStore) -> None:
    for number in range(10):
        await post(town, "bob", str(number))
    room = (await opened(town, "bob")).room
    cut = await town.retain("town", max_entries=4)
    assert (cut.first, cut.removed) == (FOUNDED + 7, FOUNDED + 6)
    assert (await opened(town, "bob", room.epoch, FOUNDED + 6)).complete
    early = await opened(town, "bob", room.epoch, FOUNDED + 5)
    assert not early.complete
    assert [message.text for message in early.messages] == ["6", "7", "8", "9"]
    assert early.room.first == FOUNDED + 7
    assert await post(town, "bob", "goes on") == FOUNDED + 11
    gone = await town.retain("town", min_at=FUTURE)
    assert gone.first == FOUNDED + 12
    assert (await opened(town, "bob", room.epoch, FOUNDED + 11)).complete


async def test_read_markers_make_unread_counts_and_never_go_back(town: ChatStore) -> None:
    for number in range(4):
        await post(town, "cy", str(number))
    mine = await post(town, "bob", "mine")
    room = (await opened(town, "bob")).room
    assert (room.unread, room.read) == (4, 2), "one's own do not count, nor what was before one entered"
    await town.append("bob", "town", "r1", ReadUpTo(FOUNDED + 3))
    assert (await opened(town, "bob")).room.unread == 1
    await town.append("bob", "town", "r2", ReadUpTo(FOUNDED + 1))
    assert (await opened(town, "bob")).room.unread == 1
    assert await refused(town, "bob", ReadUpTo(mine + 5)) == "bad_position"
    members = {member.user: member.read for member in await town.members("cy", "town")}
    assert members["bob"] == FOUNDED + 3


# -- pages ------------------------------------------------------------------------------------------------------------


async def test_history_by_offset_skips_or_repeats_under_writes(town: ChatStore) -> None:
    """The guide's sketch pages by position from the end: a message that comes between two pages shows one twice."""
    for number in range(20):
        await post(town, "bob", str(number))
    seen: list[str] = []
    before: int | None = None
    while True:
        page = await town.history("bob", "town", before=before, after=None, limit=6)
        seen = [message.text for message in page.messages] + seen
        await post(town, "cy", f"between {before}")
        await town.append("bob", "town", f"r{before}", Reacted(page.messages[0].offset, "👍"))
        if not page.more:
            break
        before = page.messages[0].offset
    assert seen == [str(number) for number in range(20)]


async def test_pages_go_forward_as_well(town: ChatStore) -> None:
    for number in range(7):
        await post(town, "bob", str(number))
    page = await town.history("bob", "town", before=None, after=FOUNDED + 1, limit=3)
    assert ([message.text for message in page.messages], page.more) == (["1", "2", "3"], True)
    last = await town.history("bob", "town", before=None, after=FOUNDED + 4, limit=3)
    assert ([message.text for message in last.messages], last.more) == (["4", "5", "6"], False)
    assert last.asof == FOUNDED + 7
    with pytest.raises(ChatError):
        await town.history("bob", "town", before=3, after=3, limit=3)


async def test_search_finds_words_in_ones_own_rooms(town: ChatStore) -> None:
    await town.create("eve", "cellar", RoomKind.PRIVATE)
    await post(town, "eve", "the café in the cellar", room="cellar")
    await post(town, "bob", "meet me at the Café tomorrow")
    two = await post(town, "cy", "no coffee")
    await town.append("cy", "town", "e", Edited(two, "which cafe?"))

    async def found(user: str, text: str, room: str | None = None) -> list[str]:
        return [hit.message.text for hit in await town.search(user, text, room=room, before=None, limit=10)]

    assert await found("ada", "cafe") == ["which cafe?", "meet me at the Café tomorrow"]
    assert await found("ada", "CAFÉ tom") == ["meet me at the Café tomorrow"]
    assert await found("eve", "cafe") == ["the café in the cellar"]
    assert await found("ada", "coffee") == []
    assert await found("ada", "cafe", "cellar") == []
    assert await found("ada", '" OR * NEAR(') == []
    assert await found("ada", "?!") == []


# -- rooms and rights -------------------------------------------------------------------------------------------------


async def test_rooms_are_listed_by_their_latest_entry(town: ChatStore) -> None:
    await town.create("bob", "attic", RoomKind.PUBLIC, topic="dusty")
    await town.append("bob", "attic", "a", Posted("later"), at=FUTURE)
    rooms = await town.rooms("bob")
    assert [(room.room, room.role) for room in rooms] == [("attic", Role.OWNER), ("town", Role.MEMBER)]
    assert (rooms[0].last, rooms[1].last) == (rooms[0].last, None)
    assert rooms[0].last is not None
    assert rooms[0].last.text == "later"
    assert [room.room for room in await town.rooms("eve", public=True)] == ["attic", "town"]
    assert [room.room for room in await town.rooms("eve", public=True, like="SQUARE")] == ["town"]
    assert await town.rooms("eve") == []
    assert await town.room_names() == ["attic", "town"]


async def test_direct_rooms_are_one_for_each_pair(town: ChatStore) -> None:
    one = await town.create("bob", "d1", RoomKind.DIRECT, other="eve")
    same = await town.create("eve", "d2", RoomKind.DIRECT, other="bob")
    assert (one.room, same.room, one.with_user, same.with_user) == ("d1", "d1", "eve", "bob")
    await post(town, "eve", "psst", room="d1")
    for body in (Entered("cy"), Quit("eve"), RoleSet("eve", Role.OWNER), Muted("eve", 5), Banned("eve", 5)):
        assert await refused(town, "bob", body, "d1") == "forbidden"
    assert await refused(town, "cy", Posted("hello"), "d1") == "no_room"
    with pytest.raises(ChatError, match="nobody of that name"):
        await town.create("bob", "d3", RoomKind.DIRECT, other="nobody")


async def test_private_rooms_do_not_exist_for_strangers(town: ChatStore) -> None:
    await town.create("ada", "vault", RoomKind.PRIVATE)
    assert await refused(town, "eve", Posted("hello"), "vault") == "no_room"
    assert await refused(town, "eve", Entered("eve"), "vault") == "no_room"
    for call in (
        town.opening("eve", "vault", epoch=None, offset=0, limit=1, max_entries=1),
        town.history("eve", "vault", before=None, after=None, limit=1),
        town.members("eve", "vault"),
        town.enter("eve", "vault"),
        town.remove("eve", "vault"),
    ):
        with pytest.raises(ChatError) as caught:
            await call
        assert caught.value.code == "no_room"
    assert [room.room for room in await town.rooms("eve", public=True)] == ["town"]
    await town.append("ada", "vault", "i", Entered("eve"))
    assert await post(town, "eve", "thanks", room="vault") == 3


async def test_public_rooms_are_read_by_all_and_entered(town: ChatStore) -> None:
    assert (await opened(town, "eve")).room.role is None
    assert await refused(town, "eve", Posted("hello")) == "forbidden"
    assert await town.enter("eve", "town") is not None
    assert await town.enter("eve", "town") is None
    assert await post(town, "eve", "hello") == FOUNDED + 2
    await town.append("eve", "town", "bye", Quit("eve"))
    assert await town.role("eve", "town") is None
    assert await refused(town, "eve", Posted("one more thing")) == "forbidden"


@pytest.mark.parametrize(
    ("user", "body", "code"),
    [
        ("ray", Posted("readers read"), "forbidden"),
        ("ray", Reacted(6, "👍"), "forbidden"),
        ("cy", Edited(6, "not mine"), "forbidden"),
        ("cy", Deleted(6), "forbidden"),
        ("mo", Edited(6, "not even a moderator"), "forbidden"),
        ("bob", Entered("eve"), "forbidden"),
        ("bob", Quit("cy"), "forbidden"),
        ("bob", Muted("cy", FUTURE), "forbidden"),
        ("bob", Banned("cy", FUTURE), "forbidden"),
        ("mo", Quit("ada"), "forbidden"),
        ("mo", Muted("mo", FUTURE), "forbidden"),
        ("mo", Entered("eve", Role.OWNER), "forbidden"),
        ("mo", RoleSet("bob", Role.MODERATOR), "forbidden"),
        ("mo", RoomSet("mine"), "forbidden"),
        ("ada", RoleSet("ada", Role.MEMBER), "forbidden"),
        ("ada", Quit("ada"), "forbidden"),
        ("ada", RoleSet("eve", Role.MEMBER), "no_user"),
        ("ada", Muted("eve", FUTURE), "no_user"),
        ("ada", Edited(99, "nothing"), "no_message"),
        ("ada", Edited(1, "no message"), "no_message"),
        ("ada", Deleted(99), "no_message"),
        ("ada", Entered("bob"), "forbidden"),
        ("eve", ReadUpTo(1), "forbidden"),
    ],
)
async def test_rights(town: ChatStore, user: str, body: Event, code: str) -> None:
    assert await post(town, "bob", "of bob") == 6
    assert await refused(town, user, body) == code
    assert len(await town.read("town", after=0, limit=100)) == 6


async def test_moderators_delete_mute_and_ban(town: ChatStore) -> None:
    one = await post(town, "bob", "rude")
    await town.append("mo", "town", "d", Deleted(one))
    await town.append("mo", "town", "m", Muted("bob", 5000), at=1000)
    with pytest.raises(ChatError) as caught:
        await town.append("bob", "town", "x", Posted("but"), at=2000)
    assert (caught.value.code, caught.value.retry_after) == ("muted", 3.0)
    await town.append("bob", "town", "x", Posted("sorry"), at=5000)
    await town.append("mo", "town", "b", Banned("bob", 9000), at=6000)
    assert await town.role("bob", "town") is None
    with pytest.raises(ChatError) as caught:
        await town.append("bob", "town", "y", Entered("bob"), at=7000)
    assert caught.value.code == "banned"
    with pytest.raises(ChatError, match="that user is banned"):
        await town.append("mo", "town", "z", Entered("bob"), at=7000)
    await town.append("mo", "town", "unban", Banned("bob", 0), at=7500)
    await town.append("bob", "town", "back", Entered("bob"), at=8000)


async def test_owners_hand_over_and_delete(town: ChatStore) -> None:
    await town.append("ada", "town", "o", RoleSet("bob", Role.OWNER))
    await town.append("ada", "town", "q", Quit("ada"))
    await town.append("bob", "town", "n", RoomSet("Bob's", "now"))
    room = (await opened(town, "bob")).room
    assert (room.name, room.topic, room.members) == ("Bob's", "now", 4)
    with pytest.raises(ChatError):
        await town.remove("mo", "town")
    await post(town, "cy", "words to be found no more")
    assert sorted(await town.remove("bob", "town")) == ["bob", "cy", "mo", "ray"]
    assert await refused(town, "cy", Posted("hello?")) == "no_room"
    with pytest.raises(ChatError, match="no such room"):
        await town.read("town", after=0, limit=1)
    again = await town.create("cy", "town", RoomKind.PUBLIC)
    assert again.epoch != room.epoch, "a room of the same name is another one"
    assert await town.search("cy", "words", room=None, before=None, limit=1) == []


async def test_a_name_is_taken_once(town: ChatStore) -> None:
    with pytest.raises(ChatError) as caught:
        await town.create("eve", "town", RoomKind.PUBLIC)
    assert caught.value.code == "room_exists"


async def test_members_come_in_pages(town: ChatStore) -> None:
    first = await town.members("ada", "town", limit=3)
    rest = await town.members("ada", "town", after=first[-1].user, limit=3)
    assert [member.user for member in (*first, *rest)] == ["ada", "bob", "cy", "mo", "ray"]
    assert (first[0].name, first[0].role) == ("Ada", Role.OWNER)


async def test_the_log_is_exported_whole(town: ChatStore) -> None:
    for number in range(1100):
        await post(town, "bob", str(number))
    data = b"".join([piece async for piece in town.export("town")])
    entries = [msgspec.json.decode(line, type=Entry) for line in data.splitlines()]
    assert [entry.offset for entry in entries] == list(range(1, FOUNDED + 1101))
    await town.ping()


# -- the fold ---------------------------------------------------------------------------------------------------------

ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["ada", "bob", "cy"]),
        st.sampled_from("pedrx"),
        st.integers(0, 5),
        st.sampled_from("ab"),
    ),
    max_size=25,
)


def fold(entries: list[Entry]) -> dict[int, Message]:
    """The messages that a client makes of a log; written apart from the engines."""
    found: dict[int, Message] = {}
    for entry in entries:
        body = entry.body
        if isinstance(body, Posted):
            found[entry.offset] = Message(
                entry.offset, entry.offset, entry.at, entry.user, entry.mid, body.text
            )
            continue
        if not isinstance(body, Edited | Deleted | Reacted):
            continue
        old = found[body.target]
        if isinstance(body, Edited):
            new = msgspec.structs.replace(old, text=body.text, edited=entry.at)
        elif isinstance(body, Deleted):
            new = msgspec.structs.replace(old, text="", deleted=True, reactions={})
        else:
            users = [user for user in old.reactions.get(body.emoji, []) if user != entry.user]
            reactions = {emoji: who for emoji, who in old.reactions.items() if emoji != body.emoji}
            if body.on:
                users.append(entry.user)
            new = msgspec.structs.replace(
                old, reactions={**reactions, body.emoji: users} if users else reactions
            )
        found[body.target] = msgspec.structs.replace(new, changed=entry.offset)
    for offset, message in found.items():
        if message.deleted:
            found[offset] = msgspec.structs.replace(message, text="")
    return found


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions=ACTIONS)
async def test_messages_are_the_fold_of_the_log(
    town: ChatStore, actions: list[tuple[str, str, int, str]]
) -> None:
    room = f"r{len(await town.room_names())}"
    await town.create("ada", room, RoomKind.PUBLIC)
    for user in ("bob", "cy"):
        await town.append("ada", room, user, Entered(user))
    posted: list[int] = []
    for number, (user, kind, index, word) in enumerate(actions):
        target = posted[index % len(posted)] if posted else 1
        kinds: dict[str, Event] = {
            "p": Posted(f"{word}{number}"),
            "e": Edited(target, f"{word}!{number}"),
            "d": Deleted(target),
            "r": Reacted(target, word),
            "x": Reacted(target, word, on=False),
        }
        with contextlib.suppress(ChatError):
            appended = await town.append(user, room, str(number), kinds[kind])
            if kind == "p":
                posted.append(appended.entry.offset)
    entries = await town.read(room, after=0, limit=200)
    messages = (await town.history("cy", room, before=None, after=None, limit=200)).messages
    assert {message.offset: message for message in messages} == fold(entries)


async def test_positions_are_those_of_the_rooms_there_are(town: ChatStore) -> None:
    epoch = (await opened(town, "ada")).room.epoch
    assert await town.positions(["town", "nowhere"]) == {"town": (epoch, FOUNDED)}
    await post(town, "bob", "hello")
    assert await town.positions(["town"]) == {"town": (epoch, FOUNDED + 1)}
    assert await town.positions([]) == {}
