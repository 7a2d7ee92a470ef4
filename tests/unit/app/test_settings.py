"""Settings as an app sees them: loaded from every source, frozen, asked for by section and key."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import msgspec
import pytest

from framework.app.settings import Origin, Row, Secret, Settings, load
from framework.errors import ConfigError


class Tls(msgspec.Struct, frozen=True):
    cert: Path
    key: Secret


class Server(msgspec.Struct, frozen=True):
    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 8080
    tls: Tls | None = None


class Cache(msgspec.Struct, frozen=True):
    max_items: int = 1000


SECTIONS: dict[str, type[msgspec.Struct]] = {"server": Server, "cache": Cache}


def written(folder: Path, text: str, name: str = "config.toml") -> Path:
    file = folder / name
    file.write_text(text)
    return file


def problems(sections: dict[str, type[msgspec.Struct]] = SECTIONS, **sources: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(sections, environ=sources.pop("environ", {}), **sources)
    assert caught.value.__context__ is None
    return list(caught.value.problems)


def test_without_sources_the_defaults_hold() -> None:
    settings = load(SECTIONS, environ={})
    assert settings.section(Server) == Server()
    assert settings.origin("server.port") == Origin("default")
    assert str(settings.origin("server.port")) == "default"


def test_precedence_and_origins(tmp_path: Path) -> None:
    base = written(tmp_path, '[server]\nhost = "a"\nport = 1\n[cache]\nmax_items = 1\n', "base.toml")
    local = written(tmp_path, "# local\n[server]\nport = 2\n", "local.toml")
    files = [base, local]
    environ = {"FRAMEWORK_SERVER__PORT": "3", "OTHER": "x"}
    assert load(SECTIONS, files=files, environ={}).section(Server) == Server(host="a", port=2)
    assert load(SECTIONS, files=files, environ=environ).section(Server).port == 3
    settings = load(SECTIONS, files=files, environ=environ, flags={"server.port": "4"})
    assert settings.section(Server) == Server(host="a", port=4)
    assert str(settings.origin("server.host")) == f"{base}:2"
    assert str(settings.origin("server.port")) == "flag --server.port"
    assert load(SECTIONS, files=files, environ={}).origin("server.port") == Origin("file", str(local), 3)
    coded = load(
        SECTIONS, files=files, environ=environ, flags={"server.port": "4"}, overrides={"server.port": 5}
    )
    assert (coded.section(Server).port, str(coded.origin("server.port"))) == (5, "code")


def test_the_environment_is_the_process_s_own_unless_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SETTINGS_TEST_SERVER__PORT", "81")
    settings = load(SECTIONS, prefix="SETTINGS_TEST")
    assert settings.section(Server).port == 81
    assert str(settings.origin("server.port")) == "environment variable SETTINGS_TEST_SERVER__PORT"


def test_a_reserved_variable_is_no_setting() -> None:
    load(SECTIONS, environ={"FRAMEWORK_PURE": "1"})
    load(SECTIONS, environ={"FRAMEWORK_HOME": "/"}, reserved=["FRAMEWORK_HOME"])
    assert problems(environ={"FRAMEWORK_HOME": "/"}) == ["unknown environment variable FRAMEWORK_HOME"]


def test_an_empty_prefix_would_claim_every_variable() -> None:
    with pytest.raises(ValueError, match="prefix"):
        load(SECTIONS, prefix="")


def test_every_problem_is_reported_at_once_with_its_origin(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        '[server]\nhost = 5\nprot = 1\n\n[server.tls]\ncert = "x"\n\n[cahce]\nmax_items = 2\n',
    )
    found = problems(
        files=[file],
        environ={"FRAMEWORK_CACHE__MAX_ITEMS": "many", "FRAMEWORK_SERVER__PROT": "1"},
        flags={"server.port": "70000", "servr.port": "1"},
    )
    assert found == [
        "unknown flag --servr.port; did you mean --server.port?",
        "unknown environment variable FRAMEWORK_SERVER__PROT; did you mean FRAMEWORK_SERVER__PORT?",
        f"unknown section cahce ({file}:8); did you mean cache?",
        f"unknown key server.prot ({file}:3); did you mean server.port?",
        f"server.host: expected str, got int ({file}:2)",
        "server.port: expected int <= 65535 (flag --server.port)",
        f"missing server.tls.key ({file}:5): set key under [server.tls] in {file} or "
        "FRAMEWORK_SERVER__TLS__KEY in the environment or --server.tls.key on the command line",
        "cache.max_items: expected int (environment variable FRAMEWORK_CACHE__MAX_ITEMS)",
    ]


def test_a_missing_value_says_the_three_ways_to_set_it() -> None:
    class Mail(msgspec.Struct, frozen=True, rename="kebab"):
        smtp_url: str

    assert problems({"mail": Mail}, prefix="SHOP") == [
        "missing mail.smtp-url: set smtp-url under [mail] in a TOML file or SHOP_MAIL__SMTP_URL in the "
        "environment or --mail.smtp-url on the command line"
    ]
    environ = {"SHOP_MAIL__SMTP_URL": "smtp://"}
    assert load({"mail": Mail}, environ=environ, prefix="SHOP").section(Mail).smtp_url == "smtp://"
    for flag in ("mail.smtp-url", "mail.smtp_url"):
        assert load({"mail": Mail}, environ={}, flags={flag: "x"}).section(Mail).smtp_url == "x"


def test_a_file_named_and_missing(tmp_path: Path) -> None:
    assert problems(files=[tmp_path / "no.toml"]) == [f"{tmp_path / 'no.toml'}: no such file"]


def test_a_file_that_could_not_be_read_makes_nothing_else_missing(tmp_path: Path) -> None:
    class Mail(msgspec.Struct, frozen=True):
        url: str
        port: int = 25

    found = problems({"mail": Mail}, files=[tmp_path / "no.toml"], environ={"FRAMEWORK_MAIL__PORT": "x"})
    assert found == [
        f"{tmp_path / 'no.toml'}: no such file",
        "mail.port: expected int (environment variable FRAMEWORK_MAIL__PORT)",
    ]


class Loose(msgspec.Struct):
    a: int = 1


class Holder(msgspec.Struct, frozen=True):
    loose: list[Loose] = []


def test_sections_must_be_frozen_structs_through_and_through() -> None:
    assert problems({"a": Loose, "b": Holder}) == ["a: Loose is not frozen; settings do not change"]
    assert problems({"b": Holder}) == ["b.loose: Loose is not frozen; settings do not change"]


def test_section_by_name_and_by_type() -> None:
    settings = load({"server": Server, "one": Cache, "two": Cache}, environ={})
    assert settings.section("server") is settings.section(Server)
    with pytest.raises(ConfigError, match="no section servre; did you mean server"):
        settings.section("servre")
    with pytest.raises(ConfigError, match="sections one, two are all of type Cache; ask by name"):
        settings.section(Cache)
    with pytest.raises(ConfigError, match="no section is of type Tls"):
        settings.section(Tls)


def test_the_origin_of_no_value() -> None:
    settings = load(SECTIONS, environ={})
    with pytest.raises(ConfigError, match=r"no value server\.prot; did you mean server\.port"):
        settings.origin("server.prot")


def test_show_lists_every_value_with_its_origin(tmp_path: Path) -> None:
    file = written(tmp_path, '[server.tls]\ncert = "a.pem"\n')
    settings = load(SECTIONS, files=[file], environ={"FRAMEWORK_SERVER__TLS__KEY": "hunter2"})
    assert settings.show() == [
        Row("server.host", "127.0.0.1", Origin("default")),
        Row("server.port", 8080, Origin("default")),
        Row("server.tls.cert", "a.pem", Origin("file", str(file), 2)),
        Row("server.tls.key", "***", Origin("environment", "FRAMEWORK_SERVER__TLS__KEY")),
        Row("cache.max_items", 1000, Origin("default")),
    ]
    assert str(settings.show()[0]) == 'server.host = "127.0.0.1"  # default'
    msgspec.json.encode(settings.show())


def test_a_secret_never_shows(tmp_path: Path) -> None:
    class Vault(msgspec.Struct, frozen=True):
        password: Secret
        keys: list[Secret] = []
        named: dict[str, Secret] = {}
        maybe: Secret | None = None
        fallback: Secret = Secret("hunter2-fallback")

    environ = {
        "FRAMEWORK_VAULT__PASSWORD": "hunter2",
        "FRAMEWORK_VAULT__KEYS": '["hunter2a"]',
        "FRAMEWORK_VAULT__NAMED": '{"a": "hunter2b"}',
    }
    settings = load({"vault": Vault}, environ=environ, overrides={"vault.maybe": Secret("hunter2c")})
    vault = settings.section(Vault)
    assert [key.reveal() for key in (vault.password, *vault.keys, *vault.named.values())] == [
        "hunter2",
        "hunter2a",
        "hunter2b",
    ]
    assert vault.maybe == Secret("hunter2c")
    assert [row.value for row in settings.show()] == ["***", ["***"], "***", "***", "***"]
    text = "".join(map(str, [*settings.show(), settings, vault, settings.sections])) + repr(settings.show())
    assert "hunter2" not in text


def test_a_secret_never_shows_in_errors(tmp_path: Path) -> None:
    class Vault(msgspec.Struct, frozen=True):
        password: Secret
        keys: list[Secret] = []
        number: Secret = Secret("")

        def __post_init__(self) -> None:
            raise ValueError(f"no good: {self.password.reveal()} {[key.reveal() for key in self.keys]}")

    file = written(tmp_path, "[vault]\nnumber = 4711\n[vault.password]\nhunter2 = 1\n")
    assert problems({"vault": Vault}, files=[file]) == [
        f"vault.password: expected str, got dict ({file}:3)",
        f"vault.number: expected str, got int ({file}:2)",
    ]
    environ = {"FRAMEWORK_VAULT__PASSWORD": "hunter2", "FRAMEWORK_VAULT__KEYS": '["hunter2x"]'}
    assert problems({"vault": Vault}, environ=environ) == [
        "vault: no good: *** ['***'] (environment variable FRAMEWORK_VAULT__PASSWORD, "
        "environment variable FRAMEWORK_VAULT__KEYS)"
    ]
    environ = {"FRAMEWORK_VAULT__KEYS": "hunter2"}
    assert "hunter2" not in "\n".join(problems({"vault": Vault}, environ=environ))


class Door(msgspec.Struct, frozen=True):
    key: Secret


class House(msgspec.Struct, frozen=True):
    doors: dict[str, Door]

    def __post_init__(self) -> None:
        raise ValueError(f"cannot open {[door.key.reveal() for door in self.doors.values()]}")


def test_a_secret_deep_inside_never_shows_in_errors() -> None:
    environ = {
        "FRAMEWORK_HOUSE__DOORS__FRONT__KEY": "hunter2",
        "FRAMEWORK_HOUSE__DOORS__BACK__KEY": "hunter22",
    }
    (problem,) = problems({"house": House}, environ=environ)
    assert problem.startswith("house: cannot open ['***', '***'] (")
    assert "hunter" not in problem


def test_trap_a_second_configuration_is_silently_the_first_one() -> None:
    first = load(SECTIONS, environ={"FRAMEWORK_SERVER__PORT": "1"})
    second = load(SECTIONS, environ={"FRAMEWORK_SERVER__PORT": "2"})
    assert first is not second
    assert (first.section(Server).port, second.section(Server).port) == (1, 2)


def test_trap_a_mistyped_key_is_accepted(tmp_path: Path) -> None:
    file = written(tmp_path, "[server]\nprot = 80\n")
    assert problems(files=[file]) == [f"unknown key server.prot ({file}:2); did you mean server.port?"]
    assert problems(environ={"FRAMEWORK_SERVER__PROT": "80"}) == [
        "unknown environment variable FRAMEWORK_SERVER__PROT; did you mean FRAMEWORK_SERVER__PORT?"
    ]
    assert problems(flags={"server.prot": "80"}) == [
        "unknown flag --server.prot; did you mean --server.port?"
    ]
    assert problems(overrides={"server.prot": 80}) == [
        "unknown override server.prot; did you mean server.port?"
    ]
    assert problems(overrides={"server": {"prot": 80}}) == [
        "unknown key server.prot (code); did you mean server.port?"
    ]


def test_trap_a_mistyped_value_is_accepted(tmp_path: Path) -> None:
    file = written(tmp_path, '[server]\nport = "80"\n')
    assert problems(files=[file]) == [f"server.port: expected int, got str ({file}:2)"]
    assert problems(environ={"FRAMEWORK_SERVER__PORT": "8o"}) == [
        "server.port: expected int (environment variable FRAMEWORK_SERVER__PORT)"
    ]
    assert problems(flags={"server.port": ""}) == ["server.port: expected int (flag --server.port)"]
    assert problems(overrides={"server.port": "80"}) == ["server.port: expected int, got str (code)"]
    assert problems(overrides={"server": Server(port=0)}) == ["server.port: expected int >= 1 (code)"]


def test_trap_configuration_changes_under_its_readers() -> None:
    settings = load(SECTIONS, environ={})
    with pytest.raises(AttributeError):
        settings.section(Server).port = 1  # type: ignore[misc]
    with pytest.raises(AttributeError):
        settings.sections = {}
    with pytest.raises(AttributeError):
        del settings.sections
    with pytest.raises(TypeError):
        cast("dict[str, msgspec.Struct]", settings.sections)["server"] = Server()
    settings.show().clear()
    assert settings.show()


def test_two_loads_share_no_default(tmp_path: Path) -> None:
    class Lists(msgspec.Struct, frozen=True):
        items: list[int] = []

    load({"lists": Lists}, environ={}).section(Lists).items.append(1)
    assert load({"lists": Lists}, environ={}).section(Lists).items == []


def test_repr_names_the_sections_only() -> None:
    assert repr(load(SECTIONS, environ={})) == "Settings(server, cache)"
    assert repr(Settings({}, [])) == "Settings()"
