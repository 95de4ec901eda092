"""Taking a database away from those who use it, and giving it back."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from service_chassis.database import Database


@contextmanager
def database_away(database: Database, url: str) -> Iterator[None]:
    """Make the database unreachable inside the block; its URL is `url`, and nobody is inside a transaction."""
    if database.file is None:
        with _postgres_away(url):
            yield
        return
    folder = database.file.parent
    hidden = folder.with_name(f"{folder.name}.away")
    database.engine.dispose()
    database.read_engine.dispose()
    folder.rename(hidden)
    try:
        yield
    finally:
        hidden.rename(folder)


def end_connections(url: str) -> None:
    """End every connection to a PostgreSQL database; new ones are let in."""
    _on_server(url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {}", literal=True)


@contextmanager
def _postgres_away(url: str) -> Iterator[None]:
    _on_server(url, "ALTER DATABASE {} ALLOW_CONNECTIONS false")
    end_connections(url)
    try:
        yield
    finally:
        _on_server(url, "ALTER DATABASE {} ALLOW_CONNECTIONS true")


def _on_server(url: str, statement: str, *, literal: bool = False) -> None:
    """Run a statement about a database over a connection to another one."""
    parts = urlsplit(url)
    name = parts.path.removeprefix("/")
    argument = sql.Literal(name) if literal else sql.Identifier(name)
    with psycopg.connect(urlunsplit(parts._replace(path="/postgres")), autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(argument))
