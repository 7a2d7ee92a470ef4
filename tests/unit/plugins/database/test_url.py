"""URLs, statements, and drivers that are missing: told at start-up."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.errors import ConfigError
from framework.plugins.database import connect, parse_url
from framework.plugins.database.statements import for_asyncpg, for_mysql, for_sqlite, reads_only


def test_unknown_scheme_found_only_at_first_use() -> None:
    """The guide's sketch. Here the call itself fails, and lists what is known."""
    with pytest.raises(ConfigError) as caught:
        connect("postgress://localhost/app")
    text = str(caught.value)
    assert "'postgress' is no known scheme" in text
    assert "postgresql" in text
    assert "known are sqlite, postgresql, mysql, mongodb, redis" in text


@pytest.mark.parametrize(
    ("url", "module", "extra"),
    [
        ("postgresql://localhost/app", "asyncpg", "postgresql"),
        ("mysql://localhost/app", "asyncmy", "mysql"),
        ("mariadb://localhost/app", "asyncmy", "mysql"),
        ("mongodb://localhost/app", "pymongo", "mongodb"),
        ("redis://localhost", "hiredis", "redis"),
    ],
)
def test_a_missing_driver_says_which_extra_to_install(
    url: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [
        name for name in sys.modules if name.startswith(("framework.plugins.database.", "framework.redis"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(Exception, match=r"install the extra framework\[") as caught:
        connect(url)
    assert type(caught.value).__name__ == "ConfigError"
    assert f"framework[{extra}]" in str(caught.value)


def test_parts_and_secrets() -> None:
    url = parse_url("postgres://ada:s%40cret@db.example:5433/app?sslmode=require")
    assert (url.scheme, url.host, url.port, url.user, url.password, url.database) == (
        "postgresql",
        "db.example",
        5433,
        "ada",
        "s@cret",
        "app",
    )
    assert url.options == {"sslmode": "require"}
    assert "cret" not in str(url)
    assert "cret" not in repr(url)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///app.db", "app.db"),
        ("sqlite:////var/app.db", "/var/app.db"),
        ("sqlite:app%20x.db", "app x.db"),
    ],
)
def test_paths_of_sqlite(url: str, path: str) -> None:
    assert parse_url(url).database == path


@pytest.mark.parametrize(
    "url",
    [
        "",
        "app.db",
        "sqlite:",
        "sqlite://host/app.db",
        "sqlite:///:memory:",
        "postgresql://h:99999/x",
        "mysql://h/x?broken",
    ],
)
def test_urls_that_are_wrong(url: str) -> None:
    with pytest.raises(ConfigError, match="database URL"):
        parse_url(url)


@pytest.mark.parametrize(
    ("sql", "expected", "count"),
    [
        ("SELECT ?", "SELECT $1", 1),
        ("a = ? AND b = ?", "a = $1 AND b = $2", 2),
        ("'?' \"?\" `?` -- ?\n ? /* ? */", "'?' \"?\" `?` -- ?\n $1 /* ? */", 1),
        ("'it''s ?' || ?", "'it''s ?' || $1", 1),
        ("a ?? b AND c = ?", "a ? b AND c = $1", 1),
        ("$$ ? $$ || $tag$ ? $tag$ || ?", "$$ ? $$ || $tag$ ? $tag$ || $1", 1),
    ],
)
def test_places(sql: str, expected: str, count: int) -> None:
    assert for_asyncpg(sql) == (expected, count)


def test_percent_signs_are_mysqls_business() -> None:
    assert for_mysql("SELECT '100%' , ?") == ("SELECT '100%%' , %s", 1)


@given(st.text(alphabet="?'\"`-/*$ a\n", max_size=40))
def test_all_dialects_see_the_same_places(sql: str) -> None:
    assert for_asyncpg(sql)[1] == for_mysql(sql)[1] == for_sqlite(sql)[1]


@pytest.mark.parametrize(
    ("sql", "reads"),
    [
        ("SELECT 1", True),
        (" -- x\n/* y */ (select 1)", True),
        ("WITH a AS (SELECT 1) SELECT * FROM a", True),
        ("WITH a AS (DELETE FROM t RETURNING *) SELECT * FROM a", False),
        ("WITH a AS (SELECT 'delete') SELECT * FROM a", True),
        ("INSERT INTO t VALUES (1) RETURNING id", False),
        ("", False),
    ],
)
def test_what_surely_only_reads(sql: str, reads: bool) -> None:
    assert reads_only(sql) is reads
