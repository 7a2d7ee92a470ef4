"""The start-up banner."""

from __future__ import annotations

from pathlib import Path

import click

from framework import App
from framework.cli.banner import banner
from framework.cli.options import Target
from framework.wire.leaves import TWIN


def lines(
    app: App, *, files: tuple[Path, ...] = (), environ: dict[str, str] | None = None, reload: bool = False
) -> list[str]:
    runtime = app.build(environ=environ or {}, files=files)
    urls = ["http://127.0.0.1:80", "unix:/run/x"]
    target = Target(app, "shop:app", files, {})
    return [click.unstyle(line).strip() for line in banner(target, runtime, urls, reload=reload)]


def test_every_address_has_its_line() -> None:
    assert lines(App())[1:3] == ["serving   http://127.0.0.1:80", "serving   unix:/run/x"]


def test_what_runs_is_told() -> None:
    found = lines(App(), environ={"FRAMEWORK_SERVER__WORKERS": "3"})
    assert found[0].endswith("shop:app")
    assert f"{TWIN} leaves" in found[3]
    assert "3 workers" in found[3]


def test_settings_come_from_somewhere(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.touch()
    assert "settings  all defaults" in lines(App())
    assert f"settings  {file}" in lines(App(), files=(file,))
    environ = {"FRAMEWORK_SERVER__PORT": "1", "FRAMEWORK_SERVER__BACKLOG": "1"}
    assert "settings  2 variables" in lines(App(), environ=environ)


def test_debug_and_reload_are_told_only_when_on() -> None:
    inner = App(debug=True)
    app = App()
    assert len(lines(app)) == 6
    app.mount("/inner", inner)
    assert [line.split()[0] for line in lines(app, reload=True)[6:]] == ["debug", "reload"]


def test_while_reloading_there_is_one_worker() -> None:
    found = lines(App(), environ={"FRAMEWORK_SERVER__WORKERS": "3"}, reload=True)
    assert "1 worker," in found[3]
