"""The registry of an app: injected, configured by its section, ended with the app."""

from __future__ import annotations

import asyncio

import pytest

from framework import App
from framework.channels import Channels, ChannelSettings
from framework.errors import ConfigError
from framework.testing import TestClient, run_virtual
from tests.support.members import MemoryMember


def test_it_is_injected_and_its_own_for_each_app() -> None:
    app = App()

    @app.get("/members")
    def members(channels: Channels) -> int:
        return len(channels.channel("tea"))

    async def main() -> None:
        async with TestClient(app) as client:
            app.channels.channel("tea").subscribe(MemoryMember())
            assert (await client.get("/members")).json() == 1

    run_virtual(main())
    assert App().channels is not app.channels


def test_the_section_of_the_settings_sets_the_limits() -> None:
    app = App()
    assert app.channels.settings == ChannelSettings()
    app.build(environ={}, overrides={"channels.max_members": 2, "channels.max_turn_bytes": 10})
    assert app.channels.settings == ChannelSettings(max_members=2, max_turn_bytes=10)
    assert app.channels.cork.max_bytes == 10
    with pytest.raises(ConfigError, match="max_channels"):
        app.build(environ={}, overrides={"channels.max_channels": 0})


def test_listeners_end_with_the_app() -> None:
    app = App()

    async def main() -> None:
        async with app.build(environ={}).running():
            async with app.channels.channel("tea").listen() as messages:
                task = asyncio.create_task(anext(messages, None))  # type: ignore[arg-type]
                await asyncio.sleep(0)
                app.channels.close()
                assert await task is None
            member = MemoryMember()
            app.channels.channel("tea").subscribe(member)
            app.channels.channel("tea").publish("last")
        assert member.messages == ["last"]
        assert len(app.channels) == 0

    run_virtual(main())
