"""The section ``[users]`` of the settings."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct, field

__all__ = ["Argon2Cost", "UsersSettings"]


class Argon2Cost(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one argon2id hash costs (``[users.argon2]``).

    The defaults are the second recommendation of RFC 9106, section 4: three passes over 64 MiB in four lanes,
    about 0.1 s on one core. Hashes keep the cost they were made with, so it may be changed at any time.
    """

    time_cost: Annotated[int, Meta(ge=1, le=64, description="passes over the memory")] = 3
    memory_kib: Annotated[int, Meta(ge=8, le=4 * 1024 * 1024, description="memory of one hash in KiB")] = (
        64 * 1024
    )
    parallelism: Annotated[int, Meta(ge=1, le=64, description="lanes, each a thread")] = 4

    def __post_init__(self) -> None:
        if self.memory_kib < 8 * self.parallelism:
            raise ValueError(
                f"memory_kib must be at least 8 x parallelism = {8 * self.parallelism} (RFC 9106, 3.1)"
            )


class UsersSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of the users app. Hashing takes at most ``hash_workers`` x ``argon2.memory_kib`` at once."""

    database: Annotated[str, Meta(min_length=1, description="path of the SQLite file")] = "users.sqlite3"
    readers: Annotated[int, Meta(ge=1, le=16, description="reading connections")] = 2
    page_size: Annotated[int, Meta(ge=1, description="users on a page when the client does not say")] = 20
    max_page_size: Annotated[int, Meta(ge=1, le=1000, description="users on a page at most")] = 100
    argon2: Argon2Cost = field(default_factory=Argon2Cost)
    hash_workers: Annotated[int, Meta(ge=1, le=64, description="passwords hashed at once")] = 2
    max_hashing: Annotated[int, Meta(ge=1, description="passwords being hashed or waiting for it")] = 64
    hash_timeout: Annotated[float, Meta(gt=0, description="seconds to wait for a hash")] = 10.0

    def __post_init__(self) -> None:
        if self.page_size > self.max_page_size:
            raise ValueError(f"page_size {self.page_size} is above max_page_size {self.max_page_size}")
