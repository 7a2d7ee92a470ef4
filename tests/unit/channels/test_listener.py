"""Coroutines that listen: order, bounds, what happens past them, cancellation, the end."""

from __future__ import annotations

import asyncio

import pytest

from framework.channels import Channel, Channels, ChannelSettings, EventsLost, Listener, SlowConsumer
from framework.errors import ResourceError
from framework.http.sse import EventStream
from framework.testing import run_virtual


@pytest.fixture
def channel() -> Channel:
    return Channels().channel("tea")


async def read(listener: Listener, count: int) -> list[str | bytes]:
    return [await anext(listener) for _ in range(count)]


async def flushed() -> None:
    await asyncio.sleep(0)


def test_it_hears_what_is_published_between_entering_and_leaving(channel: Channel) -> None:
    async def main() -> None:
        listener = channel.listen()
        async with channel.listen(), listener as messages:
            channel.publish("early")
            async with channel.listen() as late:
                channel.publish("a")
                channel.publish(b"b")
                assert await read(messages, 3) == ["early", "a", b"b"]
                assert await read(late, 2) == ["a", b"b"]
            assert len(channel) == 2
        assert len(channel) == 0
        with pytest.raises(StopAsyncIteration):
            await anext(messages)
        with pytest.raises(RuntimeError, match="entered once"):
            await listener.__aenter__()

    run_virtual(main())
    assert channel.stats.delivered == 0  # handed over to the registry's when the channel vanished


def test_it_waits_for_what_comes_and_one_task_at_a_time(channel: Channel) -> None:
    async def main() -> None:
        async with channel.listen() as messages:
            waiting = asyncio.create_task(read(messages, 1))
            await flushed()
            with pytest.raises(RuntimeError, match="two tasks"):
                await anext(messages)
            channel.publish("x")
            assert await waiting == ["x"]

    run_virtual(main())


def test_a_cancelled_wait_loses_nothing(channel: Channel) -> None:
    async def main() -> None:
        async with channel.listen() as messages:
            waiting = asyncio.create_task(read(messages, 1))
            await flushed()
            channel.publish("x")
            await flushed()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert await read(messages, 1) == ["x"]

    run_virtual(main())


def test_resync_reads_what_waits_then_tells_what_is_lost_and_goes_on(channel: Channel) -> None:
    async def main() -> None:
        async with channel.listen(max_queue=2) as messages:
            for n in range(5):
                channel.publish(str(n))
            await flushed()
            assert await read(messages, 2) == ["0", "1"]
            channel.publish("lost as well")
            await flushed()
            with pytest.raises(EventsLost) as lost:
                await anext(messages)
            assert lost.value.missed == 4
            channel.publish("x")
            assert await read(messages, 1) == ["x"]
            assert channel.stats.resyncs == 1
            assert channel.stats.dropped == 4

    run_virtual(main())


def test_close_ends_it(channel: Channel) -> None:
    async def main() -> None:
        async with channel.listen(max_queue=1, overflow="close") as messages:
            channel.publish("0")
            channel.publish("1")
            await flushed()
            assert len(channel) == 0
            assert await read(messages, 1) == ["0"]
            with pytest.raises(SlowConsumer):
                await anext(messages)
            with pytest.raises(StopAsyncIteration):
                await anext(messages)

    run_virtual(main())


def test_drop_oldest_and_coalesce(channel: Channel) -> None:
    async def main() -> None:
        async with (
            channel.listen(max_queue=2, overflow="drop_oldest") as newest,
            channel.listen(overflow="coalesce") as latest,
        ):
            for n in range(6):
                channel.publish(str(n), key=n % 2)
            await flushed()
            assert await read(newest, 2) == ["4", "5"]
            assert await read(latest, 2) == ["4", "5"]
            assert channel.stats.coalesced == 4
            assert channel.stats.dropped == 4

    run_virtual(main())


def test_bytes_are_bounded_too(channel: Channel) -> None:
    async def main() -> None:
        async with channel.listen(max_bytes=100) as messages:
            for n in range(5):
                channel.publish(f"{n}".ljust(45))
            await flushed()
            assert messages.waiting == 2
            assert channel.stats.queued == 94
        assert channel.stats.queued == 0

    run_virtual(main())


def test_it_is_entered_before_it_is_read(channel: Channel) -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match="entered"):
            await anext(channel.listen())

    run_virtual(main())
    with pytest.raises(ValueError, match="room"):
        channel.listen(max_queue=0)


def test_listeners_count_as_members() -> None:
    channels = Channels(ChannelSettings(max_members=1))

    async def main() -> None:
        async with channels["tea"].listen():
            with pytest.raises(ResourceError):
                await channels["tea"].listen().__aenter__()
        assert len(channels) == 0

    run_virtual(main())


def test_closing_the_registry_ends_the_iteration() -> None:
    channels = Channels()

    async def main() -> None:
        async with channels["tea"].listen() as messages:
            waiting = asyncio.create_task(anext(messages, None))  # type: ignore[arg-type]
            await flushed()
            channels.close()
            assert await waiting is None

    run_virtual(main())


def test_drained_waits_for_listeners(channel: Channel) -> None:
    async def main() -> None:
        heard: list[str | bytes] = []

        async def listen() -> None:
            async with channel.listen(max_queue=2) as messages:
                async for message in messages:
                    await asyncio.sleep(1.0)
                    heard.append(message)

        task = asyncio.create_task(listen())
        await flushed()
        for n in range(6):
            channel.publish(str(n))
            await channel.drained()
        await asyncio.sleep(1.0)
        assert heard == list("012345")
        task.cancel()
        await asyncio.wait([task])

    run_virtual(main())


def test_an_event_stream_takes_a_listener(channel: Channel) -> None:
    async def main() -> None:
        async with channel.listen() as messages:
            stream = EventStream(messages)
            channel.publish("hello")
            body = aiter(stream.content)
            assert await anext(body) == b"data: hello\n\n"
            await body.aclose()  # type: ignore[attr-defined]

    run_virtual(main())
