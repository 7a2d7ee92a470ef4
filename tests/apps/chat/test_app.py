"""The app around the plugin: its page, fields, probes, and how it is started."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest

from apps.chat.__main__ import build, kept_secret
from apps.chat.app import CSP, create_app
from framework.errors import SetupError
from framework.plugins.chat.settings import ChatSettings
from framework.testing import TestClient

pytestmark = pytest.mark.anyio


async def test_the_page_has_a_strong_tag_and_careful_fields(tmp_path: Path) -> None:
    async with TestClient(create_app(), settings={"chat.store": f"sqlite:///{tmp_path}/chat.db"}) as client:
        page = await client.get("/", expect=200)
        tag = page.headers["etag"]
        assert re.fullmatch(r'"[^"]+"', tag), "strong: without W/"
        assert page.headers["cache-control"] == "no-cache"
        assert page.headers["content-security-policy"] == CSP
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["x-frame-options"] == "SAMEORIGIN"
        again = await client.get("/", headers={"if-none-match": tag}, expect=304)
        assert again.body == b""


async def test_everything_that_the_page_names_is_there(tmp_path: Path) -> None:
    async with TestClient(create_app(), settings={"chat.store": f"sqlite:///{tmp_path}/chat.db"}) as client:
        page = (await client.get("/", expect=200)).text
        names = re.findall(r'(?:href|src)="(static/[^"]+)"', page)
        assert len(names) == 3
        modules = [name for name in names if name.endswith(".js")]
        while modules:
            source = await client.get(f"/{modules.pop()}", expect=200)
            assert source.headers["content-type"].startswith("text/javascript")
            found = [f"static/{name}" for name in re.findall(r'from "\./([^"]+)"', source.text)]
            modules += [name for name in found if name not in names]
            names += [name for name in found if name not in names]
        for name in names:
            await client.get(f"/{name}", expect=200)
        await client.get("/static/../app.py", expect=404)
        await client.get("/static/nothing.js", expect=404)


async def test_it_is_relative_so_that_a_gateway_may_put_it_anywhere(tmp_path: Path) -> None:
    async with TestClient(create_app(), settings={"chat.store": f"sqlite:///{tmp_path}/chat.db"}) as client:
        page = (await client.get("/", expect=200)).text
        assert not re.search(r'(?:href|src)="/', page)


async def test_probes_and_guests(tmp_path: Path) -> None:
    async with TestClient(create_app(), settings={"chat.store": f"sqlite:///{tmp_path}/chat.db"}) as client:
        await client.get("/healthz", expect=200)
        await client.get("/readyz", expect=200)
        guest = (await client.post("/chat/guest", json={"name": "Ada"}, expect=200)).json()
        assert guest["name"] == "Ada"
        renewed = await client.post(
            "/chat/token", headers={"authorization": f"Bearer {guest['token']}"}, expect=200
        )
        assert renewed.json()["user"] == guest["user"]


def test_a_secret_is_made_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first = kept_secret(Path("chat.secret"))
    assert len(first) >= 32
    assert kept_secret(Path("chat.secret")) == first
    if os.name == "posix":
        assert stat.S_IMODE(Path("chat.secret").stat().st_mode) == 0o600
    settings = build([]).settings.sections["chat"]
    assert isinstance(settings, ChatSettings)
    assert [secret.reveal() for secret in settings.secrets] == [first]


def test_a_secret_of_the_settings_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text('[chat]\nsecrets = ["0123456789012345678901234567890123456789"]\n')
    build([Path("mine.toml")])
    assert not Path("chat.secret").exists()


def test_a_secret_that_is_none_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("chat.secret").write_text("short")
    with pytest.raises(SetupError, match="holds no secret"):
        build([])
