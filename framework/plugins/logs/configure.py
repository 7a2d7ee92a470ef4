"""Sets up structlog and the standard library's logging together, and puts back what was there before."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

import structlog

from framework.plugins.logs.lines import Line, human_lines, json_line
from framework.plugins.logs.pipeline import Output, Pipeline, StandardHandler
from framework.plugins.logs.redaction import Redaction
from framework.plugins.logs.settings import LEVELS, LoggingSettings
from framework.plugins.logs.sink import Sink

__all__ = ["configured", "is_human", "make_pipeline"]


def is_human(settings: LoggingSettings, sink: Sink) -> bool:
    """Whether lines are for people."""
    return settings.format == "human" or (settings.format == "auto" and sink.is_terminal)


def make_pipeline(settings: LoggingSettings) -> Pipeline:
    """The pipeline that the settings describe. Nothing goes through it yet."""
    sink = Sink(settings.stream)
    line: Line = json_line
    if is_human(settings, sink):
        wanted = sink.is_terminal and not os.environ.get("NO_COLOR")
        line = human_lines(colors=settings.colors == "always" or (settings.colors == "auto" and wanted))
    levels = {name: LEVELS[level] for name, level in {"": settings.level, **settings.levels}.items()}
    return Pipeline(sink, line, Redaction(settings.redact), levels)


@contextmanager
def configured(settings: LoggingSettings, pipeline: Pipeline | None = None) -> Generator[Pipeline]:
    """Within the block, every logger of the process writes as the settings say.

    Logging belongs to the process: of two blocks at once, the one entered last holds. Handlers of the root logger that
    write to a standard stream are set aside, or lines would come twice; all others (files, collectors) stay.
    """
    pipeline = pipeline or make_pipeline(settings)
    levels = {"": settings.level, **settings.levels}
    with _standard(StandardHandler(pipeline), {name: LEVELS[level] for name, level in levels.items()}):
        before = structlog.get_config() if structlog.is_configured() else None
        structlog.configure(
            processors=[pipeline.processor],
            wrapper_class=structlog.make_filtering_bound_logger(
                min(LEVELS[each] for each in levels.values())
            ),
            context_class=dict,
            logger_factory=lambda *names: Output(pipeline.sink, names[0] if names else None),
            cache_logger_on_first_use=False,  # a logger that is kept would go on as configured now, for ever
        )
        try:
            yield pipeline
        finally:
            if before is None:
                structlog.reset_defaults()
            else:
                structlog.configure(**before)


@contextmanager
def _standard(handler: logging.Handler, levels: Mapping[str, int]) -> Generator[None]:
    root = logging.getLogger()
    doubles = [each for each in root.handlers if _writes_to_terminal(each)]
    loggers = {name: logging.getLogger(name or None) for name in levels}
    before = {name: logger.level for name, logger in loggers.items()}
    for each in doubles:
        root.removeHandler(each)
    root.addHandler(handler)
    for name, logger in loggers.items():
        logger.setLevel(levels[name])
    try:
        yield
    finally:
        for name, logger in loggers.items():
            logger.setLevel(before[name])
        root.removeHandler(handler)
        for each in doubles:
            root.addHandler(each)


def _writes_to_terminal(handler: Any) -> bool:
    streams = (sys.stderr, sys.stdout, sys.__stderr__, sys.__stdout__)
    is_plain = handler.__class__ is logging.StreamHandler
    return isinstance(handler, StandardHandler) or (is_plain and handler.stream in streams)
