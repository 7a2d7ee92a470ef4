"""A flush of a channel with 500 members whose writes do nothing, beside the loop that it cannot be faster than."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from benchmarks.micro.runner import Case
from framework.channels import Channels
from framework.wire.websocket.compression import Deflater
from framework.wire.websocket.frames import Prepared

MEMBERS = 500
TEXT = "x" * 64


class NullMember:
    """All of it done in C: what is left is the channel's own."""

    __slots__ = ("buffered", "closed", "deflater", "on_closed", "on_drained", "start_closing", "write_frames")

    def __init__(self) -> None:
        self.buffered = 0
        self.closed = False
        self.deflater: Deflater | None = None
        self.write_frames: Callable[[bytes], None] = deque[bytes](maxlen=1).append
        self.on_closed: Callable[[Callable[[object], None]], None] = deque[object](maxlen=1).append
        self.on_drained: Callable[[Callable[[], None]], None] = deque[object](maxlen=1).append

        def refuse(code: int, reason: str) -> None:
            raise RuntimeError(f"a member was closed with {code}")

        self.start_closing = refuse


def floor(members: list[NullMember], depth: int) -> None:
    joined = b"".join([Prepared(TEXT).frame() for _ in range(depth)])
    for member in members:
        member.write_frames(joined)


def cases() -> Iterator[Case]:
    """To be called, and its cases run, in a callback of a running loop."""
    channels = Channels()
    channel = channels.channel("one")
    members = [NullMember() for _ in range(MEMBERS)]
    for member in members:
        channel.subscribe(member)
    both = Channels()
    for name in ("one", "other"):
        for member in members:
            both.channel(name).subscribe(member)
    for depth in (1, 8):
        base = f"floor: a loop of writes, {depth} joined"
        yield Case(
            "channels",
            base,
            "floor(members, depth)",
            {"floor": floor, "members": members, "depth": depth},
            operations=MEMBERS,
        )
        for title, exclude in (("publish and flush", False), ("each without its sender", True)):
            yield Case(
                "channels",
                f"{title}, {depth} messages",
                "for sender in senders:\n    publish(text, exclude=sender)\nflush()",
                {
                    "senders": members[:depth] if exclude else [None] * depth,
                    "publish": channel.publish,
                    "text": TEXT,
                    "flush": channels.cork.flush,
                },
                operations=MEMBERS,
                baseline=base,
            )
    yield Case(
        "channels",
        "two channels with the same members, 1 message each",
        "one(text)\nother(text)\nflush()",
        {
            "one": both.channel("one").publish,
            "other": both.channel("other").publish,
            "text": TEXT,
            "flush": both.cork.flush,
        },
        operations=MEMBERS,
        baseline="floor: a loop of writes, 1 joined",
    )
