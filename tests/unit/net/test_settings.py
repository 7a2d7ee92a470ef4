from __future__ import annotations

from typing import Any

import msgspec
import pytest

from framework.net.settings import ServerSettings


def test_the_defaults_hold() -> None:
    assert msgspec.convert({}, ServerSettings) == ServerSettings()


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"max_head": 100, "max_target": 100}, "max_target"),
        ({"trusted_proxies": ["10.0.0.1/8", "nonsense"]}, "nonsense"),
        ({"keep_alive_timeout": 0}, "keep_alive_timeout"),
        ({"max_connections": 0}, "max_connections"),
        ({"port": 70_000}, "port"),
        ({"prot": 80}, "prot"),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_read(values: dict[str, Any], reason: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=reason):
        msgspec.convert(values, ServerSettings)


def test_what_cannot_be_is_refused_when_it_is_written_in_code() -> None:
    with pytest.raises(ValueError, match="max_target"):
        ServerSettings(max_head=10)
    with pytest.raises(ValueError, match="nonsense"):
        ServerSettings(trusted_proxies=("nonsense",))
