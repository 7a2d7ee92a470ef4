"""One limit for the workers of one supervisor, with no server: real processes, one of them killed."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest

from framework.plugins.ratelimit.shared import workers_path
from tests.support.served import fetch, gone

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 30.0
SHOP = """
import os
from framework import App
from framework.plugins.ratelimit import RateLimit

app = App()
app.install(RateLimit())


@app.get("/")
def pid() -> str:
    return str(os.getpid())
"""
CONFIG = """
[server]
port = 0
workers = 2

[ratelimit]
url = "{url}"

[ratelimit.policies.hourly]
quota = 60
window = 3600
algorithm = "sliding_log"
"""


async def start(folder: Path, url: str) -> asyncio.subprocess.Process:
    (folder / "shop.py").write_text(SHOP)
    (folder / "app.toml").write_text(CONFIG.format(url=url))
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "framework", "run", "shop:app", "--config", "app.toml"),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )


async def port_of(process: asyncio.subprocess.Process) -> int:
    assert process.stderr is not None
    said = ""
    async with asyncio.timeout(PATIENCE):
        async for line in process.stderr:
            said += line.decode()
            if found := re.search(r"http://127\.0\.0\.1:(\d+)", said):
                return int(found[1])
    raise AssertionError(said)


@pytest.mark.anyio
async def test_workers_share_a_limit_and_a_killed_one_takes_nothing_with_it(tmp_path: Path) -> None:
    process = await start(tmp_path, "shared://")
    try:
        port = await port_of(process)
        by_pid: Counter[str] = Counter()
        for _ in range(20):
            status, body = await fetch(port)
            assert status == 200
            by_pid[body] += 1
        os.kill(int(next(iter(by_pid))), signal.SIGKILL)
        await gone(int(next(iter(by_pid))))
        statuses: Counter[int] = Counter()
        while sum(statuses.values()) < 60:
            try:
                statuses[(await fetch(port))[0]] += 1
            except (OSError, EOFError):
                continue  # it was in the queue of the one that is gone
        assert statuses[200] in range(35, 41)  # a request may have been counted whose answer was lost
        assert statuses[429] == 60 - statuses[200]
        files = list(Path(workers_path(process.pid)).parent.glob(f"{Path(workers_path(process.pid)).name}*"))
        assert len(files) == 1
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        await process.stderr.read()
        await process.wait()
    assert not files[0].exists()


@pytest.mark.anyio
async def test_a_limit_in_the_memory_of_each_worker_is_refused_at_the_start(tmp_path: Path) -> None:
    process = await start(tmp_path, "memory://")
    async with asyncio.timeout(PATIENCE):
        _, said = await process.communicate()
    assert process.returncode not in (0, None)
    assert "MemoryEngine" in said.decode()
    assert "shared://" in said.decode()
