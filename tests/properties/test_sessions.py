"""A session is a dict that remembers what changed; concurrent requests merge value by value."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from framework.middleware.session import Session
from framework.middleware.session_store import MemorySessionStore

KEYS = st.sampled_from("abcde")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
STEPS = st.lists(
    st.tuples(st.just("set"), KEYS, JSON)
    | st.tuples(st.just("delete"), KEYS, st.none())
    | st.tuples(st.just("append"), KEYS, JSON)
    | st.tuples(st.sampled_from(["clear", "end"]), st.none(), st.none()),
    max_size=12,
)


def encoded(values: dict[str, Any]) -> dict[str, bytes]:
    return {key: msgspec.json.encode(value) for key, value in values.items()}


def perform(target: Any, step: tuple[str, Any, Any]) -> None:
    kind, key, value = step
    if kind == "set":
        target[key] = value
    elif kind == "delete":
        target.pop(key, None)
    elif kind == "append":
        if isinstance(target.get(key), list):
            target[key].append(value)
    elif kind == "end" and isinstance(target, Session):
        target.end()
    else:
        target.clear()


@given(st.dictionaries(KEYS, JSON), STEPS)
def test_it_behaves_as_a_dict_and_knows_what_changed(
    begin: dict[str, Any], steps: list[tuple[str, Any, Any]]
) -> None:
    stored = encoded(begin)
    model: dict[str, Any] = {key: msgspec.json.decode(value) for key, value in stored.items()}
    session = Session(stored)
    for step in steps:
        perform(session, step)
        perform(model, step)
        assert dict(session) == model
        assert len(session) == len(model)
    changes = session.changes()
    assert session.merged(changes) == encoded(model)
    if not session.ended:
        for key, change in changes.items():
            assert stored.get(key) != change


@given(
    st.dictionaries(KEYS, st.integers()),
    st.lists(st.dictionaries(KEYS, st.integers(), max_size=2), max_size=4),
)
def test_concurrent_requests_lose_no_value_they_did_not_share(
    begin: dict[str, int], requests: list[dict[str, int]]
) -> None:
    """All read before any writes; of a value that several set, the last write stands."""

    async def play() -> dict[str, bytes]:
        store = MemorySessionStore()
        await store.set("id", encoded(begin), ttl=60, created=0.0)
        read = [await store.get("id") for _ in requests]
        for stored, values in zip(read, requests, strict=True):
            assert stored is not None
            session = Session(stored.values)
            session.update(values)
            await store.set("id", session.changes(), ttl=60)
        found = await store.get("id")
        assert found is not None
        return dict(found.values)

    expected = dict(begin)
    for values in requests:
        expected |= {key: value for key, value in values.items() if begin.get(key) != value}
    assert asyncio.run(play()) == encoded(expected)
