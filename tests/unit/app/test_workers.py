"""What is settled before a worker starts: its app's name, its limits, what is wrong and where that was set."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from framework import App, ServerSettings
from framework.app.plugin import NoConfig, Setup
from framework.app.run import serve
from framework.app.settings import load
from framework.app.workers import load_app, rules_of, serve_many, with_origins
from framework.errors import SetupError
from framework.net.brain import Rules


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module of its own name for each test, in a folder that can be imported from."""
    name = f"shop_{abs(hash(tmp_path))}"
    (tmp_path / f"{name}.py").write_text(
        "from framework import App\n\napp = App()\nnothing = 3\n\n\ndef make() -> App:\n    return App()\n"
        "\n\nclass Inner:\n    app = App()\n\n\ndef other() -> int:\n    return 4\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield name
    sys.modules.pop(name, None)


def loaded(target: str, **more: object) -> object:
    arguments: dict[str, object] = {
        "files": [],
        "environ": {},
        "flags": {},
        "overrides": {"server.workers": 3},
        "debug": False,
    }
    return load_app(target=target, **{**arguments, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["app", "make", "Inner.app"])
def test_an_app_is_found_by_its_name_and_told_how_many_workers_there_are(shop: str, path: str) -> None:
    runtime = load_app(
        target=f"{shop}:{path}", files=[], environ={}, flags={}, overrides={"server.workers": 3}, debug=False
    )
    assert runtime.server_settings.workers == 3


def test_each_worker_reads_the_settings_itself(shop: str, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("[server]\ndrain_timeout = 4.0\n")
    runtime = load_app(
        target=f"{shop}:app",
        files=[str(file)],
        environ={"FRAMEWORK_SERVER__BACKLOG": "7"},
        flags={"server.max_head": "9000"},
        overrides={},
        debug=False,
    )
    found = runtime.server_settings
    assert (found.drain_timeout, found.backlog, found.max_head) == (4.0, 7, 9000)


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("missing", "no missing in {shop}, looked for as {shop}:missing"),
        ("other", "{shop}:other is neither an App nor a function that returns one"),
        ("nothing", "{shop}:nothing is neither an App nor a function that returns one"),
    ],
)
def test_what_is_no_app_is_refused(shop: str, path: str, problem: str) -> None:
    with pytest.raises(SetupError) as caught:
        loaded(f"{shop}:{path}")
    assert caught.value.problems == (problem.format(shop=shop),)


def test_an_app_that_cannot_be_imported_by_its_name_is_refused() -> None:
    def make() -> App:
        return App()

    with pytest.raises(SetupError, match="cannot be imported by a worker"):
        serve_many(make, ServerSettings(port=0))
    with pytest.raises(SetupError, match="write module:app"):
        serve_many("shop", ServerSettings(port=0))


def test_a_broken_certificate_is_named_by_key_and_origin(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(
        '[server]\nport = 0\ntls_certificate = "/no/cert.pem"\n'
        '[server.tls_hosts."*.example.com"]\ncertificate = "/no"\n'
    )
    settings = load({"server": ServerSettings}, files=[file], environ={})
    with pytest.raises(SetupError) as caught:
        serve_many("shop:app", settings)
    assert caught.value.problems == (
        f"server.tls_certificate: /no/cert.pem: No such file or directory ({file}:3)",
        f'server.tls_hosts."*.example.com".certificate: /no: No such file or directory ({file}:5)',
    )


def test_a_problem_without_a_key_or_with_a_default_stays_as_it_is() -> None:
    settings = load({"server": ServerSettings}, environ={"FRAMEWORK_SERVER__PORT": "80"})
    problems = ["something is wrong", "server.host: no such host", "server.port: taken", "other.key: wrong"]
    assert with_origins(problems, settings) == [
        "something is wrong",
        "server.host: no such host",
        "server.port: taken (environment variable FRAMEWORK_SERVER__PORT)",
        "other.key: wrong",
    ]


def test_the_limits_follow_from_the_settings() -> None:
    settings = ServerSettings(
        worker_timeout=0.0,
        worker_start_timeout=5.0,
        max_requests=10,
        max_requests_jitter=0.5,
        max_rss=1 << 20,
        not_ready_timeout=1.0,
        idle_grace=2.0,
        drain_timeout=3.0,
        cancel_timeout=4.0,
    )
    assert rules_of(settings) == Rules(
        worker_timeout=None,
        start_timeout=5.0,
        stop_timeout=1.0 + 2.0 + 3.0 + 8.0 + 15.0,
        max_requests=10,
        max_requests_jitter=0.5,
        max_rss=1 << 20,
    )


@pytest.mark.anyio
async def test_one_process_does_not_pretend_to_be_several() -> None:
    runtime = App().build(environ={}, overrides={"server.port": 0, "server.workers": 2})
    with pytest.raises(SetupError, match=r"^server\.workers: "):
        await serve(runtime)


def test_a_plugin_is_told_how_many_workers_there_are() -> None:
    told: list[int] = []

    class Counting:
        name = "counting"
        requires: frozenset[str] = frozenset()
        config_type = NoConfig

        def setup(self, setup: Setup, config: NoConfig) -> None:
            told.append(setup.worker_count)

    app = App()
    app.install(Counting())
    runtime = app.build(environ={}, overrides={"server.workers": 3})
    assert told == [3]
    assert runtime.worker_count == 3
