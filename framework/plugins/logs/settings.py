"""The section ``[logging]``."""

from __future__ import annotations

import logging
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

__all__ = ["LEVELS", "Level", "LoggingSettings"]

Level: TypeAlias = Literal["debug", "info", "warning", "error", "critical"]
LEVELS: Final[dict[str, int]] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}


class LoggingSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How logs are written.

    Attributes:
        level: of what is written at least.
        levels: of loggers by name, for them and those below them: ``{"framework.server": "warning"}``.
        format: ``json``, one object a line; ``human``; ``auto``: human on a terminal.
        colors: ``auto``: on a terminal, unless the environment has NO_COLOR.
        stream: where to.
        access: a line for each request. ``auto``: where the lines are for people; a busy server pays for them.
        access_skip: patterns of routes that have none.
        access_flush_interval: seconds that these lines, and only these, may wait to be written together.
        redact: names of fields whose values are never shown, beside those that are known to hold secrets.
    """

    level: Level = "info"
    levels: dict[str, Level] = {}
    format: Literal["auto", "json", "human"] = "auto"
    colors: Literal["auto", "always", "never"] = "auto"
    stream: Literal["stderr", "stdout"] = "stderr"
    access: Literal["auto", "always", "never"] = "auto"
    access_skip: tuple[str, ...] = ("/healthz", "/readyz", "/metrics")
    access_flush_interval: Annotated[float, Meta(ge=0)] = 0.1
    redact: tuple[str, ...] = ()
