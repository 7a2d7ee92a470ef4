"""Structured logs of a whole process, each line with the request and the trace it belongs to."""

from framework.plugins.logs.plugin import Logging
from framework.plugins.logs.settings import LoggingSettings

__all__ = ["Logging", "LoggingSettings"]
