from __future__ import annotations

import asyncio
import sys

import pytest

from framework.net.loop import loop_name, new_event_loop, run


def test_uvloop_is_used_where_it_is_installed() -> None:
    pytest.importorskip("uvloop")
    loop = new_event_loop()
    assert loop_name(loop) == "uvloop"
    loop.close()


def test_plain_asyncio_is_used_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    loop = new_event_loop()
    assert loop_name(loop) == "asyncio"
    loop.close()


def test_run_runs() -> None:
    async def main() -> str:
        await asyncio.sleep(0)
        return loop_name(asyncio.get_running_loop())

    assert run(main()) in ("uvloop", "asyncio")
