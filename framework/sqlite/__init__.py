"""SQLite beside an event loop: one writer, readers beside it, migrations. See ``database``."""

from framework.sqlite.connect import DatabaseBusy, DatabaseFull, DatabaseUnavailable
from framework.sqlite.database import Database
from framework.sqlite.migrations import Migration, MigrationError, load_migrations, migrate

__all__ = [
    "Database",
    "DatabaseBusy",
    "DatabaseFull",
    "DatabaseUnavailable",
    "Migration",
    "MigrationError",
    "load_migrations",
    "migrate",
]
