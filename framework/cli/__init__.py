"""The command line, ``framework``: serve an app, look at it, check it, begin a new one."""

from framework.cli.program import main

__all__ = ["main"]
