"""SQLite beside an event loop: one writer, readers beside it, migrations. See ``database``."""

from framework.sqlite.batches import Batches
from framework.sqlite.connect import DatabaseBusy, DatabaseFull, DatabaseUnavailable
from framework.sqlite.database import Database
from framework.sqlite.migrations import Migration, MigrationError, load_migrations, migrate
from framework.sqlite.savepoint import in_savepoint

__all__ = [
    "Batches",
    "Database",
    "DatabaseBusy",
    "DatabaseFull",
    "DatabaseUnavailable",
    "Migration",
    "MigrationError",
    "in_savepoint",
    "load_migrations",
    "migrate",
]
