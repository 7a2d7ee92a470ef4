"""``python -m apps.gateway``, as ``make gateway`` runs it: three users apps and a gateway, from one command."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from pathlib import Path

import pytest

from apps.gateway.__main__ import FILE
from framework.net.client import HTTPClient
from tests.support.ports import free_port
from tests.support.served import ROOT, Served

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_one_command_starts_them_all_and_ends_them_all(tmp_path: Path) -> None:
    """With the bundled file, at ports that are free here."""
    ports = {name: free_port() for name in ("8080", "9901", "8001", "8002", "8003")}
    file = tmp_path / "gateway.toml"
    file.write_text(re.sub(r"\b(8080|9901|800[123])\b", lambda found: str(ports[found[1]]), FILE.read_text()))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "apps.gateway", str(file)),
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1"},
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    program = Served(process)
    try:
        await program.says(rf"dashboard +http://127\.0\.0\.1:{ports['9901']}")
        await program.says(rf"serving +http://127\.0\.0\.1:{ports['8080']}")
        async with HTTPClient() as client:
            answer = await client.get(f"http://127.0.0.1:{ports['8080']}/users")
            assert (answer.status, json.loads(await answer.read())) == (200, {"items": [], "next": None})
            answer = await client.get(f"http://127.0.0.1:{ports['9901']}/endpoints")
            assert len(json.loads(await answer.read())["users"]) == 3
        program.signal(signal.SIGTERM)
        assert await program.ended() == 0
        for port in ports.values():
            with pytest.raises(OSError, match=r"."):
                await asyncio.open_connection("127.0.0.1", port)
    finally:
        await program.close()
