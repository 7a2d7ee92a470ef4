"""``framework run``, as far as it can be seen without serving; tests/integration/test_cli.py serves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from framework.cli.fields import fields_of
from framework.errors import SetupError
from framework.net.settings import ServerSettings

from .driver import Project

SHOP = """
    from framework import App

    app = App()
"""


class Supervised:
    """Stands in for ``serve_many``: notes what it is asked, and says that it serves."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.error: Exception | None = None

    def __call__(self, target: str, settings: object, **options: Any) -> int:
        self.calls.append({"target": target, "settings": settings, **options})
        if self.error is not None:
            raise self.error
        options["on_serving"](["http://127.0.0.1:80"])
        return 7


@pytest.fixture
def supervised(project: Project, monkeypatch: pytest.MonkeyPatch) -> Supervised:
    project.write("shop.py", SHOP)
    stub = Supervised()
    monkeypatch.setattr("framework.app.workers.serve_many", stub)
    return stub


@pytest.mark.parametrize(
    ("arguments", "environ"),
    [
        (["--workers", "2"], {}),
        ([], {"FRAMEWORK_SERVER__WORKERS": "2"}),
        (["--max-requests", "100"], {}),
        (["--max-rss", "100000000"], {}),
        ([], {"LISTEN_FDS": "1"}),
        ([], {"NOTIFY_SOCKET": "/run/notify"}),
        (["--reload"], {}),
        (["--reload-dir", "."], {}),
    ],
)
def test_a_supervisor_stands_above_what_must_be_replaced_or_spoken_for(
    project: Project, supervised: Supervised, arguments: Sequence[str], environ: dict[str, str | None]
) -> None:
    outcome = project.call("run", "shop", *arguments, environ=environ)
    assert outcome.code == 7
    (call,) = supervised.calls
    assert call["target"] == "shop:app"
    assert "http://127.0.0.1:80" in outcome.err


def test_what_was_asked_for_is_handed_on(project: Project, supervised: Supervised) -> None:
    project.write("shop.toml", "[server]\nbacklog = 5\n")
    outcome = project.call("run", "shop", "-c", "shop.toml", "--workers", "2", "--debug", "--server.port=81")
    (call,) = supervised.calls
    assert call["files"] == (Path("shop.toml"),)
    assert call["flags"] == {"server.workers": "2", "server.port": "81"}
    assert call["debug"] is True
    assert call["reload"] == ()
    assert "debug     on" in outcome.err
    assert "2 workers" in outcome.err
    assert "shop.toml, 2 flags" in outcome.err


def test_reload_watches_the_working_directory_or_the_folders_named(
    project: Project, supervised: Supervised
) -> None:
    (project.folder / "src").mkdir()
    assert "reload    on" in project.call("run", "shop", "--reload").err
    project.call("run", "shop", "--reload-dir", "src", "--workers", "4")
    assert [call["reload"] for call in supervised.calls] == [(project.folder,), (Path("src"),)]


def test_a_folder_to_watch_must_be_there(project: Project, supervised: Supervised) -> None:
    outcome = project.call("run", "shop", "--reload-dir", "nowhere")
    assert outcome.code == 2
    assert "nowhere" in outcome.errors[0]
    assert supervised.calls == []


def test_what_the_supervisor_refuses_is_said(project: Project, supervised: Supervised) -> None:
    supervised.error = SetupError(["one", "two"])
    outcome = project.call("run", "shop", "--workers", "2")
    assert outcome.code == 2
    assert outcome.errors == ["one", "two"]


def test_a_certificate_that_is_not_there_is_said(project: Project) -> None:
    project.write("shop.py", SHOP)
    outcome = project.call("run", "shop", "--tls-certificate", "none.pem")
    assert outcome.code == 2
    assert "none.pem" in outcome.errors[0]


def test_every_setting_is_explained_with_its_unit(project: Project) -> None:
    outcome = project.call("run", "--help")
    assert outcome.code == 0
    text = " ".join(outcome.out.split())
    assert "--port INTEGER 0 takes a free one" in text
    fields = fields_of(ServerSettings)
    assert [field.name for field in fields if not field.doc] == []
    durations = [field for field in fields if field.name.endswith(("_timeout", "_interval", "_grace"))]
    assert [field.name for field in durations if "seconds" not in field.doc] == []
    sizes = ["max_head", "max_target", "max_body_in_flight", "max_drained_body", "max_rss"]
    assert [field.name for field in fields if field.name in sizes and "bytes" not in field.doc] == []
    assert [field.name for field in fields if f"--{field.name.replace('_', '-')}" not in text] == []


def test_what_only_one_process_would_know_is_refused_under_several(
    project: Project, supervised: Supervised
) -> None:
    project.write(
        "shop.py",
        """
        from framework import App
        from framework.middleware.sessions import MemorySessionStore, StoredSessions

        app = App()
        app.use(StoredSessions(MemorySessionStore()))
        """,
    )
    outcome = project.call("run", "shop", "--workers", "2")
    assert outcome.code == 2
    (problem,) = outcome.errors
    assert "MemorySessionStore is in the memory of one process" in problem
    assert "signed cookies (SignedSessions)" in problem
    assert supervised.calls == []
