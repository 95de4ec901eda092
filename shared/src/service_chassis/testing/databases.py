"""Databases for tests, each in the state its migrations leave it in.

A SQLite database is a copy of a template. Copying costs PostgreSQL ten times as much as emptying, so there a database
is emptied after a test and used again.
"""

import shutil
from collections import defaultdict
from pathlib import Path
from typing import LiteralString

import psycopg
from psycopg import sql

from service_chassis.database import Database
from service_chassis.database.migrations import migrate
from service_chassis.testing.servers import Servers

Connection = psycopg.Connection[tuple[object, ...]]

VERSIONS = "alembic_version"
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
IN_HASTE = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$"
"""Commits do not wait for the disk: nobody takes the power from a server that tests share."""
OTHERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> %s"


class Databases:
    """Makes databases that hold the chassis's tables and, where its migrations are given, those of a service."""

    def __init__(self, servers: Servers, folder: Path) -> None:
        self._servers = servers
        self._folder = folder
        self._templates: dict[Path | None, Path] = {}
        self._spare: dict[Path | None, list[str]] = defaultdict(list)
        self._tables: dict[Path | None, set[str]] = {}
        self._seeded: dict[Path | None, bool] = {}

    def sqlite(self, file: Path, migrations: Path | None) -> str:
        """Make a SQLite database in `file` and return its URL."""
        if migrations not in self._templates:
            template = self._folder / f"template-{len(self._templates)}.db"
            _migrate(sqlite_url(template), migrations)
            self._templates[migrations] = template
        file.parent.mkdir(exist_ok=True)
        shutil.copy(self._templates[migrations], file)
        return sqlite_url(file)

    def postgresql(self, migrations: Path | None) -> str:
        """Return the URL of a PostgreSQL database nobody else uses until it is given back."""
        if self._spare[migrations]:
            return self._spare[migrations].pop()
        url = self._servers.postgres.create_database("test")
        _migrate(url, migrations)
        with psycopg.connect(url) as connection:
            connection.execute(IN_HASTE)
            self._tables[migrations] = _tables(connection)
            self._seeded[migrations] = bool(_filled(connection))
        return url

    def give_back(self, url: str, migrations: Path | None) -> None:
        """Take a PostgreSQL database back, whoever is still connected."""
        if self._seeded[migrations]:
            # A test may have changed what the migrations put in.
            self._servers.postgres.drop_database(url)
            return
        with psycopg.connect(url) as connection:
            connection.execute(OTHERS, [connection.info.backend_pid])
            _on_all(connection, "DROP TABLE {} CASCADE", _tables(connection) - self._tables[migrations])
            _on_all(connection, "TRUNCATE {} RESTART IDENTITY CASCADE", _filled(connection))
        self._spare[migrations].append(url)


def sqlite_url(file: Path) -> str:
    return f"sqlite:///{file}"


def _migrate(url: str, migrations: Path | None) -> None:
    database = Database(url)
    database.make_folder()
    migrate(database, migrations)
    database.close()


def _tables(connection: Connection) -> set[str]:
    return {str(name) for (name,) in connection.execute(TABLES)}


def _filled(connection: Connection) -> set[str]:
    """Return the tables that hold rows, besides those that say how far the migrations have come."""
    names = [name for name in _tables(connection) if not name.startswith(VERSIONS)]
    query = sql.SQL("SELECT EXISTS (SELECT FROM {})")
    return {name for name in names if connection.execute(query.format(sql.Identifier(name))).fetchone() == (True,)}


def _on_all(connection: Connection, statement: LiteralString, names: set[str]) -> None:
    if names:
        connection.execute(sql.SQL(statement).format(sql.SQL(", ").join(map(sql.Identifier, sorted(names)))))
