from __future__ import annotations

import pytest

from benchmarks.load.idle import raise_file_limit, shares


@pytest.mark.parametrize("connections", [2, 3, 4_999, 5_000, 5_001, 10_000, 23_456])
def test_shares_add_up_and_come_from_addresses_of_their_own(connections: int) -> None:
    parts = shares(connections)
    assert sum(count for _, count in parts) == connections
    assert all(0 < count <= 5_000 for _, count in parts)
    assert len(parts) % 2 == 0
    assert len({source for source, _ in parts}) == len(parts)
    assert all(source.startswith("127.0.0.") for source, _ in parts)


def test_more_files_than_the_machine_allows_are_refused_at_once() -> None:
    with pytest.raises(ValueError, match="ask for fewer --connections"):
        raise_file_limit(10**12)


def test_one_connection_is_too_few_to_compare() -> None:
    with pytest.raises(ValueError, match="at least two"):
        shares(1)
