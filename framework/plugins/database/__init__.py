"""Databases behind one factory: ``connect(url)``, one small typed face, the driver's own object beside it."""

from framework.plugins.database.connecting import connect
from framework.plugins.database.face import Database, Row, SQLDatabase, SQLSession
from framework.plugins.database.migrating import run_migrations
from framework.plugins.database.plugin import DatabasePlugin, DatabaseSettings
from framework.plugins.database.url import DatabaseURL, parse_url

__all__ = [
    "Database",
    "DatabasePlugin",
    "DatabaseSettings",
    "DatabaseURL",
    "Row",
    "SQLDatabase",
    "SQLSession",
    "connect",
    "parse_url",
    "run_migrations",
]
