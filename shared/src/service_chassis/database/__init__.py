"""One service's database on PostgreSQL or SQLite: engine, column types, locks, migrations."""

from service_chassis.database.engine import (
    Database,
    DatabaseUnavailable,
    TransactionConflict,
)
from service_chassis.database.locks import Lock
from service_chassis.database.types import Json, UtcDateTime, Version

__all__ = [
    "Database",
    "DatabaseUnavailable",
    "Json",
    "Lock",
    "TransactionConflict",
    "UtcDateTime",
    "Version",
]
