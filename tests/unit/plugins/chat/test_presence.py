"""Who is there and who types, as one room keeps it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from framework.plugins.chat.deadlines import Deadlines
from framework.plugins.chat.presence import Attendance, Typists


def test_a_user_is_there_until_its_last_connection_is_gone() -> None:
    people = Attendance(0)
    assert people.enter("ada")
    assert not people.enter("ada")
    people.present("other", 1, ["ada", "bob"])
    assert (len(people), people.changes()) == (2, (["ada", "bob"], []))
    assert not people.leave("ada")
    assert people.leave("ada")
    assert people.changes() == ([], [])
    people.forget("other")
    joined, left = people.changes()
    assert (joined, sorted(left)) == ([], ["ada", "bob"])
    assert len(people) == 0


def test_a_change_that_was_missed_is_noticed() -> None:
    people = Attendance(0)
    assert people.came("other", 1, ["ada"], [])
    assert people.came("other", 1, ["ada"], [])  # doubled
    assert not people.came("other", 3, ["bob"], [])
    people.present("other", 3, ["bob"])
    people.present("other", 2, ["ada"])  # late
    assert people.some(9) == ["bob"]
    assert people.came("other", 4, [], ["bob"])
    assert len(people) == 0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.booleans())))
def test_what_is_told_adds_up_to_who_is_there(steps: list[tuple[str, bool, bool]]) -> None:
    people = Attendance(0)
    there: dict[str, int] = {}
    told: set[str] = set()
    elsewhere: set[str] = set()
    for user, comes, tell in steps:
        if comes:
            people.enter(user)
            there[user] = there.get(user, 0) + 1
        elif there.get(user):
            people.leave(user)
            there[user] -= 1
        if tell:
            joined, left = people.changes()
            assert not told & set(joined)
            assert told >= set(left)
            told = (told | set(joined)) - set(left)
            joined, left = people.changes_here()
            elsewhere = (elsewhere | set(joined)) - set(left)
            assert told == elsewhere == {each for each, count in there.items() if count}


def test_typists_are_few_and_forgotten() -> None:
    typists = Typists(ttl=6.0, most=2)
    assert typists.set("a", True, 0.0)
    assert not typists.set("a", True, 1.0)
    assert typists.set("b", True, 2.0)
    assert not typists.set("c", True, 2.0)
    assert typists.expire(7.0)
    assert typists.users == ["b"]
    assert typists.set("b", False, 7.0)
    assert not typists.set("b", False, 7.0)
    assert not typists.expire(100.0)


class Thing:
    due = float("inf")


def test_a_deadline_that_was_moved_counts_once() -> None:
    deadlines: Deadlines[Thing] = Deadlines()
    one, two = Thing(), Thing()
    deadlines.set(one, 1.0)
    deadlines.set(two, 2.0)
    deadlines.set(one, 3.0)
    assert deadlines.pop(2.0) == [two]
    assert deadlines.pop(5.0) == [one]
    assert deadlines.pop(9.0) == []
