"""The plugin contract and the order of plugins."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import msgspec
import pytest

from framework.app.plugin import NoConfig, Plugin, Setup, order_plugins
from framework.app.settings import load
from framework.errors import PluginError


class Part:
    """A plugin in structure only: nothing has to be inherited."""

    def __init__(self, name: str, *requires: str) -> None:
        self.name = name
        self.requires = frozenset(requires)
        self.config_type = NoConfig

    def setup(self, setup: Setup, config: NoConfig) -> None:
        setup.provide(dict)


class CacheConfig(msgspec.Struct, frozen=True):
    max_items: int = 10


class Cache(Plugin[CacheConfig]):
    """A plugin that inherits the protocol."""

    name = "cache"
    requires = frozenset({"bus"})
    config_type = CacheConfig

    def setup(self, setup: Setup, config: CacheConfig) -> None:
        setup.check("cache", lambda: config.max_items)


def names(*plugins: Plugin[Any]) -> list[str]:
    return [plugin.name for plugin in order_plugins(plugins)]


def problems(*plugins: Plugin[Any]) -> tuple[str, ...]:
    with pytest.raises(PluginError) as caught:
        order_plugins(plugins)
    return caught.value.problems


def test_the_order_given_stays_where_nothing_is_required() -> None:
    assert names(Part("c"), Part("a"), Part("b")) == ["c", "a", "b"]
    assert names() == []


def test_what_is_required_comes_first() -> None:
    assert names(Part("a", "z"), Part("b"), Part("z")) == ["z", "a", "b"]
    assert names(Part("a", "b"), Part("b", "c"), Part("c")) == ["c", "b", "a"]
    assert names(Part("bus"), Cache()) == ["bus", "cache"]
    assert names(Cache(), Part("bus")) == ["bus", "cache"]


def test_an_order_that_is_right_is_not_changed() -> None:
    given = [Part("d"), Part("b", "d"), Part("a"), Part("c", "a", "b")]
    assert order_plugins(given) == given
    assert order_plugins(order_plugins(given[::-1])) == order_plugins(given[::-1])


def test_a_diamond_is_set_up_once() -> None:
    assert names(Part("top", "left", "right"), Part("right", "base"), Part("left", "base"), Part("base")) == [
        "base",
        "right",
        "left",
        "top",
    ]


def test_the_order_does_not_hang_on_the_hashes_of_names() -> None:
    wanted = [f"p{index}" for index in range(20)]
    parts = [Part("top", *wanted), *map(Part, wanted)]
    assert names(*parts) == [*wanted, "top"]


def test_a_missing_requirement_is_drawn_with_its_path() -> None:
    assert problems(Part("chat", "rooms"), Part("rooms", "evnts"), Part("events")) == (
        "plugin evnts is not installed, but required: chat -> rooms -> evnts; did you mean events?",
    )
    assert problems(Part("a", "y", "x")) == (
        "plugin x is not installed, but required: a -> x",
        "plugin y is not installed, but required: a -> y",
    )


def test_a_circle_is_drawn() -> None:
    assert problems(Part("a", "b"), Part("b", "c"), Part("c", "b")) == (
        "plugins require each other in a circle: b -> c -> b",
    )
    assert problems(Part("a", "a")) == ("plugins require each other in a circle: a -> a",)


def test_two_plugins_of_one_name() -> None:
    class Other(Part):
        pass

    twice = Part("a")
    assert problems(Part("a"), Other("a")) == ("two plugins are named a: Part and " + Other.__qualname__,)
    assert problems(twice, twice) == ("two plugins are named a: Part and Part",)


def test_all_problems_come_at_once() -> None:
    found = problems(Part("a", "b"), Part("b", "a"), Part("a"), Part("c", "nothing"))
    assert found == (
        "two plugins are named a: Part and Part",
        "plugins require each other in a circle: a -> b -> a",
        "plugin nothing is not installed, but required: c -> nothing",
    )


def test_a_plugin_without_config_has_an_empty_section() -> None:
    plugins: list[Plugin[Any]] = [Part("a"), Cache()]
    settings = load({plugin.name: plugin.config_type for plugin in plugins}, environ={})
    assert settings.section("a") == NoConfig()
    assert settings.section("cache") == CacheConfig()


def test_the_contract_imports_nothing_of_http() -> None:
    script = (
        "import sys, types; "
        "sys.modules['framework'] = types.ModuleType('framework'); "
        "sys.modules['framework'].__path__ = ['framework']; "
        "import framework.app.plugin; "
        "print([name for name in sys.modules if name.startswith(('framework.http', 'framework.net'))])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
