"""The first level against a dictionary: what it gives is what was put last, and its books are right."""

from __future__ import annotations

from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from framework.plugins.cache.memory import MemoryStore

KEYS = st.integers(0, 20)
TAGS = st.lists(st.sampled_from("xyz"), unique=True).map(tuple)


class StoreMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore(8, max_weight=40, random=Random(1), window=0.2)
        self.model: dict[int, tuple[int, float, tuple[str, ...]]] = {}
        self.now = 1.0
        self.value = 0

    @rule(key=KEYS, ttl=st.floats(0.1, 20), weight=st.integers(0, 45), tags=TAGS)
    def put(self, key: int, ttl: float, weight: int, tags: tuple[str, ...]) -> None:
        self.value += 1
        self.store.put(key, self.value, self.now, self.now + ttl, weight=weight, tags=tags)
        self.model[key] = (self.value, self.now + ttl, tags)

    @rule(key=KEYS)
    def find(self, key: int) -> None:
        entry = self.store.find(key, self.now)
        if entry is not None:
            assert (entry.value, entry.expires, entry.tags) == self.model[key]
            assert entry.expires > self.now

    @rule(key=KEYS)
    def delete(self, key: int) -> None:
        self.store.delete(key)
        self.model.pop(key, None)
        assert key not in self.store

    @rule(tag=st.sampled_from("xyz"))
    def untag(self, tag: str) -> None:
        self.store.delete_tagged([tag])
        self.model = {key: value for key, value in self.model.items() if tag not in value[2]}

    @rule(seconds=st.floats(0, 10))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def books_are_right(self) -> None:
        store, entries = self.store, self.store._entries
        assert len(entries) <= 8
        assert store.weight == sum(entry.weight for entry in entries.values()) <= 40
        segments = (store._window, store._probation, store._protected)
        assert sorted(key for segment in segments for key in segment.listed()) == sorted(entries)
        for number, segment in enumerate(segments):
            assert all(entries[key].segment == number for key in segment.listed())
            assert len(segment.listed()) == segment.size
        assert store._window_weight == sum(entries[key].weight for key in store._window.listed())
        for key, entry in entries.items():
            assert self.model[key][0] == entry.value
            assert key in store._buckets[entry.second]
            assert all(key in store._tags[tag] for tag in entry.tags)
        assert sum(map(len, store._buckets.values())) == len(entries)
        assert sum(map(len, store._tags.values())) == sum(len(entry.tags) for entry in entries.values())


StoreMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
test_store = StoreMachine.TestCase
